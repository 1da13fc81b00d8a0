"""Calls longer than the window: the persona stays, if it is pinned, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from personaplex_ui.engine.speech_model import Sampling, complete
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prefill import PrefillState
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import TINY, read_case, unheard

WINDOW = 250
SEED = Sampling(seed=3)
Tokens = list[list[int]]


def load(own_voices: Path, pin: bool, int8: bool = False) -> PersonaPlexModel:
    torch.set_num_threads(1)
    voices = VoiceLibrary(folders=(own_voices,))
    source = Source(str(TINY), device="cpu", slots=2, voices=voices, pin_persona=pin, kv_int8=int8)
    return load_personaplex(source, unheard)


@pytest.fixture(scope="module")
def pinned(own_voices: Path) -> PersonaPlexModel:
    return load(own_voices, pin=True)


def prefilled(model: PersonaPlexModel) -> PrefillState:
    state = complete(model.prepare(read_case("voice_preset").persona))
    assert isinstance(state, PrefillState)
    return state


def call(model: PersonaPlexModel, frames: int) -> Tokens:
    """What is answered to the same noise; the caller stays on."""
    draw = np.random.default_rng(0)
    model.join(0, prefilled(model), SEED)
    return [
        model.step_tokens({0: draw.normal(0, 0.1, 1920).astype(np.float32)})[0].tokens.tolist()
        for _ in range(frames)
    ]


def test_a_pinned_persona_keeps_its_places_and_changes_nothing_before_the_window_is_full(
    pinned: PersonaPlexModel, own_voices: Path
):
    plain = load(own_voices, pin=False)
    state = prefilled(pinned)
    until_full = WINDOW - state.positions
    frames = until_full + 40
    with_pin, without = call(pinned, frames), call(plain, frames)
    assert with_pin[:until_full] == without[:until_full]
    assert with_pin[until_full:] != without[until_full:]

    def kept(model: PersonaPlexModel) -> bool:
        cache = model.stepper._cache  # pyright: ignore[reportPrivateUsage]
        now = cache.excerpt(0, state.positions).numbers
        return torch.equal(now, state.cache.numbers)

    assert kept(pinned)
    assert not kept(plain)
    pinned.leave(0)


def test_a_caller_past_the_window_does_not_change_what_another_is_answered(pinned: PersonaPlexModel):
    """A row past its window makes the whole batch attend in another way."""
    for slot in range(2):
        pinned.leave(slot)
    alone = call(pinned, 40)
    pinned.leave(0)
    draw = np.random.default_rng(7)
    pinned.join(1, prefilled(pinned), Sampling(seed=9))
    for _ in range(WINDOW + 20):
        pinned.step_tokens({1: draw.normal(0, 0.1, 1920).astype(np.float32)})
    pinned.join(0, prefilled(pinned), SEED)
    noise = np.random.default_rng(0)
    beside: Tokens = []
    for _ in range(40):
        frame, other = (one.normal(0, 0.1, 1920).astype(np.float32) for one in (noise, draw))
        beside.append(pinned.step_tokens({0: frame, 1: other})[0].tokens.tolist())
    assert beside == alone
    for slot in (0, 1):
        pinned.leave(slot)


def test_int8_keys_and_values_take_a_quarter_and_say_nearly_the_same(own_voices: Path):
    """A quarter of float32; scales are a number for each vector. What is said differs at last, since it is
    drawn."""
    int8, plain = load(own_voices, pin=False, int8=True), load(own_voices, pin=False)
    small, large = prefilled(int8), prefilled(plain)
    head_dim = large.cache.numbers.shape[-1]
    assert small.cache.nbytes == large.cache.nbytes * (head_dim + 4) // (4 * head_dim)
    similarity = torch.cosine_similarity(small.hidden, large.hidden)
    assert similarity.item() > 0.999
    assert call(int8, 10)[0] == call(plain, 10)[0]

"""Token for token what NVIDIA's reference says: greedy, float32, on a CPU, whatever else happens.

Each case alone: ``test_captured_tick``, and the tests of the offline command.
"""

import numpy as np
import pytest

from personaplex_ui.engine.speech_model import Sampling, complete
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime import prefill as prefill_module
from personaplex_ui.models.personaplex.runtime.prefill import PrefillState
from tests.support.parity import Conversation, play, read_case

GREEDY = Sampling(greedy=True)


def join(model: PersonaPlexModel, name: str, slot: int) -> Conversation:
    case = read_case(name)
    prefill = complete(model.prepare(case.persona))
    assert isinstance(prefill, PrefillState)
    assert prefill.positions == case.prompt_positions
    model.join(slot, prefill, GREEDY)
    return Conversation(case, slot)


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_whatever_the_chunks_of_the_prompt(
    model: PersonaPlexModel, monkeypatch: pytest.MonkeyPatch, chunk: int
):
    monkeypatch.setattr(prefill_module, "CHUNK_POSITIONS", chunk)
    case = join(model, "voice_preset", 0).case
    said = [model.step_tokens({0: frame})[0].tokens.tolist() for frame in case.user[:20]]
    assert said == case.tokens[:20].tolist()


def test_with_a_kept_persona(model: PersonaPlexModel):
    case = read_case("voice_preset")
    cold = complete(model.prepare(case.persona))
    assert complete(model.prepare(case.persona)) is cold
    for _ in range(2):
        conversation = join(model, "voice_preset", 0)
        said = [model.step_tokens({0: frame})[0].tokens.tolist() for frame in case.user[:20]]
        assert said == conversation.case.tokens[:20].tolist()
        model.leave(0)


def test_three_in_one_batch_with_a_guest_who_comes_and_goes(model: PersonaPlexModel):
    """They join at different ticks, now and then one has no frame, and a fourth caller, who is sampled,
    joins and leaves in between, in the middle of the rows."""
    joins = {0: ("voice_preset", 1), 7: ("custom_voice_no_prompt", 3), 19: ("past_the_context_window", 0)}
    guest_slot, guest_from, guest_until = 2, 10, 30
    rng = np.random.default_rng(1)
    conversations: list[Conversation] = []
    tick = 0
    while tick < 20 or any(not c.over for c in conversations):
        if tick in joins:
            conversations.append(join(model, *joins[tick]))
        if tick == guest_from:
            model.join(guest_slot, complete(model.prepare(conversations[0].case.persona)), Sampling(seed=5))
        heard = {c.slot: c.next_frame for c in conversations if not c.over and (tick + c.slot) % 11}
        if guest_from <= tick < guest_until:
            heard[guest_slot] = rng.normal(0, 0.1, 1920).astype(np.float32)
        outputs = model.step_tokens(heard)
        assert set(outputs) == set(heard)
        for conversation in conversations:
            conversation.hear(outputs)
            if conversation.over:
                model.leave(conversation.slot)
        if tick == guest_until:
            model.leave(guest_slot)
        tick += 1
    for conversation in conversations:
        conversation.assert_parity()


def test_a_persona_that_is_prepared_while_others_are_live_disturbs_nobody(model: PersonaPlexModel):
    """A recorded voice goes through the codec that the live callers use, frame by frame between their
    ticks."""
    live = join(model, "voice_preset", 0)
    case = read_case("custom_voice_no_prompt")
    preparation = model.prepare(case.persona)
    other: Conversation | None = None
    while not live.over:
        live.hear(model.step_tokens({0: live.next_frame}))
        if other is None:
            preparation.advance()
            if preparation.done:
                model.join(1, preparation.persona(), GREEDY)
                other = Conversation(case, 1)
    live.assert_parity()
    assert other is not None, "the persona was never ready"
    play(model, other)
    other.assert_parity()


def test_a_seed_gives_the_same_tokens_whoever_else_is_on(model: PersonaPlexModel):
    case = read_case("voice_preset")
    prefill = complete(model.prepare(case.persona))
    frames = case.user[:30]

    def tokens_of(others: int) -> list[list[int]]:
        for slot in range(others):
            model.join(slot, prefill, Sampling(seed=slot))
        model.join(3, prefill, Sampling(seed=77, text_temperature=0.9))
        said = [
            model.step_tokens(
                {3: frame} | {slot: frames[(number + slot + 1) % 30] for slot in range(others)}
            )[3]
            for number, frame in enumerate(frames)
        ]
        for slot in (*range(others), 3):
            model.leave(slot)
        return [one.tokens.tolist() for one in said]

    alone = tokens_of(0)
    assert tokens_of(0) == alone
    assert tokens_of(2) == alone
    model.join(3, prefill, Sampling(seed=78, text_temperature=0.9))
    assert [model.step_tokens({3: frame})[3].tokens.tolist() for frame in frames] != alone

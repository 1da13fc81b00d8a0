"""The app beside plain moshi on the tiny checkpoint: equal tokens, and faults that are found and judged."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from moshi.models.compression import MimiModel

from personaplex_ui.accept import parity
from personaplex_ui.accept.agreement import Difference, Forced, agreement
from personaplex_ui.accept.conversation import Conversation, converse
from personaplex_ui.accept.parity import GREEDY, compare_with_moshi, measured
from personaplex_ui.accept.recorded_cases import compare_with_cases, read_cases
from personaplex_ui.accept.report import OK, PROBLEM, WARNING
from personaplex_ui.accept.speech import caller_speech, frames_of, recorded_voice
from personaplex_ui.accept.teacher_forcing import forced_as_in_calls, forced_by_moshi
from personaplex_ui.accept.weights import dtype_of, files_of, has_int8, kind_of_weights, quantized, whole
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.models.personaplex.loading.checkpoint import load_codec
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from tests.support.parity import DATA, TINY, unheard

VOICE = f"own-{'1' * 32}"
PERSONA = Persona(VOICE, "Be kind.")
FRAMES = 9
SOUND = frames_of(caller_speech(None), FRAMES)
SOURCE = Source(str(TINY), device="cpu", slots=2)


def unseen(part: float) -> None:
    assert 0 < part <= 1


def load(source: Source) -> PersonaPlexModel:
    model = load_personaplex(source, unheard)
    model.voices.put_upload(VOICE, recorded_voice()[: 20 * 1_920])
    return model


@pytest.fixture(scope="module")
def model() -> PersonaPlexModel:
    return load(whole(SOURCE))


@pytest.fixture(scope="module")
def mimi() -> MimiModel:
    return load_codec(files_of(SOURCE), torch.device("cpu"))


@pytest.fixture(scope="module")
def talk(model: PersonaPlexModel) -> Conversation:
    return converse(model, PERSONA, SOUND, GREEDY, unseen)


@pytest.fixture
def wrong_layer(model: PersonaPlexModel) -> Iterator[torch.Tensor]:
    """A weight that a test may change."""
    weight: torch.Tensor = model.language_model.linears[3].weight  # type: ignore[assignment]
    kept = weight.clone()
    yield weight
    weight.copy_(kept)


def test_forced_tokens_are_those_that_were_chosen_greedily(model: PersonaPlexModel, talk: Conversation):
    """So positions, prompt and logits are the conversation's own."""
    forced, first = forced_as_in_calls(model, talk.positions(model)), talk.prompt.shape[1]
    chosen = np.concatenate([forced.text_logits[:, None].argmax(-1), forced.audio_logits.argmax(-1)], axis=1)
    assert chosen[first - 1 : first - 1 + FRAMES, 0].tolist() == talk.said[:, 0].tolist()
    assert chosen[first - 1 : first - 1 + FRAMES, 1].tolist() == talk.said[:, 1].tolist()
    late = chosen[first : first + FRAMES - 1, 2:]
    assert late.tolist() == talk.said[: len(late), 2:].tolist()


def test_ours_and_moshis_say_the_same(model: PersonaPlexModel, mimi: MimiModel):
    tokens, positions = compare_with_moshi(model, mimi, PERSONA, SOUND, unseen)
    assert (tokens.verdict, tokens.number) == (OK, f"{FRAMES - 1} of {FRAMES - 1} frames equal")
    assert positions.verdict is OK
    assert positions.number == "cosine 1.00000"


def test_another_token_is_found_with_its_frame_and_margin(
    model: PersonaPlexModel, mimi: MimiModel, monkeypatch: pytest.MonkeyPatch
):
    said = parity._said_by_moshi  # pyright: ignore[reportPrivateUsage]

    def off(*arguments: object) -> Conversation:
        heard: Conversation = said(*arguments)  # type: ignore[arg-type]
        heard.said[4, 3] = (heard.said[4, 3] + 1) % 2_048
        return heard

    monkeypatch.setattr(parity, "_said_by_moshi", off)
    tokens, _ = compare_with_moshi(model, mimi, PERSONA, SOUND, unseen)
    assert (tokens.verdict, tokens.number) == (PROBLEM, f"4 of {FRAMES - 1} frames equal")
    assert "They part at frame 4, in codebook 3" in tokens.sentence
    assert "Do not go live" in tokens.next_step
    assert abs(float(str(tokens.data["margin"]))) > float(str(tokens.data["rounding"]))


@pytest.mark.parametrize(("stream", "position"), [(0, 13), (1, 13), (2, 14), (8, 14)])
def test_a_margin_is_read_where_the_token_was_chosen(stream: int, position: int):
    forced = Forced(
        np.zeros((20, 4), np.float32), np.zeros((20, 6), np.float32), np.zeros((20, 8, 6), np.float32)
    )
    place = forced.text_logits[position] if stream == 0 else forced.audio_logits[position, stream - 1]
    place[2], place[5] = 1.5, 4.0
    found = measured(Difference(4, stream, 2, 5), forced, prompt_positions=10, dtype="bfloat16")
    assert found.margin == 2.5
    assert found.rounding == pytest.approx(8 * 4 / 256)


def test_other_weights_are_told_apart_position_by_position(
    model: PersonaPlexModel, talk: Conversation, wrong_layer: torch.Tensor
):
    positions = talk.positions(model)
    before = forced_by_moshi(model.language_model, positions)
    wrong_layer.add_(torch.roll(wrong_layer, 1, 0))
    found = agreement(forced_as_in_calls(model, positions), before)
    assert found.text_top1 == 1.0
    assert found.audio_top1 < 0.95


def test_int8_weights_are_close_but_not_the_same(model: PersonaPlexModel, talk: Conversation):
    int8 = load(quantized(SOURCE))
    assert (has_int8(int8), kind_of_weights(int8), dtype_of(int8)) == (True, "int8", "float32")
    assert (has_int8(model), kind_of_weights(model)) == (False, "float32")
    positions = talk.positions(model)
    found = agreement(forced_as_in_calls(model, positions), forced_as_in_calls(int8, positions))
    assert 0.999 < found.hidden_cosine < 0.9999999


def test_a_recorded_case_and_one_that_differs(model: PersonaPlexModel, tmp_path: Path):
    [case] = [case for case in read_cases(DATA / "cases") if case.name == "voice_preset"]
    short = type(case)(case.name, case.voice, case.text_prompt, case.sound[:6], case.said[:6], "float32")
    [same] = compare_with_cases(model, [short], unseen)
    assert (same.verdict, same.number) == (OK, "6 of 6 frames equal")
    said = short.said.copy()
    said[2, 0] += 1
    for dtype, verdict in (("float32", PROBLEM), ("bfloat16", WARNING)):
        other = type(case)(case.name, case.voice, case.text_prompt, short.sound, said, dtype)
        [found] = compare_with_cases(model, [other], unseen)
        assert (found.verdict, found.number) == (verdict, "2 of 6 frames equal")
        assert "in the text" in found.sentence
    unknown = type(case)(case.name, "NATF9", "", short.sound, said, "float32")
    [found] = compare_with_cases(model, [unknown], unseen)
    assert found.verdict is PROBLEM
    assert "There is no voice NATF9" in found.sentence

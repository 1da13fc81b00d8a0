"""The API with PersonaPlex behind it, on the tiny checkpoint: what the reference says, whoever else talks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
import sentencepiece
from gradio_client import Client, handle_file

from personaplex_ui.calls.transcript import to_records, utterances_of
from personaplex_ui.models.personaplex.runtime.text import PieceReader, Tokenizer
from tests.e2e.test_api import samples_of
from tests.support import parity
from tests.support.app_process import TINY, AppProcess
from tests.support.clients.browser_process import LIVE, CallerProcess

SLOTS = 3
TOKENIZER = Path(TINY["HF_REPO"]) / "tokenizer_spm_32k_3.model"
USER = parity.DATA / "cases" / "voice_preset" / "user.wav"

VARIABLES = {"MAX_CALLS": str(SLOTS), **TINY}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def caller(app: AppProcess) -> Iterator[CallerProcess]:
    """Somebody who is live meanwhile, until the test has them hang up."""
    caller = CallerProcess(app.url)
    caller.start()
    caller.wait_for(LIVE)
    yield caller
    caller.close()
    app.wait_for_slots(SLOTS)


def converse(client: Client, **values: Any) -> Any:
    """A job, whose result is the path of the answer and its transcript."""
    return client.submit(audio=handle_file(USER), api_name="/converse", **values)


def same(one: Any, other: Any) -> bool:
    """The same tokens; their sound may be rounded otherwise in a batch of another size."""
    return one[1] == other[1] and np.allclose(samples_of(one[0]), samples_of(other[0]), rtol=0, atol=1e-4)


def test_the_voices_are_those_of_the_model(client: Client, app: AppProcess):
    voices: Any = client.predict(api_name="/voices")
    assert [voice["name"] for voice in voices] == ["NATF0", "NATM1"]
    listed = httpx.get(f"{app.url}/voices").json()
    assert listed == {"voices": ["NATF0.pt", "NATM1.pt"], "default": "NATF0.pt"}
    health = httpx.get(f"{app.url}/health").json()
    assert (health["model"], health["device"], health["lines_free"]) == ("personaplex", "cpu", SLOTS)


def test_a_greedy_answer_is_the_references_in_sound_and_text(
    client: Client, app: AppProcess, caller: CallerProcess
):
    case = parity.read_case("voice_preset")
    persona = {"voice": f"{case.persona.voice}.pt", "text_prompt": case.persona.text_prompt}
    path, transcript = converse(client, **persona, greedy=True).result(60)
    said = samples_of(path)
    assert len(said) == len(samples_of(str(USER)))
    expected = case.pcm.ravel()
    assert np.max(np.abs(said[: len(expected)] - expected)) < 1e-3 + 1 / 32_768

    tokenizer = cast(Tokenizer, sentencepiece.SentencePieceProcessor(str(TOKENIZER)))
    reader = PieceReader(tokenizer)
    pieces = [(number, reader.push(int(token))) for number, token in enumerate(case.tokens[:, 0])]
    (line,) = to_records(utterances_of((number, piece) for number, piece in pieces if piece))
    assert transcript[0]["text"].startswith(line["text"])  # the clip has a frame more than the case
    assert transcript[0]["start_sec"] == line["start_sec"]
    caller.hang_up()


def test_a_seed_gives_the_same_answer_whoever_else_talks(
    client: Client, app: AppProcess, caller: CallerProcess
):
    """Alone beside a live caller, then two clips at once beside them: three in a batch."""
    alone = converse(client, seed=7).result(60)
    jobs = [converse(client, seed=7), converse(client, seed=8)]
    again, other = [job.result(60) for job in jobs]
    assert same(again, alone)
    assert not same(other, alone)
    assert alone[1][0]["text"] != other[1][0]["text"]
    assert app.free_slots() == SLOTS - 1  # the caller is still on
    caller.hang_up()
    app.wait_for_slots(SLOTS)
    assert same(converse(client, seed=7).result(60), alone)

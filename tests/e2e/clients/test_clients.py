"""Other people's clients hold whole calls with the app, on both engines: sound both ways, text, waiting for
the only slot, connecting again, a wrong password.

All clients call at once and wait their turn, so the calls are held once for all tests.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.e2e.clients.person import TONE_AMPLITUDE, TONE_SEC
from tests.e2e.clients.programs import (
    CLIENTS,
    FUJIELAB,
    HERE,
    LIVEKIT,
    MOSHI,
    THEIR_PYTHON,
    Program,
    require_environment,
    start_client,
)
from tests.support.app_process import ECHO, TELEPHONE, TINY, AppProcess, wait_until
from tests.support.clients.moshi import chat
from tests.support.clients.twilio import CALL_SID, STREAM_SID
from tests.support.clients.twilio_account import TwilioAccount, parameters
from tests.support.password import PASSWORD
from tests.support.whistle import Whistle, cleanness_db, whistles_in

pytestmark = [pytest.mark.timeout(240), pytest.mark.alone]

VOICE = "SAMEPITCH"
"""The echo speaks higher or lower with the voices it knows, and with others as it was spoken to."""
WRONG = "not the password"
LEVEL_DB = 20 * float(np.log10(TONE_AMPLITUDE / np.sqrt(2)))
FOR_FOUR_SEC = 4.0


@dataclass(frozen=True)
class Calls:
    """``first``, ``second``: each client's. ``refused``: those with a wrong password."""

    first: dict[str, Program]
    second: dict[str, Program]
    refused: dict[str, Program]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AppProcess]]:
    """``echo`` with one slot and a telephone, ``tiny`` with three; both with a password."""
    require_environment()
    voices = tmp_path_factory.mktemp("voices")
    (voices / f"{VOICE}.wav").touch()  # the echo reads no voice, the name is enough
    one_voice = {"VOICES_DIR": str(voices), "DEFAULT_VOICE_PROMPT": VOICE}
    variables = {
        "echo": {**ECHO, **TELEPHONE, **one_voice, "MAX_CALLS": "1"},
        "tiny": {**TINY, "MAX_CALLS": "3"},
    }
    started = {
        name: AppProcess(tmp_path_factory.mktemp(name), APP_PASSWORD=PASSWORD, **given)
        for name, given in variables.items()
    }
    try:
        for app in started.values():
            app.wait_until_ready()
        yield started
    finally:
        for app in started.values():
            app.close()
    assert [app.exceptions() for app in started.values()] == [[], []]


@pytest.fixture(scope="module")
def echo(apps: dict[str, AppProcess]) -> AppProcess:
    return apps["echo"]


@pytest.fixture(scope="module")
def tiny(apps: dict[str, AppProcess]) -> AppProcess:
    return apps["tiny"]


@pytest.fixture(scope="module")
def calls(echo: AppProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    folder = tmp_path_factory.mktemp("clients")
    programs: list[Program] = []

    def start(name: str, what: str, password: str = PASSWORD) -> Program:
        programs.append(start_client(name, echo, folder / f"{name}-{what}", VOICE, password))
        return programs[-1]

    async def call_in_turns(what: str, patient: tuple[str, ...]) -> dict[str, Program]:
        """No call is disturbed by a program that is starting: all wait for the slot before the first one
        gets it."""
        async with taken_slot(echo):
            called = {name: start(name, what) for name in patient}
            await asyncio.to_thread(wait_until, lambda: echo.waiting() == len(called), 90, "they wait")
            # This one waits for half a minute only, in which the others may not even have started.
            called[FUJIELAB] = start(FUJIELAB, what)
            await asyncio.to_thread(wait_until, lambda: echo.waiting() == len(called), 90, "all wait")
        await asyncio.gather(*(asyncio.to_thread(program.wait) for program in programs))
        return called

    async def hold_calls() -> Calls:
        refused = {name: start(name, "refused", WRONG) for name in CLIENTS}
        # The one that only gives up after half a minute is left to itself.
        await asyncio.gather(*(asyncio.to_thread(refused[name].wait) for name in (MOSHI, LIVEKIT)))
        first = await call_in_turns("first", (MOSHI, LIVEKIT))
        # LiveKit's begins its second call by itself.
        second = await call_in_turns("second", (MOSHI,)) | {LIVEKIT: first[LIVEKIT]}
        return Calls(first, second, refused)

    try:
        yield asyncio.run(hold_calls())
    finally:
        for program in programs:
            program.end()


@asynccontextmanager
async def taken_slot(app: AppProcess) -> AsyncGenerator[None]:
    """By somebody else."""
    async with chat(app.url, {"password": PASSWORD}) as holder:
        await holder.until(lambda: holder.ready)
        yield


def text_of(program: Program, call: int = 1) -> str:
    """What was said to it, as far as it shows that."""
    if (program.folder.name).startswith(LIVEKIT):
        return str(json.loads(program.said)["texts"][call - 1])
    return program.said


def answer_in(program: Program, call: int = 1) -> Whistle:
    """The tone as it came back; what is loud before it is the greeting."""
    whistles = whistles_in(*program.heard(call))
    assert whistles, f"{program.folder.name} heard nothing\n{program.said}\n{program.log}"
    return whistles[-1]


def check_answer(answer: Whistle) -> None:
    """It is the tone that was said: its pitch, its level, its length."""
    assert answer.sec == pytest.approx(TONE_SEC, abs=0.25)
    assert answer.level_db == pytest.approx(LEVEL_DB, abs=1.5)
    assert cleanness_db([answer], but_for=0.25) > 15.0


@pytest.mark.parametrize("name", CLIENTS)
def test_a_whole_call_after_waiting_for_the_slot(calls: Calls, name: str) -> None:
    program = calls.first[name]
    assert program.process.returncode == 0, program.log
    check_answer(answer_in(program))
    assert "Hello!" in text_of(program)


@pytest.mark.parametrize("name", [MOSHI, LIVEKIT])  # the third one leaves out numbers
def test_what_it_said_was_heard(calls: Calls, name: str) -> None:
    heard = re.search(r"([\d.]+) s,? at (?:a level of )?(-\d+) dBFS", text_of(calls.first[name]))
    assert heard is not None, text_of(calls.first[name])
    assert float(heard[1]) == pytest.approx(TONE_SEC, abs=0.6)  # the listener waits for the end
    assert float(heard[2]) == pytest.approx(LEVEL_DB, abs=3.0)


@pytest.mark.parametrize("name", CLIENTS)
def test_it_may_call_again(calls: Calls, name: str) -> None:
    program = calls.second[name]
    assert program.process.returncode == 0, program.log
    check_answer(answer_in(program, 2 if name == LIVEKIT else 1))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (MOSHI, "WSServerHandshakeError: 401"),
        (FUJIELAB, "server rejected WebSocket connection: HTTP 401"),
        (LIVEKIT, "401, message="),
    ],
)
def test_with_a_wrong_password_it_is_told_so_once(
    calls: Calls, echo: AppProcess, name: str, told: str
) -> None:
    program = calls.refused[name]
    assert told in program.log
    assert "connection rejected (401" in echo.log
    assert " ERROR " not in echo.log
    assert not list(program.folder.glob("heard-*.wav")) or name == LIVEKIT
    if name == LIVEKIT:
        outcome = json.loads(program.said)
        assert [recoverable for _, recoverable in outcome["errors"]] == [False]
        assert outcome["gave_up"]


async def test_all_at_once_on_the_tiny_model(tiny: AppProcess, tmp_path: Path) -> None:
    programs = [start_client(name, tiny, tmp_path / name, "NATF0", PASSWORD) for name in CLIENTS]
    try:
        await asyncio.gather(*(asyncio.to_thread(program.wait) for program in programs))
        for program in programs:
            for call in (1, 2) if program.folder.name == LIVEKIT else (1,):
                sound, rate_hz = program.heard(call)
                # The model answers each frame that it hears: as long as sound comes back, sound came.
                level = np.sqrt(np.mean(sound[-int(FOR_FOUR_SEC * rate_hz) :].reshape(40, -1) ** 2, axis=1))
                assert np.quantile(level, 0.25) > 0.005, f"{program.folder.name}: {level}"
                assert re.search(r"\w\w", text_of(program, call)), program.said
    finally:
        for program in programs:
            program.end()


async def test_twilios_part_by_pipecat(echo: AppProcess, calls: Calls, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=echo.url) as http:
        answer = await TwilioAccount(http).ask("/twilio/inbound", CALL_SID)
    start = {"streamSid": STREAM_SID, "callSid": CALL_SID, "customParameters": parameters(answer)}
    url = f"ws://127.0.0.1:{echo.port}/twilio/media-stream"
    script = HERE / "pipecat_peer.py"
    folder = tmp_path / "pipecat"
    command = [str(THEIR_PYTHON), str(script), url, json.dumps(start), str(folder / "heard-1.wav")]
    program = Program(folder, command)
    try:
        await asyncio.to_thread(program.wait)
        assert program.said.splitlines()[-1:] == ["1000"], program.log
        check_answer(answer_in(program))
    finally:
        program.end()

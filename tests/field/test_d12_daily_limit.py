"""OUTBOUND_DAILY_LIMIT holds across restarts and processes; who rings meanwhile is not forgotten."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twilio.rest import Client

from personaplex_ui.channels.twilio import pending_dials
from personaplex_ui.channels.twilio.call_log import FILE
from personaplex_ui.channels.twilio.daily_count import DAY_SEC
from personaplex_ui.channels.twilio.pending_dials import KEPT_SEC, DailyLimitReached, PendingDials
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import PhoneUnavailable
from tests.support.app_process import ROOT
from tests.support.clock import Clock
from tests.support.phone_app import PhoneApp, phone_app
from tests.support.twilio_rest import TwilioRest, client_of, twilio_rest

TO = "+15551234567"
PERSONA = Persona("NATM1", "You are “Tom”.")
NOON = 20_000.5 * DAY_SEC


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def rest() -> Iterator[TwilioRest]:
    with twilio_rest() as rest:
        yield rest


@pytest.fixture
def client(rest: TwilioRest) -> Iterator[Client]:
    with client_of(rest) as client:
        yield client


async def dial(app: PhoneApp) -> str:
    call = await app.phone.outbound.dial(TO, "NATM1", PERSONA.text_prompt, "https://example.org")
    return call.call_sid


async def test_a_restart_neither_begins_the_day_anew_nor_forgets_who_rings(
    rest: TwilioRest, client: Client, tmp_path: Path
) -> None:
    for left in (1, 0):  # a process for each call
        async with phone_app(tmp_path, client=client, daily_limit=2) as app:
            await app.phone.open()
            assert app.phone.outbound.left_today == left + 1
            call_sid = await dial(app)
            assert app.phone.outbound.left_today == left
            app.phone.call_log.flush()
    async with phone_app(tmp_path, client=client, daily_limit=2) as app:
        await app.phone.open()
        with pytest.raises(DailyLimitReached, match="2 calls a day"):
            await dial(app)
        assert len(rest.calls) == 2
        key = rest.calls[-1]["Url"].partition("?key=")[2]
        assert PERSONA.text_prompt in await app.phone.answers.outbound(
            call_sid, TO, key, "https://example.org"
        )
        rings = app.phone.call_log.get(call_sid)
        assert rings is not None
        assert (rings.direction, rings.number) == ("outbound", "+15…4567")
        app.clock.now += DAY_SEC
        assert app.phone.outbound.left_today == 2
        await dial(app)


async def test_a_voice_that_a_restart_has_lost_is_told(tmp_path: Path) -> None:
    dial = PendingDials(tmp_path, 20).begin(Persona("GONE", ""))
    async with phone_app(tmp_path) as app:
        answer = await app.phone.answers.outbound("CA1", TO, dial.key, "https://example.org")
    assert "a voice or a role that cannot be used" in answer


async def test_what_cannot_be_counted_is_not_dialled(
    rest: TwilioRest, client: Client, tmp_path: Path
) -> None:
    (tmp_path / FILE).mkdir()
    async with phone_app(tmp_path, client=client) as app:
        await app.phone.open()
        with pytest.raises(PhoneUnavailable, match="check that RECORDINGS_DIR is writable"):
            await dial(app)
        assert "not answered in time" in await app.phone.answers.outbound(
            "CA1", TO, "a key", "https://example.org"
        )
    assert rest.asked == []


def test_processes_share_the_limit(tmp_path: Path, clock: Clock) -> None:
    taking = f"""
import sys
from pathlib import Path
from personaplex_ui.channels.twilio.pending_dials import DailyLimitReached, PendingDials
from personaplex_ui.engine.speech_model import Persona
dials, made = PendingDials(Path({str(tmp_path)!r}), 25, lambda: {NOON}), 0
for _ in range(20):
    try:
        dials.begin(Persona("NATF2", ""))
        made += 1
    except DailyLimitReached:
        pass
print(made)
"""
    command = [sys.executable, "-c", taking]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sum(int(process.communicate(timeout=50)[0]) for process in processes) == 25
    dials = PendingDials(tmp_path, 25, clock)
    dials.load()
    assert dials.left_today == 0


def test_an_attempt_given_back_counts_on_its_day_no_more(tmp_path: Path, clock: Clock) -> None:
    dials = PendingDials(tmp_path, 1, clock)
    for _ in range(3):
        dial = dials.begin(PERSONA)
        with pytest.raises(DailyLimitReached):
            dials.begin(PERSONA)
        dials.give_back(dial)
        assert dials.take(dial.key) is None
    again = PendingDials(tmp_path, 1, clock)
    again.load()
    assert again.left_today == dials.left_today == 1
    late = dials.begin(PERSONA)
    clock.now += DAY_SEC
    assert dials.left_today == 1
    dials.give_back(late)  # an answer that came after midnight
    assert dials.left_today == 1
    dials.begin(PERSONA)
    assert dials.left_today == 0


def test_a_persona_is_kept_for_one_answer_and_for_five_minutes(tmp_path: Path, clock: Clock) -> None:
    dials = PendingDials(tmp_path, 20, clock)
    first, late = dials.begin(PERSONA), dials.begin(PERSONA)
    assert dials.take("") is None
    assert [dials.take(first.key) for _ in range(2)] == [PERSONA, None]
    clock.now += KEPT_SEC + 1
    assert dials.take(late.key) is None


def test_only_so_many_may_ring(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_dials, "MOST_RINGING", 2)
    dials = PendingDials(tmp_path, 20, clock)
    for _ in range(2):
        dials.begin(PERSONA)
    with pytest.raises(PhoneUnavailable, match="already ringing"):
        dials.begin(PERSONA)
    assert dials.left_today == 18
    clock.now += KEPT_SEC + 1
    dials.begin(PERSONA)


def test_a_limit_of_none_makes_no_call(tmp_path: Path) -> None:
    with pytest.raises(DailyLimitReached, match="is 0"):
        PendingDials(tmp_path, 0).begin(PERSONA)

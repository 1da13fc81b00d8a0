"""A telephone caller wants a person: whole calls over the webhooks and the stream, on a fake model."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personaplex_ui.calls.conversation_lines import Who
from personaplex_ui.calls.cues import Cue
from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.twilio import spoken_sentences
from personaplex_ui.channels.twilio.spoken_sentences import BACK, BUSY, CONNECTING, NOT_REACHED
from personaplex_ui.channels.twilio.transfers import transfers
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.errors import SettingsError
from tests.support.phone_app import CALL_SID, SERVER_URL, Answered, PhoneApp, phone_app, read_twiml
from tests.support.running import until
from tests.support.twilio_rest import PHONE_NUMBER
from tests.support.twilio_rig import Peer, key

OPERATOR = "+4930123456"
OPEN = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
"""A Monday."""
CLOSED = OPEN + 6 * 3_600
HUMAN = Human.from_texts(OPERATOR, "Mo-Fr 09:00-17:00", "UTC", "")

Ask = Callable[[Peer], None]


def press_0(peer: Peer) -> None:
    peer.send(key("0"))


def give_the_cue(peer: Peer) -> None:
    for listener in peer.call.on_cue:
        listener(Cue.HUMAN)


@asynccontextmanager
async def human_app(
    folder: Path, human: Human = HUMAN, daily_limit: int = 20, personas: str | None = None
) -> AsyncGenerator[PhoneApp]:
    async with phone_app(folder, personas=personas, human=human, human_daily_limit=daily_limit) as app:
        app.clock.now = OPEN
        yield app


@pytest.fixture
async def app(tmp_path: Path) -> AsyncGenerator[PhoneApp]:
    async with human_app(tmp_path) as app:
        yield app


async def put_through(app: PhoneApp, ask: Ask = press_0, answered: Answered | None = None) -> Answered:
    """A call that asks for a person while they are there; what Twilio is told then."""
    async with app.stream(answered or await app.inbound()) as peer:
        ask(peer)
        assert await peer.over() == (1000, spoken_sentences.TRANSFERRED)
        await app.call_manager.ended(peer.call)
    return read_twiml(await app.twilio("/twilio/ended", {"CallStatus": "in-progress"}))


async def dialled(app: PhoneApp, status: str, **fields: str) -> Answered:
    """What Twilio is told when dialling has ended with ``status``."""
    form = {"DialCallStatus": status, "CallStatus": "in-progress", **fields}
    return read_twiml(await app.twilio("/twilio/transferred", form))


@pytest.mark.parametrize("ask", [press_0, give_the_cue])
async def test_who_asks_in_hours_is_put_through(app: PhoneApp, ask: Ask) -> None:
    answered = await put_through(app, ask)
    assert (answered.said, answered.dials) == (CONNECTING, OPERATOR)
    assert answered.dial == {
        "action": f"{SERVER_URL}/twilio/transferred",
        "method": "POST",
        "callerId": PHONE_NUMBER,
        "timeout": "25",
        "timeLimit": "3600",
    }
    entry = app.phone.call_log.get(CALL_SID)
    assert entry is not None
    assert (entry.end, entry.reason) == (End.TRANSFERRED, spoken_sentences.TRANSFERRED)
    assert (entry.status, entry.ended_at) == ("in-progress", None)
    assert app.phone.transfers.left_today == 19
    ended = await dialled(app, "completed")
    assert (ended.hangs_up, ended.said) == (True, "")
    assert (entry.status, entry.over) == ("completed", True)
    assert app.phone.transfers.counts()["connected"] == 1


async def test_a_phrase_of_the_assistant_puts_the_caller_through_and_is_not_heard(tmp_path: Path) -> None:
    human = Human.from_texts(OPERATOR, "", "UTC", "Word, word!")
    async with human_app(tmp_path, human) as app:
        async with app.stream(await app.inbound()) as peer:
            for _ in range(50):
                if peer.closed is None:
                    await peer.say(0.08)
            assert await peer.over() == (1000, spoken_sentences.TRANSFERRED)
            assert "word word" not in "".join(peer.call.transcript.pieces)
        told = read_twiml(await app.twilio("/twilio/ended", {"CallStatus": "in-progress"}))
        assert told.dials == OPERATOR


async def test_without_a_number_a_phrase_is_nothing_special(tmp_path: Path) -> None:
    async with human_app(tmp_path, Human(phrases=("word word",))) as app:
        grant = app.phone.streams.admit((await app.inbound()).start())
        assert grant.cues == app.call_manager.cues


async def test_who_asks_outside_the_hours_is_told_when_somebody_is_there_and_talks_on(app: PhoneApp) -> None:
    app.clock.now = CLOSED
    async with app.stream(await app.inbound()) as peer:
        press_0(peer)
        await until(lambda: bool(app.model.spoken))
        assert app.model.spoken[0][1] == spoken_sentences.NOBODY_THERE.format(when="tomorrow at 9 am")
        assert not any(line.who is Who.TYPED for line in peer.call.conversation.lines)
        assert await peer.is_answered()
        press_0(peer)
        await peer.say(0.1)
        assert len(app.model.spoken) == 1, "it is being said"
        app.clock.now += 11
        press_0(peer)
        await until(lambda: len(app.model.spoken) == 2)
    assert app.phone.transfers.counts()["closed"] == 2
    assert app.phone.transfers.left_today == 20


@pytest.mark.parametrize("digit", ["1", "*", "#"])
async def test_other_keys_do_nothing(app: PhoneApp, digit: str) -> None:
    async with app.stream(await app.inbound()) as peer:
        peer.send(key(digit))
        assert await peer.is_answered()


@pytest.mark.parametrize("ask", [press_0, give_the_cue])
async def test_without_a_number_nothing_happens(tmp_path: Path, ask: Ask) -> None:
    async with phone_app(tmp_path) as app, app.stream(await app.inbound()) as peer:
        ask(peer)
        assert await peer.is_answered()
        assert not app.model.spoken


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("no-answer", "no_answer"),
        ("busy", "busy"),
        ("failed", "failed"),
        ("canceled", "no_answer"),
        ("?", "failed"),
    ],
)
async def test_if_nobody_answers_the_caller_is_back_with_the_assistant(
    app: PhoneApp, status: str, outcome: str
) -> None:
    await put_through(app)
    back = await dialled(app, status)
    assert back.said == f"{NOT_REACHED.get(status, NOT_REACHED['failed'])} {BACK}"
    assert back.action == f"{SERVER_URL}/twilio/ended"
    async with app.stream(back) as peer:
        assert await peer.is_answered()
        entry = app.phone.call_log.get(CALL_SID)
        assert entry is not None
        assert (entry.call_id, entry.end, entry.reason, entry.over) == (peer.call.call_id, None, "", False)
    assert {name for name, count in app.phone.transfers.counts().items() if count} == {outcome}


async def test_if_nobody_answers_and_no_line_is_free_the_call_ends(app: PhoneApp) -> None:
    await put_through(app)
    async with app.stream(await app.inbound("CA2"), "CA2"):
        ended = await dialled(app, "busy")
        assert (ended.hangs_up, ended.said) == (True, f"{NOT_REACHED['busy']} {BUSY}")


async def test_who_hangs_up_while_it_rings_is_told_nothing(app: PhoneApp) -> None:
    await put_through(app)
    ended = await dialled(app, "no-answer", CallStatus="completed")
    assert (ended.hangs_up, ended.said) == (True, "")


async def test_who_hangs_up_before_twilio_asks_is_not_put_through(app: PhoneApp) -> None:
    async with app.stream(await app.inbound()) as peer:
        press_0(peer)
        await peer.over()
    ended = read_twiml(await app.twilio("/twilio/ended", {"CallStatus": "completed"}))
    assert (ended.hangs_up, ended.dials) == (True, "")


async def test_one_call_is_put_through_three_times_at_most(app: PhoneApp) -> None:
    answered = await app.inbound()
    for _ in range(transfers.MOST_IN_A_CALL):
        await put_through(app, answered=answered)
        answered = await dialled(app, "busy")
    async with app.stream(answered) as peer:
        press_0(peer)
        await until(lambda: bool(app.model.spoken))
        assert app.model.spoken[0][1] == spoken_sentences.NO_MORE_TRANSFERS


async def test_a_day_has_a_limit_which_a_restart_does_not_change(tmp_path: Path) -> None:
    async with human_app(tmp_path, daily_limit=1) as app:
        await put_through(app)
    async with human_app(tmp_path, daily_limit=1) as app:
        await app.phone.open()
        assert app.phone.transfers.left_today == 0
        async with app.stream(await app.inbound()) as peer:
            press_0(peer)
            await until(lambda: bool(app.model.spoken))
            assert app.model.spoken[0][1] == spoken_sentences.NO_TRANSFER_TODAY
            assert await peer.is_answered()
        assert app.phone.transfers.counts()["limit"] == 1


async def test_a_transfer_that_cannot_be_counted_is_not_made(tmp_path: Path, app: PhoneApp) -> None:
    async with app.stream(await app.inbound()) as peer:
        app.phone.call_log.flush()
        file = tmp_path / "phone.sqlite3"
        file.unlink(missing_ok=True)
        file.mkdir()
        press_0(peer)
        await until(lambda: bool(app.model.spoken))
        assert app.model.spoken[0][1] == spoken_sentences.NO_TRANSFER_TODAY


async def test_a_transfer_of_a_call_that_ended_meanwhile_is_not_counted(app: PhoneApp) -> None:
    async with app.stream(await app.inbound()) as peer:
        press_0(peer)
        give_the_cue(peer)
        peer.call.hang_up("Why.", End.TIME_LIMIT)
        await peer.over()
        await until(lambda: app.phone.transfers.left_today == 20)
    assert read_twiml(await app.twilio("/twilio/ended")).said == "Why."


async def test_each_number_has_its_own_person(tmp_path: Path) -> None:
    own, nobody = "+15550003333", "+15550004444"
    personas = {own: {"human_number": "+49 40 123456", "human_hours": "24/7"}, nobody: {"human_number": ""}}
    async with human_app(tmp_path, personas=json.dumps(personas)) as app:
        assert (await put_through(app, answered=await app.inbound(To=own))).dials == "+4940123456"
        async with app.stream(await app.inbound("CA2", To=nobody), "CA2") as peer:
            press_0(peer)
            assert await peer.is_answered()


async def test_after_a_restart_the_caller_is_told_to_call_again(tmp_path: Path, app: PhoneApp) -> None:
    await put_through(app)
    app.phone.transfers.forget(CALL_SID)
    assert read_twiml(await app.twilio("/twilio/ended")).said == spoken_sentences.NOT_CONNECTED
    ended = await dialled(app, "no-answer")
    assert ended.said == f"{NOT_REACHED['no-answer']} {spoken_sentences.CALL_AGAIN}"


async def test_only_twilio_may_tell_how_dialling_ended(app: PhoneApp) -> None:
    await put_through(app)
    form = {"DialCallStatus": "no-answer"}
    assert (await app.twilio("/twilio/transferred", form, token="another")).status_code == 403
    assert (await app.twilio("/twilio/transferred", form, DialCallStatus="completed")).status_code == 403
    assert not any(app.phone.transfers.counts().values())


async def test_a_person_with_a_number_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a number that this server answers"):
        async with human_app(tmp_path, human=Human(PHONE_NUMBER)):
            pass
    personas = json.dumps({"+15550003333": {}, "*": {"human_number": "+1 555 000 3333"}})
    with pytest.raises(SettingsError, match="a number that this server answers"):
        async with human_app(tmp_path, personas=personas):
            pass


async def test_no_number_is_logged(app: PhoneApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await put_through(app)
        await dialled(app, "busy")
    assert "+49…3456" in caplog.text
    assert OPERATOR not in caplog.text


async def test_what_is_known_of_calls_is_bounded(app: PhoneApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "MOST_KNOWN", 1)
    answered = await app.inbound()
    async with app.stream(answered) as peer:
        settings = peer.call.settings
        app.phone.transfers.expect("CA2", HUMAN, settings)
        press_0(peer)
        await asyncio.sleep(0)
        assert await peer.is_answered(), "the oldest is forgotten"

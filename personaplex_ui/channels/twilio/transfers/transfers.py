"""Puts telephone callers through to a person: who asks, whether it may be done, and how it went.

The caller asks with the key 0, or the assistant with a phrase; then the call ends for us with
``End.TRANSFERRED``, and Twilio, which asks what comes next, is told to dial. Depends on calls and TwiML, not
on requests, signatures or sound. Everything runs on the event loop.
"""

import asyncio
import enum
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.cues import Cue, Cues
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.twilio import spoken_sentences, twiml
from personaplex_ui.channels.twilio.call_log import FILE
from personaplex_ui.channels.twilio.daily_count import DailyCount
from personaplex_ui.channels.twilio.media_stream.protocol import Dtmf
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.database import Database
from personaplex_ui.errors import PersonaplexError, StorageFailed
from personaplex_ui.web.twilio_paths import TRANSFERRED_PATH

log = logging.getLogger(__name__)

KEY = "0"
MOST_IN_A_CALL = 3
"""Attempts, so that one caller cannot use up the day's."""

ASKED_AGAIN_SEC = 10.0
"""Within this time after a refusal, asking again does nothing: the refusal is still being said."""

MOST_KNOWN = 1_000
"""Calls whose person is known; those of the oldest are forgotten first."""

SPOKEN_WITHIN_SEC = 5.0


class Outcome(enum.StrEnum):
    """``CLOSED``: outside the hours. ``LIMIT``: the day's or the call's transfers are used up. The others are
    how dialling ended."""

    CONNECTED = "connected"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FAILED = "failed"
    CLOSED = "closed"
    LIMIT = "limit"


OUTCOMES = {
    "completed": Outcome.CONNECTED,
    "answered": Outcome.CONNECTED,
    "no-answer": Outcome.NO_ANSWER,
    "canceled": Outcome.NO_ANSWER,
    "busy": Outcome.BUSY,
}
"""By Twilio's ``DialCallStatus``; anything else is a failure."""


@dataclass(slots=True)
class Party:
    """What is known of one telephone call. ``settings``: with which the assistant answers, also after a
    transfer that failed. ``granted``: Twilio is to dial as soon as it asks."""

    human: Human
    settings: CallSettings
    attempts: int = 0
    deciding: bool = False
    granted: bool = False
    refused_at: float = float("-inf")


class Transfers:
    """``directory``: where the day's transfers are counted, at most ``daily_limit``. ``clock`` gives the time
    as ``time.time`` does."""

    def __init__(self, directory: Path, daily_limit: int, clock: Callable[[], float]) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._count = DailyCount("transfer", daily_limit, clock)
        self._database = Database(directory / FILE, self._count.schema)
        self._clock = clock
        self._parties: dict[str, Party] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def left_today(self) -> int:
        """Transfers that may still be made today, as far as is known."""
        return self._count.left_today

    def counts(self) -> dict[str, int]:
        """How often callers' wishes to be put through ended in each way, since the process began."""
        return {outcome.value: self._outcomes[outcome] for outcome in Outcome}

    def load(self) -> None:
        """Read how many transfers were made today. Blocks on the disk."""
        self._count.load(self._database, "put through")

    def expect(self, call_sid: str, human: Human, settings: CallSettings) -> None:
        """The telephone call ``call_sid`` is answered with ``settings``, and can be put through to
        ``human``."""
        party = self._parties.pop(call_sid, None)
        self._parties[call_sid] = Party(human, settings, party.attempts if party else 0)
        while len(self._parties) > MOST_KNOWN:
            del self._parties[next(iter(self._parties))]

    def forget(self, call_sid: str) -> None:
        """The telephone call is over."""
        self._parties.pop(call_sid, None)

    def cues(self, call_sid: str, usual: Cues) -> Cues:
        """The cues of this telephone call: those of its person besides the ``usual`` ones."""
        party = self._parties.get(call_sid)
        if party is None or not party.human.number:
            return usual
        return replace(usual, human=(*usual.human, *party.human.phrases))

    def follow(self, call_sid: str, call: Call) -> None:
        """The stream of this telephone call has begun ``call``; the assistant may ask for a person."""

        def take_cue(cue: Cue) -> None:
            if cue is Cue.HUMAN:
                self.ask(call_sid, call)

        call.on_cue.append(take_cue)

    def press(self, call_sid: str, call: Call, key: Dtmf) -> None:
        """The caller has pressed a key in ``call``."""
        if key.digit == KEY:
            self.ask(call_sid, call)

    def ask(self, call_sid: str, call: Call) -> None:
        """Put the caller through, or let the assistant say why not. Does nothing if nobody can be put through
        to, or while the last wish is being dealt with."""
        party = self._parties.get(call_sid)
        if party is None or not party.human.number or party.deciding or party.granted:
            return
        if self._clock() - party.refused_at < ASKED_AGAIN_SEC:
            return
        party.deciding = True
        task = asyncio.create_task(self._decide(party, call), name="transfer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What Twilio asks ---------------------------------------------------------------------------------

    def dial(self, call_sid: str, public_url: str, caller_id: str) -> str:
        """TwiML that connects the caller, since the stream of this call has ended for a transfer; empty if
        that is not known any more. A request that Twilio repeats gets the same. ``caller_id``: as in
        ``twiml.dial``."""
        party = self._parties.get(call_sid)
        if party is None or not party.granted:
            return ""
        log.info("A caller is put through to %s.", party.human.shown_number)
        action = public_url + TRANSFERRED_PATH
        return twiml.dial(party.human.number, action, spoken_sentences.CONNECTING, caller_id)

    def settle(self, call_sid: str, status: str) -> tuple[Outcome, CallSettings | None]:
        """Dialling ended with Twilio's ``status``. Returns how that went, and the settings with which the
        assistant can go on, if they are still known."""
        outcome = OUTCOMES.get(status, Outcome.FAILED)
        party = self._parties.get(call_sid)
        if party is None or party.granted:  # else Twilio repeats itself
            self._outcomes[outcome] += 1
        if party is not None:
            party.granted = False
        return outcome, party.settings if party is not None else None

    # Decisions ----------------------------------------------------------------------------------------

    async def _decide(self, party: Party, call: Call) -> None:
        try:
            day, refusal, outcome = await self._admit(party)
            if outcome is None:
                call.hang_up(spoken_sentences.TRANSFERRED, End.TRANSFERRED)
                party.granted = call.end is End.TRANSFERRED
                party.attempts += party.granted
                if not party.granted:  # the call has ended in another way meanwhile
                    await asyncio.to_thread(self._give_back, day)
                return
            log.info("The caller asked for a person, but was not put through: %s.", outcome.value)
            if await _say(call, refusal):
                party.refused_at = self._clock()
                self._outcomes[outcome] += 1
        finally:
            party.deciding = False

    async def _admit(self, party: Party) -> tuple[int, str, Outcome | None]:
        """The day for which the transfer is counted; or a sentence that refuses it, and why."""
        now = self._clock()
        if not party.human.is_there(now):
            when = party.human.next_time(now)
            return -1, spoken_sentences.NOBODY_THERE.format(when=when), Outcome.CLOSED
        if party.attempts >= MOST_IN_A_CALL:
            return -1, spoken_sentences.NO_MORE_TRANSFERS, Outcome.LIMIT
        day = await asyncio.to_thread(self._begin)
        if day is None:
            return -1, spoken_sentences.NO_TRANSFER_TODAY, Outcome.LIMIT
        return day, "", None

    def _begin(self) -> int | None:
        """Count one transfer; None if it may not be made. Blocks on the disk."""
        try:
            with self._database.transaction() as connection:
                if self._count.read(connection) < self._count.limit:
                    return self._count.add(connection)
        except StorageFailed as error:
            log.error("A caller was not put through, because that cannot be counted: %s", error)
            return None
        log.warning("HUMAN_DAILY_LIMIT is used up: no more callers are put through today (UTC).")
        return None

    def _give_back(self, day: int) -> None:
        try:
            with self._database.transaction() as connection:
                self._count.give_back(connection, day)
        except StorageFailed as error:
            log.warning("A transfer that was not made is counted all the same: %s", error)


async def _say(call: Call, sentence: str) -> bool:
    """Whether the assistant will say it."""
    try:
        async with asyncio.timeout(SPOKEN_WITHIN_SEC):
            await call.speak(sentence, typed=False)
    except (PersonaplexError, TimeoutError) as error:
        log.info("That could not be said: %s", error or "it took too long")
        return False
    return True

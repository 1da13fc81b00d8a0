"""The telephone desk: what is answered to those who call, who may come in by the stream, and calls we make.

Knows Twilio's TwiML and statuses; no HTTP requests, no signatures, no sound. Everything happens on the
event loop.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio import twiml
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.availability import Availability
from personaplex_ui.channels.twilio.call_log import OVER, PhoneCall, PhoneCallLog
from personaplex_ui.channels.twilio.call_tokens import CallTokens, persona_of
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.channels.twilio.messages import (
    BUSY_AFTER_ALL,
    CANNOT_BE_USED,
    CUT_OFF,
    FORGOTTEN,
    LOST,
    NOT_CONNECTED,
    RECORDED,
    UNANSWERED,
)
from personaplex_ui.channels.twilio.numbers import check_number, masked
from personaplex_ui.channels.twilio.pending_dials import PendingDials
from personaplex_ui.channels.twilio.personas import PhonePersonas, check_announcement
from personaplex_ui.channels.twilio.protocol import Start
from personaplex_ui.channels.twilio.session import PhoneGrant
from personaplex_ui.errors import InvalidInput, PersonaplexError, PhoneUnavailable
from personaplex_ui.voices.library import VoiceLibrary

log = logging.getLogger(__name__)

OWNER_PREFIX = "phone "
"""No browser's key has a space."""

INBOUND_PATH = "/twilio/inbound"
ENDED_PATH = "/twilio/ended"
STATUS_PATH = "/twilio/status"
ANSWERED_PATH = "/twilio/outbound/answered"
STREAM_PATH = "/twilio/media-stream"

TAKEN_BACK_WITHIN_SEC = 1.5


class PhoneService:
    """``personas``: as whom to answer; what they leave open is ``voices``' default and ``text_prompt``.
    ``announcement``: said before every call whose persona has none of its own; None: a sentence about the
    recording where ``record`` is on. ``twilio_client``: None where no calls are made.

    Raises:
        SettingsError: the announcement cannot be said.
    """

    def __init__(
        self,
        call_manager: CallManager,
        voices: VoiceLibrary,
        text_prompt: str,
        account: PhoneAccount,
        personas: PhonePersonas | None = None,
        twilio_client: TwilioClient | None = None,
        record: bool = False,
        announcement: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = account
        self.call_log = PhoneCallLog(clock)
        self._call_manager = call_manager
        self._readiness = Availability(call_manager, voices, text_prompt, record)
        self._personas = personas or PhonePersonas()
        self._twilio_client = twilio_client
        self._announcement = RECORDED if record else ""
        if announcement is not None:
            self._announcement = check_announcement(announcement, "PHONE_ANNOUNCEMENT")
        self._tokens = CallTokens(secrets.token_bytes(32), clock)
        self._pending_dials = PendingDials(clock)
        self._live: dict[str, Call] = {}
        call_manager.on_end.append(self._note_end)

    @property
    def configured(self) -> bool:
        """Calls to the number can be taken."""
        return self.account.can_answer

    @property
    def left_today(self) -> int:
        """So many calls may still be made today; 0 where none can be made at all."""
        return self._twilio_client.left_today if self._twilio_client is not None else 0

    @staticmethod
    def webhook_url(public_url: str) -> str:
        """What to paste into Twilio's console, under "A call comes in"."""
        return public_url + INBOUND_PATH

    # Calls to us -----------------------------------------------------------------------------------

    async def answer(self, call_sid: str, caller: str, called: str, public_url: str) -> str:
        """TwiML for a call that comes in."""
        entry = self.call_log.begin(call_sid, "inbound", masked(caller), "ringing")
        log.info("A telephone call from %s to %s comes in.", masked(caller), masked(called))
        persona = self._personas.of(called)
        announcement = self._announcement if persona.announcement is None else persona.announcement
        try:
            self._readiness.check()
            settings = await self._readiness.checked_settings(persona.voice, persona.text_prompt)
        except InvalidInput as error:
            log.warning("The persona of %s cannot be used: %s", masked(called), error)
            return self._refuse(entry, CANNOT_BE_USED)
        except PersonaplexError as error:
            return self._refuse(entry, str(error))
        return self._connect(call_sid, settings, announcement, public_url)

    def answer_outbound(self, call_sid: str, called: str, key: str, public_url: str) -> str:
        """TwiML for a call of ours that was answered; ``key`` is what ``dial`` put into the webhook's URL."""
        entry = self.call_log.begin(call_sid, "outbound", masked(called), "in-progress")
        settings = self._pending_dials.take(key)
        if settings is None:
            return self._refuse(entry, FORGOTTEN)
        try:
            self._readiness.check()
        except PersonaplexError:
            return self._refuse(entry, BUSY_AFTER_ALL)
        return self._connect(call_sid, settings, self._announcement, public_url)

    def admit(self, start: Start) -> PhoneGrant:
        """The call that a stream may begin. Raises PersonaplexError: it may not; the text says why."""
        values = twiml.join_parameters(start.parameters)
        self._tokens.redeem(values.get("token", ""), persona_of(values) | {"call_sid": start.call_sid})
        try:
            self._readiness.check()
            settings = self._readiness.settings(values.get("voice_prompt", ""), values.get("text_prompt", ""))
        except PersonaplexError as error:
            if entry := self.call_log.get(start.call_sid):
                entry.reason, entry.end = str(error), End.REFUSED
            self._call_manager.turn_away(Transport.TWILIO)
            raise
        return PhoneGrant(settings, owner_of(start.call_sid), "", Transport.TWILIO)

    def note_call(self, start: Start, call: Call) -> None:
        """The stream of ``start`` has become ``call``."""
        entry = self.call_log.begin(start.call_sid, "inbound", "unknown", "in-progress")
        entry.call_id = call.call_id
        self._live[start.call_sid] = call

    def end(self, call_sid: str, status: str = "") -> str:
        """TwiML for a call whose stream is over: why, unless the caller's end hung up, and the end.
        ``status``: Twilio's, of the call itself."""
        call = self._live.get(call_sid)
        if call is not None and status in OVER:
            call.hang_up("The caller hung up.")  # and this overtook what the stream says of it
        elif call is not None:
            call.hang_up(LOST, End.LOST)
        entry = self.call_log.get(call_sid)
        if entry is not None:
            self.call_log.finish(entry)
        if call is not None:
            end, reason = call.end, call.reason
        elif entry is not None:
            end, reason = entry.end, entry.reason or NOT_CONNECTED
        else:
            end, reason = None, CUT_OFF
        return twiml.hang_up() if end is End.HUNG_UP else twiml.say_and_hang_up(reason)

    def note_status(self, call_sid: str, status: str, direction: str, caller: str, called: str) -> None:
        """Twilio tells how a call goes."""
        inbound = direction == "inbound"
        number = masked(caller if inbound else called)
        entry = self.call_log.begin(call_sid, "inbound" if inbound else "outbound", number, status)
        if not entry.over:
            return
        entry.reason = entry.reason or UNANSWERED.get(status, "")
        if call := self._live.get(call_sid):
            call.hang_up("The telephone call is over.")

    # Calls we make ---------------------------------------------------------------------------------

    async def dial(self, to: object, voice: object, text_prompt: object, public_url: str) -> PhoneCall:
        """Call a number; returns at once, while it is queued. ``voice`` and ``text_prompt``: None for the
        server's own.

        Raises:
            InvalidInput: the number, the voice or the role cannot be used.
            EngineUnavailable, NoFreeSlot: nobody could talk with the one who answers.
            DailyLimitReached, PhoneUnavailable: no calls can be made, or Twilio refused this one.
        """
        if self._twilio_client is None:
            missing = ", ".join(self.account.missing)
            raise PhoneUnavailable(f"No calls can be made: please set {missing or 'up a Twilio account'}.")
        number = check_number(to)
        self._readiness.check()
        settings = await self._readiness.checked_settings(voice, text_prompt)
        key = self._pending_dials.keep(settings)
        try:
            call_sid = await self._twilio_client.dial(
                number, f"{public_url}{ANSWERED_PATH}?key={key}", public_url + STATUS_PATH
            )
        except PhoneUnavailable:
            self._pending_dials.take(key)
            raise
        log.info("A call to %s is queued.", masked(number))
        return self.call_log.begin(call_sid, "outbound", masked(number), "queued")

    def status(self, call_sid: str) -> PhoneCall | None:
        return self.call_log.get(call_sid)

    async def hang_up(self, call_sid: str) -> PhoneCall | None:
        """End a call, ringing or live; None when there is none of that SID. Twilio is told each time until
        it has said that the call is over.

        Raises:
            PhoneUnavailable: Twilio could not be told; our side of the call has ended.
        """
        entry = self.call_log.get(call_sid)
        if entry is None or entry.over:
            return entry
        if call := self._live.get(call_sid):
            call.hang_up("The server's owner ended this call.")
        if self._twilio_client is not None:
            status = await self._twilio_client.hang_up(call_sid)
            self.call_log.begin(call_sid, entry.direction, entry.number, status)
        return entry

    async def open(self) -> None:
        if self._twilio_client is not None:
            await self._twilio_client.open()

    async def close(self) -> None:
        """Take back the calls of ours that still ring: nobody would talk with those who answer."""
        if self._twilio_client is None:
            return
        ringing = [
            c for c in self.call_log.newest_first if c.direction == "outbound" and not (c.over or c.call_id)
        ]
        asked = [asyncio.create_task(self._twilio_client.hang_up(call.call_sid)) for call in ringing]
        if asked:
            await asyncio.wait(asked, timeout=TAKEN_BACK_WITHIN_SEC)
        for task in asked:
            if task.done() and not task.cancelled() and task.exception() is not None:
                log.warning("A call that rings could not be taken back: %s", task.exception())
            task.cancel()

    # Answers -----------------------------------------------------------------------------------------

    def _connect(self, call_sid: str, settings: CallSettings, announcement: str, public_url: str) -> str:
        values = {
            "voice_prompt": settings.persona.voice,
            "text_prompt": settings.persona.text_prompt,
        }
        values["token"] = self._tokens.issue(persona_of(values) | {"call_sid": call_sid})
        stream_url = public_url.replace("http", "ws", 1) + STREAM_PATH
        return twiml.connect(stream_url, values, announcement, public_url + ENDED_PATH)

    def _refuse(self, entry: PhoneCall, sentence: str) -> str:
        entry.reason, entry.end = sentence, End.REFUSED
        self.call_log.finish(entry)
        self._call_manager.turn_away(Transport.TWILIO)
        log.info("It was turned away: %s", sentence)
        return twiml.say_and_hang_up(sentence)

    def _note_end(self, call: Call) -> None:
        for call_sid in [call_sid for call_sid, live in self._live.items() if live is call]:
            del self._live[call_sid]
        if call.transport is not Transport.TWILIO or (entry := self.call_log.of_call(call.call_id)) is None:
            return
        entry.end, entry.reason = call.end, call.reason
        self.call_log.leave(entry)


def owner_of(call_sid: str) -> str:
    """Whose a telephone call is in the archive: each its own, so that it is found by its SID, also after a
    restart."""
    return OWNER_PREFIX + call_sid

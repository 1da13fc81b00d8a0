"""The telephone service: answers incoming calls, admits streams and makes calls, for both kinds of numbers.

One kind is your own number at Twilio, with signed webhooks; the other is lent by FastRTC and protected only
by a token for each call. Depends on TwiML and statuses, not on HTTP requests, signatures or sound. Everything
runs on the event loop.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.persona_check import check_persona_aside
from personaplex_ui.calls.settings import CallSettings, check_settings
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio import spoken_sentences, twiml
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.call_log import OVER, PhoneCall, PhoneCallLog
from personaplex_ui.channels.twilio.call_tokens import CallTokens, persona_of
from personaplex_ui.channels.twilio.client import NobodyCalled, TwilioClient
from personaplex_ui.channels.twilio.numbers import check_number, masked
from personaplex_ui.channels.twilio.pending_dials import PendingDials
from personaplex_ui.channels.twilio.personas import PhonePersona, PhonePersonas, check_announcement
from personaplex_ui.channels.twilio.protocol import Start
from personaplex_ui.channels.twilio.session import PhoneGrant
from personaplex_ui.errors import (
    EngineUnavailable,
    InvalidInput,
    NoFreeSlot,
    PersonaplexError,
    PhoneUnavailable,
)
from personaplex_ui.voices.library import VoiceLibrary

log = logging.getLogger(__name__)

OWNER_PREFIX = "phone "
"""Browsers' keys never contain a space."""

INBOUND_PATH = "/twilio/inbound"
ENDED_PATH = "/twilio/ended"
STATUS_PATH = "/twilio/status"
ANSWERED_PATH = "/twilio/outbound/answered"
STREAM_PATH = "/twilio/media-stream"
LENT_STREAM_PATH = "/telephone/handler"

CANCELLED_WITHIN_SEC = 1.5


class PhoneService:
    """``personas``: the personas that answer; missing values default to the default of ``voices`` and to
    ``text_prompt``. ``directory``: where calls are stored. ``twilio_client``: None if no calls can be made.
    ``daily_limit``: attempts per day. ``announcement``: said before every call whose persona has none; None
    stands for a sentence about the recording if ``record`` is on.

    Raises:
        SettingsError: the announcement cannot be said.
    """

    def __init__(
        self,
        call_manager: CallManager,
        voices: VoiceLibrary,
        text_prompt: str,
        account: PhoneAccount,
        directory: Path,
        *,
        personas: PhonePersonas | None = None,
        twilio_client: TwilioClient | None = None,
        daily_limit: int = 0,
        record: bool = False,
        announcement: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = account
        self.call_log = PhoneCallLog(directory, clock)
        self._call_manager = call_manager
        self._voices = voices
        self._text_prompt = text_prompt
        self._personas = personas or PhonePersonas()
        self._twilio_client = twilio_client
        self._record = record
        self._announcement = spoken_sentences.RECORDED if record else ""
        if announcement is not None:
            self._announcement = check_announcement(announcement, "PHONE_ANNOUNCEMENT")
        self._tokens = CallTokens(secrets.token_bytes(32), clock)
        self._pending_dials = PendingDials(directory, daily_limit, clock)
        call_manager.on_end.append(self._note_end)

    @property
    def configured(self) -> bool:
        """Whether calls to the number can be answered."""
        return self.account.can_answer

    @property
    def left_today(self) -> int:
        """Calls that may still be made today; 0 if none can be made at all."""
        return self._pending_dials.left_today if self._twilio_client is not None else 0

    @staticmethod
    def webhook_url(public_url: str) -> str:
        """The URL to paste into Twilio's console, under "A call comes in"."""
        return public_url + INBOUND_PATH

    async def open(self) -> None:
        """Load the state of earlier runs."""
        await asyncio.to_thread(self.call_log.load)
        await asyncio.to_thread(self._pending_dials.load)

    async def close(self) -> None:
        """Cancel our calls that are still ringing, since nobody would talk to those who answer."""
        if self._twilio_client is not None:
            calls = self.call_log.newest_first
            ringing = [c for c in calls if c.direction == "outbound" and not (c.over or c.call_id)]
            asked = [asyncio.create_task(self._twilio_client.hang_up(call.call_sid)) for call in ringing]
            if asked:
                await asyncio.wait(asked, timeout=CANCELLED_WITHIN_SEC)
            for task in asked:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    log.warning("A ringing call could not be cancelled: %s", task.exception())
                task.cancel()
        await asyncio.to_thread(self.call_log.flush)

    # Calls to us -----------------------------------------------------------------------------------

    async def answer(self, call_sid: str, caller: str, called: str, public_url: str) -> str:
        """TwiML for an incoming call."""
        entry = self.call_log.begin(call_sid, "inbound", masked(caller), "ringing")
        log.info("Incoming telephone call from %s to %s.", masked(caller), masked(called))
        persona = self._personas.of(called)
        try:
            settings = await self._settings_of(persona, masked(called), self._record)
        except PersonaplexError as error:
            return self._refuse(entry, str(error))
        announcement = self._announcement if persona.announcement is None else persona.announcement
        return self._connect(call_sid, settings, announcement, public_url)

    async def answer_outbound(self, call_sid: str, called: str, key: str, public_url: str) -> str:
        """TwiML for an outbound call that was answered. ``key``: the one that ``dial`` put into the webhook's
        URL."""
        entry = self.call_log.begin(call_sid, "outbound", masked(called), "in-progress")
        persona = await asyncio.to_thread(self._pending_dials.take, key)
        if persona is None:
            return self._refuse(entry, spoken_sentences.FORGOTTEN)
        try:
            self._check_available()
            settings = self._settings(persona.voice, persona.text_prompt, self._record)
        except InvalidInput:  # the voice has been removed since
            return self._refuse(entry, spoken_sentences.CANNOT_BE_USED)
        except PersonaplexError:
            return self._refuse(entry, spoken_sentences.BUSY_AFTER_ALL)
        return self._connect(call_sid, settings, self._announcement, public_url)

    async def answer_lent(self, host: str) -> str:
        """TwiML for a call to the number lent for ``host``. It is neither logged nor recorded."""
        persona = self._personas.of("")
        try:
            settings = await self._settings_of(persona, "the lent number", record=False)
        except PersonaplexError as error:
            self._call_manager.turn_away(Transport.FASTRTC_PHONE)
            return twiml.hang_up(str(error))
        greeting = spoken_sentences.LENT_GREETING if persona.announcement is None else persona.announcement
        values = self._parameters(settings, host=host)
        url = f"wss://{host}{LENT_STREAM_PATH}"
        return twiml.connect(url, values, greeting, farewell=spoken_sentences.LENT_FAREWELL)

    def admit(self, start: Start) -> PhoneGrant:
        """The call that a stream may begin. Raises PersonaplexError if it may not; the message says why."""
        values = self._redeem(start, call_sid=start.call_sid)
        try:
            self._check_available()
            settings = self._settings(
                values.get("voice_prompt", ""), values.get("text_prompt", ""), self._record
            )
        except PersonaplexError as error:
            if entry := self.call_log.get(start.call_sid):
                self.call_log.explain(entry, str(error), End.REFUSED)
            self._call_manager.turn_away(Transport.TWILIO)
            raise
        call_sid = start.call_sid
        return PhoneGrant(
            settings, Transport.TWILIO, owner_of(call_sid), lambda call: self.note_call(call_sid, call)
        )

    def admit_lent(self, host: str, start: Start) -> PhoneGrant:
        """Like ``admit``, for the number lent for ``host``."""
        values = self._redeem(start, host=host)
        self._check_available()
        settings = self._settings(values.get("voice_prompt", ""), values.get("text_prompt", ""), record=False)
        return PhoneGrant(settings, Transport.FASTRTC_PHONE)

    def note_call(self, call_sid: str, call: Call) -> None:
        """The stream of this telephone call has begun ``call``."""
        entry = self.call_log.begin(call_sid, "inbound", "unknown", "in-progress")
        self.call_log.attach(entry, call.call_id)

    def end(self, call_sid: str, status: str = "") -> str:
        """TwiML for a call whose stream is over: says why, unless the caller hung up, and ends it.
        ``status``: Twilio's status of the call."""
        entry = self.call_log.get(call_sid)
        if entry is None:
            return twiml.hang_up(spoken_sentences.CUT_OFF)
        call = self._live(entry)
        if call is not None and status in OVER:
            call.hang_up("The caller hung up.")  # this request arrived before the stream's own stop
        elif call is not None:
            call.hang_up(spoken_sentences.LOST, End.LOST)
        self.call_log.finish(entry)
        ended = call or entry
        return twiml.hang_up(
            "" if ended.end is End.HUNG_UP else ended.reason or spoken_sentences.NOT_CONNECTED
        )

    def note_status(self, call_sid: str, status: str, direction: str, caller: str, called: str) -> None:
        """Twilio reports the status of a call."""
        inbound = direction == "inbound"
        number = masked(caller if inbound else called)
        entry = self.call_log.begin(call_sid, "inbound" if inbound else "outbound", number, status)
        if not entry.over:
            return
        self.call_log.explain(entry, entry.reason or spoken_sentences.UNANSWERED.get(status, ""))
        if call := self._live(entry):
            call.hang_up("The telephone call is over.")

    # Calls we make ---------------------------------------------------------------------------------

    async def dial(self, to: object, voice: object, text_prompt: object, public_url: str) -> PhoneCall:
        """Call a number; returns at once, with the call queued. ``voice`` and ``text_prompt``: None for the
        defaults.

        Raises:
            InvalidInput: the number, the voice or the role cannot be used.
            EngineUnavailable, NoFreeSlot: no assistant could talk to the person called.
            DailyLimitReached, PhoneUnavailable: no calls can be made, or Twilio refused this one.
        """
        if self._twilio_client is None:
            missing = ", ".join(self.account.missing)
            raise PhoneUnavailable(f"No calls can be made: please set {missing or 'up a Twilio account'}.")
        number = check_number(to)
        self._check_available()
        settings = await self._checked_settings(voice, text_prompt, self._record)
        dial = await asyncio.to_thread(self._pending_dials.begin, settings.persona)
        url = f"{public_url}{ANSWERED_PATH}?key={dial.key}"
        try:
            call_sid = await self._twilio_client.dial(number, url, public_url + STATUS_PATH)
        except NobodyCalled:
            await asyncio.to_thread(self._pending_dials.give_back, dial)
            raise
        log.info("A call to %s is queued.", masked(number))
        return self.call_log.begin(call_sid, "outbound", masked(number), "queued")

    async def hang_up(self, call_sid: str) -> PhoneCall | None:
        """End a ringing or live call; None if the SID is unknown. Each request goes to Twilio until it has
        reported that the call is over.

        Raises:
            PhoneUnavailable: Twilio could not be reached; our side of the call has ended.
        """
        entry = self.call_log.get(call_sid)
        if entry is None or entry.over:
            return entry
        if call := self._live(entry):
            call.hang_up("The server's owner ended this call.")
        if self._twilio_client is not None:
            status = await self._twilio_client.hang_up(call_sid)
            self.call_log.begin(call_sid, entry.direction, entry.number, status)
        return entry

    # Availability and settings -------------------------------------------------------------------------

    def _check_available(self) -> None:
        """Raises EngineUnavailable or NoFreeSlot if no call can be taken."""
        engine = self._call_manager.engine
        if self._call_manager.closed_because:
            raise EngineUnavailable(spoken_sentences.NOT_READY)
        try:
            model = engine.model
        except EngineUnavailable:
            raise EngineUnavailable(spoken_sentences.NOT_READY) from None
        if model.clips_only:
            raise EngineUnavailable(spoken_sentences.CLIPS_ONLY)
        # Telephone callers do not wait for a slot: the minutes cost both sides, and they cannot see the
        # queue.
        if not engine.slots.free:
            raise NoFreeSlot(spoken_sentences.BUSY)

    def _settings(self, voice: object, text_prompt: object, record: bool) -> CallSettings:
        """The settings of a call; None stands for the default. ``_checked_settings``, or the call, checks
        whether the model can use this persona. Raises InvalidInput."""
        return check_settings(
            self._voices,
            voice=self._voices.default if voice is None else voice,
            text_prompt=self._text_prompt if text_prompt is None else text_prompt,
            record=record,
        )

    async def _checked_settings(self, voice: object, text_prompt: object, record: bool) -> CallSettings:
        settings = self._settings(voice, text_prompt, record)
        await check_persona_aside(self._call_manager.engine.model, settings.persona)
        return settings

    async def _settings_of(self, persona: PhonePersona, number: str, record: bool) -> CallSettings:
        """Raises PersonaplexError, whose text can be spoken, if no call can be taken as ``persona`` now."""
        self._check_available()
        try:
            return await self._checked_settings(persona.voice, persona.text_prompt, record)
        except InvalidInput as error:
            log.warning("The persona of %s cannot be used: %s", number, error)
            raise PhoneUnavailable(spoken_sentences.CANNOT_BE_USED) from error

    # Answers -----------------------------------------------------------------------------------------

    def _connect(self, call_sid: str, settings: CallSettings, announcement: str, public_url: str) -> str:
        stream_url = public_url.replace("http", "ws", 1) + STREAM_PATH
        values = self._parameters(settings, call_sid=call_sid)
        return twiml.connect(stream_url, values, announcement, public_url + ENDED_PATH)

    def _parameters(self, settings: CallSettings, **bound: str) -> dict[str, str]:
        """Persona and token of a stream, which is admitted only with the same ``bound`` values."""
        persona = settings.persona
        values = {"voice_prompt": persona.voice, "text_prompt": persona.text_prompt}
        return values | {"token": self._tokens.issue(persona_of(values) | bound)}

    def _redeem(self, start: Start, **bound: str) -> dict[str, str]:
        values = twiml.join_parameters(start.parameters)
        self._tokens.redeem(values.get("token", ""), persona_of(values) | bound)
        return values

    def _refuse(self, entry: PhoneCall, sentence: str) -> str:
        self.call_log.explain(entry, sentence, End.REFUSED)
        self.call_log.finish(entry)
        self._call_manager.turn_away(Transport.TWILIO)
        log.info("The call was turned away: %s", sentence)
        return twiml.hang_up(sentence)

    def _live(self, entry: PhoneCall) -> Call | None:
        return self._call_manager.calls.get(entry.call_id)

    def _note_end(self, call: Call) -> None:
        if call.transport is Transport.TWILIO and (entry := self.call_log.of_call(call.call_id)):
            self.call_log.leave(entry, call.reason, call.end)


def owner_of(call_sid: str) -> str:
    """The owner of a telephone call in the store. Each call has its own, so that its SID finds it even after
    a restart."""
    return OWNER_PREFIX + call_sid

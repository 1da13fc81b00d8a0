"""What Twilio is told when somebody has called our number, or has answered a call of ours.

Depends on TwiML, not on HTTP requests, signatures or sound.
"""

import asyncio
import logging
from dataclasses import dataclass

from personaplex_ui.calls.capacity import capacity_now
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio import spoken_sentences, twiml
from personaplex_ui.channels.twilio.availability import Availability
from personaplex_ui.channels.twilio.call_log import PhoneCall, PhoneCallLog
from personaplex_ui.channels.twilio.numbers import masked
from personaplex_ui.channels.twilio.pending_dials import PendingDials
from personaplex_ui.channels.twilio.personas import PhonePersonas
from personaplex_ui.channels.twilio.stream_grants import StreamGrants
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.channels.twilio.transfers.transfers import Transfers
from personaplex_ui.errors import InvalidInput, PersonaplexError

log = logging.getLogger(__name__)

ASKED_AGAIN_AFTER_SEC = 1
"""Meanwhile a proxy may notice that this server takes no calls."""


@dataclass(frozen=True, slots=True)
class PhoneAnswers:
    """``announcement`` and ``human``: those of calls whose persona has none."""

    call_manager: CallManager
    availability: Availability
    personas: PhonePersonas
    pending_dials: PendingDials
    streams: StreamGrants
    call_log: PhoneCallLog
    transfers: Transfers
    announcement: str
    human: Human

    async def inbound(
        self, call_sid: str, caller: str, called: str, public_url: str, elsewhere: str = ""
    ) -> str:
        """TwiML for an incoming call. ``elsewhere``: the webhook of all servers together, one of which may
        take a call that this one cannot; empty where there is no other."""
        if elsewhere and (why_not := self._why_not()):
            log.info("A telephone call is sent to another server: %s", why_not)
            return twiml.redirect(elsewhere, ASKED_AGAIN_AFTER_SEC)
        entry = self.call_log.begin(call_sid, "inbound", masked(caller), "ringing")
        log.info("Incoming telephone call from %s to %s.", masked(caller), masked(called))
        persona = self.personas.of(called)
        try:
            settings = await self.availability.settings_of(persona, masked(called))
        except PersonaplexError as error:
            return self._refuse(entry, str(error))
        self.transfers.expect(call_sid, persona.human(self.human), settings)
        announcement = self.announcement if persona.announcement is None else persona.announcement
        return self.streams.connect(call_sid, settings, announcement, public_url)

    def _why_not(self) -> str:
        try:
            self.availability.check()
        except PersonaplexError as error:
            return str(error)
        # Callers who were just answered, and whose streams have not come yet, have no line either.
        return "" if capacity_now(self.call_manager).lines_free else spoken_sentences.BUSY

    async def outbound(self, call_sid: str, called: str, key: str, public_url: str) -> str:
        """TwiML for an outbound call that was answered. ``key``: the one that ``OutboundCalls.dial`` put into
        the webhook's URL."""
        entry = self.call_log.begin(call_sid, "outbound", masked(called), "in-progress")
        persona = await asyncio.to_thread(self.pending_dials.take, key)
        if persona is None:
            return self._refuse(entry, spoken_sentences.FORGOTTEN)
        try:
            self.availability.check()
            settings = self.availability.settings(persona.voice, persona.text_prompt)
        except InvalidInput:  # the voice has been removed since
            return self._refuse(entry, spoken_sentences.CANNOT_BE_USED)
        except PersonaplexError:
            return self._refuse(entry, spoken_sentences.BUSY_AFTER_ALL)
        self.transfers.expect(call_sid, self.human, settings)
        return self.streams.connect(call_sid, settings, self.announcement, public_url)

    def _refuse(self, entry: PhoneCall, sentence: str) -> str:
        self.call_log.explain(entry, sentence, End.REFUSED)
        self.call_log.finish(entry)
        self.call_manager.turn_away(Transport.TWILIO)
        log.info("The call was turned away: %s", sentence)
        return twiml.hang_up(sentence)

"""The calls that we make: dialled through Twilio, counted before that, hung up while they ring."""

import asyncio
import logging
from dataclasses import dataclass

from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.availability import Availability
from personaplex_ui.channels.twilio.call_log import PhoneCall, PhoneCallLog
from personaplex_ui.channels.twilio.client import NobodyCalled, TwilioClient
from personaplex_ui.channels.twilio.numbers import check_number, masked
from personaplex_ui.channels.twilio.pending_dials import PendingDials
from personaplex_ui.errors import PhoneUnavailable
from personaplex_ui.web.twilio_paths import ANSWERED_PATH, STATUS_PATH

log = logging.getLogger(__name__)

CANCELLED_WITHIN_SEC = 1.5


@dataclass(frozen=True, slots=True)
class OutboundCalls:
    """``client``: None if no calls can be made."""

    client: TwilioClient | None
    account: PhoneAccount
    availability: Availability
    pending_dials: PendingDials
    call_log: PhoneCallLog

    @property
    def left_today(self) -> int:
        """Calls that may still be made today; 0 if none can be made at all."""
        return self.pending_dials.left_today if self.client is not None else 0

    async def dial(self, to: object, voice: object, text_prompt: object, public_url: str) -> PhoneCall:
        """Call a number; returns at once, with the call queued. ``voice`` and ``text_prompt``: None for the
        defaults.

        Raises:
            InvalidInput: the number, the voice or the role cannot be used.
            EngineUnavailable, NoFreeSlot: no assistant could talk to the person called.
            DailyLimitReached, PhoneUnavailable: no calls can be made, or Twilio refused this one.
        """
        if self.client is None:
            missing = ", ".join(self.account.missing)
            raise PhoneUnavailable(f"No calls can be made: please set {missing or 'up a Twilio account'}.")
        number = check_number(to)
        self.availability.check()
        settings = await self.availability.checked_settings(voice, text_prompt)
        dial = await asyncio.to_thread(self.pending_dials.begin, settings.persona)
        url = f"{public_url}{ANSWERED_PATH}?key={dial.key}"
        try:
            call_sid = await self.client.dial(number, url, public_url + STATUS_PATH)
        except NobodyCalled:
            await asyncio.to_thread(self.pending_dials.give_back, dial)
            raise
        log.info("A call to %s is queued.", masked(number))
        return self.call_log.begin(call_sid, "outbound", masked(number), "queued")

    async def cancel_ringing(self) -> None:
        """Nobody would talk to those who answer."""
        if self.client is None:
            return
        calls = self.call_log.newest_first
        ringing = [c for c in calls if c.direction == "outbound" and not (c.over or c.call_id)]
        asked = [asyncio.create_task(self.client.hang_up(call.call_sid)) for call in ringing]
        if asked:
            await asyncio.wait(asked, timeout=CANCELLED_WITHIN_SEC)
        for task in asked:
            if task.done() and not task.cancelled() and task.exception() is not None:
                log.warning("A ringing call could not be cancelled: %s", task.exception())
            task.cancel()

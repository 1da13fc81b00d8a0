"""The telephone service of one process: its parts, each made once, and what they keep from run to run.

Whoever has a call of the telephone's asks the part that it concerns: ``answers``, ``outbound``, ``streams``
or ``endings``. Everything runs on the event loop.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.twilio import spoken_sentences
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.answers import PhoneAnswers
from personaplex_ui.channels.twilio.availability import Availability
from personaplex_ui.channels.twilio.call_log import PhoneCallLog
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.channels.twilio.endings import PhoneEndings
from personaplex_ui.channels.twilio.outbound_calls import OutboundCalls
from personaplex_ui.channels.twilio.pending_dials import PendingDials
from personaplex_ui.channels.twilio.personas import PhonePersonas, check_announcement
from personaplex_ui.channels.twilio.stream_grants import StreamGrants
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.channels.twilio.transfers.transfers import Transfers
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.twilio_paths import INBOUND_PATH

NOBODY = Human()


class PhoneService:
    """``personas``: the personas that answer; missing values default to the default of ``voices`` and to
    ``text_prompt``. ``directory``: where calls are stored. ``twilio_client``: None if no calls can be made.
    ``daily_limit``: attempts per day. ``announcement``: said before every call whose persona has none; None
    stands for a sentence about the recording if ``record`` is on. ``human``: to whom callers can be put
    through unless their persona names somebody else, at most ``human_daily_limit`` times a day.

    Raises:
        SettingsError: the announcement cannot be said, or a person's number is one of ours.
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
        human: Human = NOBODY,
        human_daily_limit: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = account
        self.human = human
        self.personas = personas or PhonePersonas()
        self.personas.check_humans(human, account.phone_number)
        said = spoken_sentences.RECORDED if record else ""
        if announcement is not None:
            said = check_announcement(announcement, "PHONE_ANNOUNCEMENT")
        self.call_log = call_log = PhoneCallLog(directory, clock)
        self.transfers = transfers = Transfers(directory, human_daily_limit, clock)
        self._pending_dials = dials = PendingDials(directory, daily_limit, clock)
        self.availability = availability = Availability(call_manager, voices, text_prompt, record)
        self.streams = streams = StreamGrants(call_manager, availability, call_log, transfers, clock)
        self.answers = PhoneAnswers(
            call_manager, availability, self.personas, dials, streams, call_log, transfers, said, human
        )
        self.outbound = OutboundCalls(twilio_client, account, availability, dials, call_log)
        our_number = account.phone_number
        self.endings = PhoneEndings(
            call_manager, availability, streams, call_log, transfers, our_number, twilio_client
        )

        self._calling_off: asyncio.Task[None] | None = None
        call_manager.quiet_end.on_begin.append(self._call_off)

    def _call_off(self) -> None:
        """Nobody would talk to those who answer later."""
        self._calling_off = asyncio.create_task(self.outbound.cancel_ringing())

    @property
    def configured(self) -> bool:
        """Whether calls to the number can be answered."""
        return self.account.can_answer

    @staticmethod
    def webhook_url(public_url: str) -> str:
        """The URL to paste into Twilio's console, under "A call comes in"."""
        return public_url + INBOUND_PATH

    async def open(self) -> None:
        """Load the state of earlier runs."""
        await asyncio.to_thread(self.call_log.load)
        await asyncio.to_thread(self._pending_dials.load)
        await asyncio.to_thread(self.transfers.load)

    async def close(self) -> None:
        """Cancel our calls that are still ringing, and keep what is known of all."""
        await self.outbound.cancel_ringing()
        await asyncio.to_thread(self.call_log.flush)

"""What the app consists of besides its page: voices, engine, calls and telephone; how they start and stop.

Passes each of them its settings; decides nothing else.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from personaplex_ui.app.sockets import address_shown
from personaplex_ui.app.startup_checks import (
    ask_options,
    gather_voices,
    make_recordings_folder,
    short_secrets,
    warn_of_short_secrets,
    with_checked_role,
)
from personaplex_ui.calls.allowance import Allowance
from personaplex_ui.calls.allowance_table import SpentTable
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.store import CallStore
from personaplex_ui.captions.service import CaptionService
from personaplex_ui.channels.clips.preview import Previews
from personaplex_ui.channels.fastrtc_phone.app import build_lent_number_app
from personaplex_ui.channels.fastrtc_phone.number import FastRtcNumber
from personaplex_ui.channels.fastrtc_phone.service import FastRtcService
from personaplex_ui.channels.fastrtc_phone.tunnel import gradio_tunnel
from personaplex_ui.channels.moshi.client_page import MoshiClient
from personaplex_ui.channels.rest.films import Films
from personaplex_ui.channels.rest.kept_answers import KeptAnswers
from personaplex_ui.channels.rest.loaded_parts import LoadedParts
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.channels.twilio.personas import PhonePersonas
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.config.settings import Settings, revealed
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import PhoneUnavailable
from personaplex_ui.models.factory import load_echo, load_speech_model, speech_sources
from personaplex_ui.routing.answerer import Answerer
from personaplex_ui.routing.router import Router
from personaplex_ui.speech.loading import SpeechParts
from personaplex_ui.web.metrics import Metrics
from personaplex_ui.web.security.credentials import COOKIE_SEC, Credentials
from personaplex_ui.web.security.operator import OperatorAccess
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.signed_cookies import SignedCookies
from personaplex_ui.web.security.visitors import visitor_rule

log = logging.getLogger(__name__)

IDLE_LOOKED_FOR_EVERY_SEC = 0.1


class Services:
    """One of each, for the whole app. Nothing is loaded or started before they are ``running``."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError: a default, a folder or a telephone setting cannot be used."""
        self.settings = settings = with_checked_role(settings)
        make_recordings_folder(settings.recordings_dir)
        self.voices = gather_voices(settings)
        self.speech = SpeechParts(speech_sources(settings))
        self.load_model = functools.partial(load_speech_model, settings, self.voices, self.speech)
        self.load_echo = functools.partial(load_echo, settings, self.voices)
        self.default_persona = Persona(self.voices.default, settings.default_text_prompt)
        self.engine = Engine(
            self.load_model, settings.expected_calls, settings.max_waiting, trial=self.default_persona
        )
        self.captions = CaptionService(settings.captions, self.engine, self.speech)
        self.call_manager = CallManager(
            self.engine,
            CallStore(settings.recordings_dir, settings.recordings_keep_hours * 3600, time.time),
            settings.max_call_seconds,
            AddressLimits(settings.max_calls_per_address, settings.calls_per_minute, time.monotonic),
            Allowance(settings.visitor_minutes * 60, time.time, SpentTable(settings.recordings_dir)),
            settings.busy_call_seconds,
            captions=self.captions,
            cues=Cues(ask=settings.ask_phrases),
        )
        self.drain_sec = float(settings.drain_seconds or settings.max_call_seconds)
        """How long calls may go on where somebody asks for a quiet end and the process stays."""
        self.router = Router(self.speech, ask_options(settings))
        self.call_manager.on_begin.append(self.router.attend)
        self.answerer = Answerer(self.speech, self.router)
        self.previews = Previews(self.call_manager, self.voices, settings.default_text_prompt)
        self.parts = LoadedParts(self.speech)
        self.films = Films(self.parts, self.call_manager.store)
        self.kept_answers = KeptAnswers()
        self.credentials = Credentials(
            revealed(settings.app_password),
            revealed(settings.api_key),
            time.monotonic,
            _shared_cookies(settings),
        )
        self.origins = OriginCheck(settings.server_url, settings.allowed_origins)
        address = (settings.server_url or address_shown(settings.host, settings.port)).rstrip("/")
        self.operators = OperatorAccess(self.credentials, self.origins, address, time.monotonic)
        self.visitor_of = visitor_rule(self.credentials.has_api_key)
        self.metrics = Metrics(self.call_manager)
        self.metrics.registry.register(self.router.counts)
        self.personas = PhonePersonas.from_text(settings.phone_personas, self.voices)
        self.phone = self._build_phone(self.personas)
        self.metrics.phone_transfers = self.phone.transfers.counts
        self.number = self._build_number()
        self.moshi_client = MoshiClient(settings.static_path, _model_folder(settings))
        self._opening: asyncio.Task[None] | None = None

    def start_warnings(self) -> list[str]:
        """What the log warns of as the app starts, of settings that can be used all the same. Reads files."""
        try:
            self.moshi_client.open()
        finally:
            self.moshi_client.close()
        return [*short_secrets(self.settings), *filter(None, [self.moshi_client.warning])]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Each needs those that start before it, so they stop in reverse order. A requested phone number is
        not waited for."""
        warn_of_short_secrets(self.settings)
        self.operators.log_link()
        await self.engine.start()
        await self.call_manager.start()
        await asyncio.to_thread(self.moshi_client.open)
        await self.phone.open()
        if self.settings.fastrtc_phone and self.number is not None:
            self._opening = asyncio.create_task(_open_number(self.number))
        try:
            yield
        finally:
            await self.end_quietly()
            await self.end_calls()
            await self.engine.close()

    async def end_quietly(self) -> None:
        """Where another program serves the app, and ends it: calls may go on for DRAIN_SECONDS."""
        manager, within_sec = self.call_manager, self.settings.drain_seconds
        if not within_sec or manager.is_closed:
            return
        left_sec = manager.quiet_end.left_sec  # by an end that the owner asked for
        manager.quiet_end.begin(within_sec if left_sec is None else min(left_sec, within_sec), final=True)
        while manager.quiet_end.left_sec and not manager.is_idle:  # noqa: ASYNC110  there is no event
            await asyncio.sleep(IDLE_LOOKED_FOR_EVERY_SEC)
        manager.quiet_end.end_calls()

    async def end_calls(self) -> None:
        """End all calls with a message, return the phone number, cancel ringing calls, and remove unpacked
        files. Idempotent."""
        closing = [
            self.call_manager.close(),
            self.phone.close(),
            self._close_number(),
            self.films.close(),
            asyncio.to_thread(self.kept_answers.close),
            asyncio.to_thread(self.moshi_client.close),
        ]
        for failed in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(failed, Exception):
                log.error("Not everything could be closed.", exc_info=failed)

    async def _close_number(self) -> None:
        if self.number is not None:
            await self.number.close()
        if self._opening is not None:
            await asyncio.wait([self._opening])

    def _build_phone(self, personas: PhonePersonas) -> PhoneService:
        settings = self.settings
        account = PhoneAccount(
            settings.twilio_account_sid or "",
            revealed(settings.twilio_auth_token) or "",
            settings.twilio_phone_number or "",
        )
        return PhoneService(
            self.call_manager,
            self.voices,
            settings.default_text_prompt,
            account,
            settings.recordings_dir,
            personas=personas,
            twilio_client=TwilioClient(account) if account.can_dial else None,
            daily_limit=settings.outbound_daily_limit,
            record=settings.phone_record,
            announcement=settings.phone_announcement,
            human=Human.from_texts(
                settings.human_number or "",
                settings.human_hours or "",
                settings.human_timezone,
                settings.human_phrases or "",
            ),
            human_daily_limit=settings.human_daily_limit,
        )

    def _build_number(self) -> FastRtcNumber | None:
        token = revealed(self.settings.hf_token)
        if not (token or self.settings.fastrtc_phone):
            return None
        build_app = functools.partial(build_lent_number_app, self.call_manager, self.phone)
        return FastRtcNumber(build_app, gradio_tunnel, FastRtcService(token), self.call_manager)


def _shared_cookies(settings: Settings) -> SignedCookies | None:
    """Of several servers at one address, each of which takes calls of pages that are logged in at another."""
    password = revealed(settings.app_password)
    if not (password and settings.instance_path):
        return None
    return SignedCookies(password.encode(), COOKIE_SEC, time.time)


async def _open_number(number: FastRtcNumber) -> None:
    with contextlib.suppress(PhoneUnavailable):  # the log and the page say why
        await number.open()


def _model_folder(settings: Settings) -> Path | None:
    """The folder of the model's files if it is local; the web client may be in it."""
    folder = Path(settings.hf_repo)
    return folder if not settings.engine.needs_no_gpu and folder.is_dir() else None

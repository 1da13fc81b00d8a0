"""Puts together all endpoints besides the page: telephone, Moshi websocket, metrics, and the middlewares.

Knows which settings each of them gets; decides nothing else.
"""

import asyncio
import contextlib
import functools
import logging
import time
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr

from personaplex_ui.app.open_files import most_requests, raise_limit
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.fastrtc_phone.app import build_lent_number_app
from personaplex_ui.channels.fastrtc_phone.number import FastRtcNumber
from personaplex_ui.channels.fastrtc_phone.service import FastRtcService
from personaplex_ui.channels.fastrtc_phone.tunnel import gradio_tunnel
from personaplex_ui.channels.moshi.client_page import MoshiClient, MoshiClientAssets, build_client_router
from personaplex_ui.channels.moshi.routes import build_moshi_router
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.channels.twilio.personas import PhonePersonas
from personaplex_ui.channels.twilio.routes import build_twilio_router
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.config.settings import EngineChoice, Settings
from personaplex_ui.errors import PhoneUnavailable
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.gradio.routes import STREAMS
from personaplex_ui.web.methods import AllowedMethods, HeadRequests
from personaplex_ui.web.metrics import Metrics, build_metrics_router
from personaplex_ui.web.security.auth import AuthMiddleware, is_machine
from personaplex_ui.web.security.credentials import Credentials
from personaplex_ui.web.security.headers import SecurityHeaders
from personaplex_ui.web.security.host_check import HostCheck, KnownHosts
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import ProxyHeaders, client_address, public_url
from personaplex_ui.web.security.request_limits import RequestLimits
from personaplex_ui.web.security.uploads import UploadLimit

log = logging.getLogger(__name__)

SHORT_KEY_LETTERS = 16
SHORT_PASSWORD_CHARACTERS = 8


class Endpoints:
    """``open`` them when the app starts and ``close`` them before its calls end."""

    def __init__(self, settings: Settings, call_manager: CallManager, voices: VoiceLibrary) -> None:
        """Raises SettingsError: what is said of the telephone cannot be used."""
        self._settings = settings
        self._call_manager = call_manager
        self._voices = voices
        self._opening: asyncio.Task[None] | None = None
        self.credentials = Credentials(
            _revealed(settings.app_password), _revealed(settings.api_key), time.monotonic
        )
        self.metrics = Metrics(call_manager)
        self.personas = PhonePersonas.from_text(settings.phone_personas, voices)
        self.phone = self._build_phone(self.personas)
        self.number = self._build_number()
        self._moshi_client = MoshiClient(settings.static_path, _model_folder(settings))

    def add_to(self, app: FastAPI) -> None:
        """Add the routes and the middlewares; before the page, which is mounted last."""
        settings = self._settings
        app.include_router(build_metrics_router(self.metrics))
        app.include_router(
            build_moshi_router(self._call_manager, self._voices, settings.default_text_prompt, client_address)
        )
        app.include_router(
            build_twilio_router(
                self.phone, self._call_manager, public_url, is_machine, self.credentials.has_api_key
            )
        )
        app.include_router(build_client_router(self._moshi_client))
        # The last one added is the outermost.
        app.add_middleware(AllowedMethods)
        app.add_middleware(MoshiClientAssets, client=self._moshi_client)
        app.add_middleware(UploadLimit, mb_per_hour=settings.upload_mb_per_hour)
        origins = OriginCheck(settings.server_url, settings.allowed_origins)
        app.add_middleware(AuthMiddleware, credentials=self.credentials, origins=origins)
        if not self.credentials.are_needed:
            hosts = KnownHosts(settings.server_url, settings.allowed_origins)
            app.add_middleware(HostCheck, hosts=hosts)
        app.add_middleware(RequestLimits, most=most_requests(raise_limit()))
        app.add_middleware(
            ProxyHeaders, server_url=settings.server_url, trusted_proxies=settings.trusted_proxies
        )
        app.add_middleware(HeadRequests, streams=STREAMS)
        app.add_middleware(SecurityHeaders, allowed_origins=settings.allowed_origins)

    async def open(self) -> None:
        """Returns at once; a phone number that was asked for comes when it comes."""
        password, key = _revealed(self._settings.app_password), _revealed(self._settings.api_key)
        if password and len(password) < SHORT_PASSWORD_CHARACTERS:
            log.warning(
                "APP_PASSWORD is so short that it can be guessed. Use %d characters or more.",
                SHORT_PASSWORD_CHARACTERS,
            )
        if key and len(key) < SHORT_KEY_LETTERS:
            log.warning("API_KEY is so short that it can be guessed. Make one with: openssl rand -hex 24")
        await asyncio.to_thread(self._moshi_client.open)
        await self.phone.open()
        if self._settings.fastrtc_phone and self.number is not None:
            self._opening = asyncio.create_task(_open_number(self.number))

    async def close(self) -> None:
        """Give the phone number back, cancel calls that ring, and remove what was unpacked. A second time
        changes nothing."""
        await asyncio.gather(self.phone.close(), *([self.number.close()] if self.number is not None else []))
        if self._opening is not None:
            await asyncio.wait([self._opening])
        await asyncio.to_thread(self._moshi_client.close)

    def _build_phone(self, personas: PhonePersonas) -> PhoneService:
        settings = self._settings
        account = PhoneAccount(
            settings.twilio_account_sid or "",
            _revealed(settings.twilio_auth_token) or "",
            settings.twilio_phone_number or "",
        )
        return PhoneService(
            self._call_manager,
            self._voices,
            settings.default_text_prompt,
            account,
            settings.recordings_dir,
            personas=personas,
            twilio_client=TwilioClient(account) if account.can_dial else None,
            daily_limit=settings.outbound_daily_limit,
            record=settings.phone_record,
            announcement=settings.phone_announcement,
        )

    def _build_number(self) -> FastRtcNumber | None:
        token = _revealed(self._settings.hf_token)
        if not (token or self._settings.fastrtc_phone):
            return None
        build_app = functools.partial(build_lent_number_app, self._call_manager, self.phone)
        return FastRtcNumber(build_app, gradio_tunnel, FastRtcService(token), self._call_manager)


async def _open_number(number: FastRtcNumber) -> None:
    with contextlib.suppress(PhoneUnavailable):  # the log and the page say why
        await number.open()


def _model_folder(settings: Settings) -> Path | None:
    """The model's files, if they are in a folder here: the web client may be among them."""
    folder = Path(settings.hf_repo)
    return folder if settings.engine is not EngineChoice.ECHO and folder.is_dir() else None


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None

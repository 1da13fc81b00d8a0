"""Assembles the app from services, routes, middleware and page. Decides nothing else."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator

import gradio as gr
from fastapi import FastAPI

from personaplex_ui import __version__
from personaplex_ui.app.garbage import keep_collections_short, until_loaded
from personaplex_ui.app.open_files import most_requests, raise_limit
from personaplex_ui.app.services import Services
from personaplex_ui.app.startup_checks import warn_of_misfits
from personaplex_ui.channels.browser.handler import BrowserCalls
from personaplex_ui.channels.browser.ice_servers import choose_ice_servers
from personaplex_ui.channels.clips.routes import build_preview_router
from personaplex_ui.channels.moshi.client_page import MoshiClientAssets, build_client_router
from personaplex_ui.channels.moshi.routes import build_moshi_router
from personaplex_ui.channels.twilio.routes import build_twilio_router
from personaplex_ui.compat.gradio import forget_idle_sessions
from personaplex_ui.compat.library_output import log_what_libraries_print
from personaplex_ui.config.settings import Settings, revealed
from personaplex_ui.doctor.examine import KeptReport, examine_server
from personaplex_ui.doctor.probes import Probes
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.ui.api import PageApi
from personaplex_ui.ui.blocks import PageOptions, build_page
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.phone_callbacks import PhoneCallbacks
from personaplex_ui.ui.status_tab import StatusSources
from personaplex_ui.web.api_docs import add_api_docs
from personaplex_ui.web.gradio.app import mount
from personaplex_ui.web.gradio.routes import STREAMS
from personaplex_ui.web.methods import AllowedMethods, HeadRequests
from personaplex_ui.web.metrics import build_metrics_router
from personaplex_ui.web.routes import build_router
from personaplex_ui.web.security.auth import AuthMiddleware, is_machine
from personaplex_ui.web.security.headers import SecurityHeaders
from personaplex_ui.web.security.host_check import HostCheck
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import ProxyHeaders, client_address, public_url
from personaplex_ui.web.security.request_limits import RequestLimits
from personaplex_ui.web.security.session_cookie import SessionCookieMiddleware
from personaplex_ui.web.security.uploads import UploadLimit

SPARE_CONNECTIONS = 32
"""WebRTC connections beyond slots and queue: calls that are ending, and calls refused with a message."""


def build_app(settings: Settings) -> FastAPI:
    """The whole app. Nothing is loaded or started before its lifespan begins.

    Raises:
        SettingsError: a default, a folder or a telephone setting cannot be used.
    """
    log_what_libraries_print()
    services = Services(settings)
    app = FastAPI(
        title="personaplex_ui",
        version=__version__,
        description="Talk with NVIDIA PersonaPlex. The page is at `/`; `gradio_client` sees `/voices`, "
        "`/presets` and `/converse`; the websocket `/api/chat` is described in docs/PROTOCOLS.md.",
        lifespan=functools.partial(_lifespan, services),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    _add_routes(app, services)
    _add_middlewares(app, services)
    add_api_docs(app, settings.server_url, services.credentials.are_needed)
    app.state.page = _build_page(services)
    mount(
        app,
        app.state.page,
        settings.server_url,
        max_file_size=f"{settings.max_upload_mb}mb",
        show_error=True,
        ssr_mode=False,
    )
    return app


def _add_routes(app: FastAPI, services: Services) -> None:
    calls, voices, settings = services.call_manager, services.voices, services.settings
    app.include_router(build_router(calls, voices))
    app.include_router(build_preview_router(services.previews, voices))
    app.include_router(build_metrics_router(services.metrics))
    app.include_router(build_moshi_router(calls, voices, settings.default_text_prompt, client_address))
    has_api_key = services.credentials.has_api_key
    app.include_router(build_twilio_router(services.phone, calls, public_url, is_machine, has_api_key))
    app.include_router(build_client_router(services.moshi_client))


def _add_middlewares(app: FastAPI, services: Services) -> None:
    """The last one added is the outermost."""
    settings, credentials = services.settings, services.credentials
    app.add_middleware(SessionCookieMiddleware)
    app.add_middleware(AllowedMethods)
    app.add_middleware(MoshiClientAssets, client=services.moshi_client)
    app.add_middleware(UploadLimit, mb_per_hour=settings.upload_mb_per_hour)
    origins = OriginCheck(settings.server_url, settings.allowed_origins)
    app.add_middleware(AuthMiddleware, credentials=credentials, origins=origins)
    if not credentials.are_needed:
        app.add_middleware(
            HostCheck, server_url=settings.server_url, allowed_origins=settings.allowed_origins
        )
    app.add_middleware(RequestLimits, most=most_requests(raise_limit()))
    app.add_middleware(ProxyHeaders, server_url=settings.server_url, trusted_proxies=settings.trusted_proxies)
    app.add_middleware(HeadRequests, streams=STREAMS)
    app.add_middleware(SecurityHeaders, allowed_origins=settings.allowed_origins)


def _build_page(services: Services) -> gr.Blocks:
    calls, voices, settings = services.call_manager, services.voices, services.settings
    status, has_login = services.metrics.status, services.credentials.are_needed
    options = PageOptions(
        voices,
        settings.default_text_prompt,
        settings.most_calls + settings.max_waiting + SPARE_CONNECTIONS,
        choose_ice_servers(settings.ice_servers, settings.space_id, revealed(settings.hf_token)),
    )
    probes = Probes()
    report = KeptReport(lambda: examine_server(settings, probes, status()))
    return build_page(
        PageCallbacks(
            BrowserCalls(calls), services.previews, voices, services.load_model, services.load_echo
        ),
        PhoneCallbacks(services.phone, services.number, services.credentials, settings.phone_record),
        PageApi(calls, voices, settings.max_call_seconds),
        StatusSources(status, report.get, has_login, settings.server_url is not None),
        options,
    )


@contextlib.asynccontextmanager
async def _lifespan(services: Services, app: FastAPI) -> AsyncGenerator[None]:
    async with services.running():
        tasks = [
            asyncio.create_task(forget_idle_sessions(app.state.page)),
            asyncio.create_task(_warn_of_misfits(services)),
            asyncio.create_task(keep_collections_short(services.engine)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _warn_of_misfits(services: Services) -> None:
    await until_loaded(services.engine)
    with contextlib.suppress(EngineUnavailable):  # the engine is already closed
        model, default = services.engine.model, services.default_persona
        await asyncio.to_thread(warn_of_misfits, model, default, services.personas)

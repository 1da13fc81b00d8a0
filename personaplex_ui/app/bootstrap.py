"""Assembles the app from services, routes, middleware and page. Decides nothing else."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator

import gradio as gr
from fastapi import APIRouter, FastAPI

from personaplex_ui import __version__
from personaplex_ui.app.garbage import keep_collections_short, until_loaded
from personaplex_ui.app.open_files import most_requests, raise_limit
from personaplex_ui.app.services import Services
from personaplex_ui.app.startup_checks import check_instance_path, warn_of_misfits
from personaplex_ui.calls.wait_estimate import WaitEstimate
from personaplex_ui.channels.browser.connections import Connections
from personaplex_ui.channels.browser.ice_servers import choose_ice_servers
from personaplex_ui.channels.browser.peers import Peers
from personaplex_ui.channels.browser.routes import build_webrtc_router, settings_reader
from personaplex_ui.channels.clips.routes import build_preview_router
from personaplex_ui.channels.moshi.client_page import MoshiClientAssets, build_client_router
from personaplex_ui.channels.moshi.routes import build_moshi_router
from personaplex_ui.channels.realtime.routes import RealtimeApi, build_realtime_router
from personaplex_ui.channels.rest.admission import Admission
from personaplex_ui.channels.rest.call_video_routes import build_call_video_router
from personaplex_ui.channels.rest.conversation import Conversations
from personaplex_ui.channels.rest.places import Places
from personaplex_ui.channels.rest.routes import RestApi, build_rest_router
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
from personaplex_ui.ui.page_config import CallLimits, page_config
from personaplex_ui.ui.page_head import PageHead, load_page_files
from personaplex_ui.ui.phone_callbacks import PhoneCallbacks
from personaplex_ui.ui.status_tab import StatusSources
from personaplex_ui.ui.theme import FAVICON
from personaplex_ui.web.api_docs import add_api_docs
from personaplex_ui.web.capacity_routes import build_capacity_router
from personaplex_ui.web.gradio.app import mount
from personaplex_ui.web.gradio.routes import STREAMS
from personaplex_ui.web.instance_path import InstancePath
from personaplex_ui.web.methods import AllowedMethods, HeadRequests
from personaplex_ui.web.metrics import build_metrics_router
from personaplex_ui.web.operator_routes import build_operator_router
from personaplex_ui.web.page_files import PageFiles, build_page_files_router
from personaplex_ui.web.routes import build_router
from personaplex_ui.web.security.auth import AuthMiddleware, is_machine
from personaplex_ui.web.security.headers import SecurityHeaders
from personaplex_ui.web.security.host_check import HostCheck
from personaplex_ui.web.security.proxy_headers import ProxyHeaders, client_address, public_url
from personaplex_ui.web.security.request_limits import RequestLimits
from personaplex_ui.web.security.session_cookie import SessionCookieMiddleware
from personaplex_ui.web.security.uploads import MB, UploadLimit
from personaplex_ui.web.unknown_paths import UnknownPaths
from personaplex_ui.web.visitor_routes import build_visitor_router

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
        "`/presets` and `/converse`; the websockets `/api/chat` and `/v1/realtime` (OpenAI's Realtime "
        "protocol) are described in docs/PROTOCOLS.md.",
        lifespan=functools.partial(_lifespan, services),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    page_files = load_page_files()
    _add_routes(app, services, page_files)
    _add_middlewares(app, services, page_files)
    add_api_docs(app, settings.server_url, services.credentials.are_needed)
    app.state.page = _build_page(services)
    mount(
        app,
        app.state.page,
        settings.server_url,
        max_file_size=f"{settings.max_upload_mb}mb",
        show_error=True,
        ssr_mode=False,
        favicon_path=str(FAVICON),
    )
    check_instance_path(settings.instance_path, app)
    return app


def _add_routes(app: FastAPI, services: Services, page_files: PageFiles) -> None:
    calls, voices, settings = services.call_manager, services.voices, services.settings
    app.include_router(build_router(calls, voices))
    has_api_key = services.credentials.has_api_key
    app.include_router(build_capacity_router(calls, services.drain_sec, is_machine, has_api_key))
    app.include_router(build_visitor_router(calls.allowance, services.visitor_of))
    app.include_router(build_preview_router(services.previews, voices))
    app.include_router(build_operator_router(services.operators, services.origins))
    app.include_router(build_metrics_router(services.metrics))
    waits = WaitEstimate(calls)
    role, server_url = settings.default_text_prompt, settings.server_url
    app.include_router(
        build_moshi_router(
            calls, voices, role, client_address, server_url, waits.wait_sec, services.visitor_of
        )
    )
    realtime = RealtimeApi(calls, voices, role, services.answerer, client_address, services.visitor_of)
    app.include_router(build_realtime_router(realtime))
    app.include_router(build_twilio_router(services.phone, calls, public_url, is_machine, has_api_key))
    app.include_router(build_client_router(services.moshi_client))
    app.include_router(build_page_files_router(page_files, services.credentials.are_needed))
    app.include_router(_build_webrtc_router(app, services, waits))
    app.include_router(_build_rest_router(services))
    app.include_router(build_call_video_router(services.films))


def _build_rest_router(services: Services) -> APIRouter:
    settings = services.settings
    places = Places(settings.expected_calls, settings.max_waiting)
    conversations = Conversations(
        services.parts,
        services.voices,
        settings.default_text_prompt,
        services.kept_answers,
        services.films,
        settings.instance_path,
    )
    return build_rest_router(
        RestApi(
            conversations,
            Admission(services.call_manager, places, services.metrics.registry),
            services.kept_answers,
            settings.max_upload_mb * MB,
            client_address,
            services.visitor_of,
        )
    )


def _build_webrtc_router(app: FastAPI, services: Services, waits: WaitEstimate) -> APIRouter:
    settings = services.settings
    servers = choose_ice_servers(settings.ice_servers, settings.space_id, revealed(settings.hf_token))
    connections = Connections(services.call_manager, waits)
    peers = Peers(connections, servers, settings.most_calls + settings.max_waiting + SPARE_CONNECTIONS)
    app.state.peers = peers
    read_settings = settings_reader(services.voices, settings.default_text_prompt)
    return build_webrtc_router(
        peers, connections, servers, read_settings, client_address, services.visitor_of
    )


def _add_middlewares(app: FastAPI, services: Services, page_files: PageFiles) -> None:
    """The last one added is the outermost."""
    settings, credentials = services.settings, services.credentials
    limits = CallLimits(
        settings.max_call_seconds,
        settings.recordings_keep_hours * 3600,
        settings.visitor_minutes,
        settings.busy_call_seconds,
        knows_role_only=settings.llm_base_url is None,
        several=bool(settings.instance_path),
        browser_calls=settings.browser_calls.value,
    )
    config = functools.partial(page_config, services.voices, settings.default_text_prompt, limits)
    app.add_middleware(SessionCookieMiddleware, rewrite=PageHead(page_files, config).rewrite)
    app.add_middleware(AllowedMethods)
    app.add_middleware(MoshiClientAssets, client=services.moshi_client)
    app.add_middleware(UploadLimit, mb_per_hour=settings.upload_mb_per_hour)
    app.add_middleware(UnknownPaths)
    app.add_middleware(AuthMiddleware, credentials=credentials, origins=services.origins)
    if not credentials.are_needed:
        app.add_middleware(
            HostCheck, server_url=settings.server_url, allowed_origins=settings.allowed_origins
        )
    app.add_middleware(RequestLimits, most=most_requests(raise_limit()))
    app.add_middleware(ProxyHeaders, server_url=settings.server_url, trusted_proxies=settings.trusted_proxies)
    app.add_middleware(HeadRequests, streams=f"{STREAMS}|/operator")
    app.add_middleware(InstancePath, path=settings.instance_path)
    app.add_middleware(SecurityHeaders, allowed_origins=settings.allowed_origins)


def _build_page(services: Services) -> gr.Blocks:
    calls, voices, settings = services.call_manager, services.voices, services.settings
    status = services.metrics.status
    is_operator = services.operators.is_operator
    probes = Probes()
    report = KeptReport(lambda: examine_server(settings, probes, status()))
    return build_page(
        PageCallbacks(calls, voices, services.load_model, services.load_echo, is_operator),
        PhoneCallbacks(
            services.phone, services.number, services.credentials, settings.phone_record, is_operator
        ),
        PageApi(calls, voices, settings.max_call_seconds, services.visitor_of),
        StatusSources(status, report.get, is_operator),
        PageOptions(voices, settings.default_text_prompt),
    )


@contextlib.asynccontextmanager
async def _lifespan(services: Services, app: FastAPI) -> AsyncGenerator[None]:
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(app.state.peers.close)
        await stack.enter_async_context(services.running())
        tasks = [
            asyncio.create_task(forget_idle_sessions(app.state.page)),
            asyncio.create_task(_warn_of_misfits(services)),
            asyncio.create_task(keep_collections_short(services.engine)),
            asyncio.create_task(services.captions.run()),
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

"""The routes of the Realtime protocol: who calls, in which dialect, and the model that clients ask for."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, HTTPException, WebSocket
from fastapi.responses import PlainTextResponse
from starlette.requests import HTTPConnection

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.peer_websocket import ClientGone, PeerWebsocket
from personaplex_ui.channels.realtime.call_actions import Answerer
from personaplex_ui.channels.realtime.callers_lines import CallersLines, ExpectedCalls
from personaplex_ui.channels.realtime.connection import RealtimeConnection
from personaplex_ui.channels.realtime.items import Dialect
from personaplex_ui.channels.realtime.session_config import SessionConfig, Voices
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.web.security.visitors import VisitorOf

PATHS = ("/v1/realtime", "/realtime")
PROTOCOL = "realtime"
BETA_PROTOCOL = "openai-beta.realtime-v1"
USUAL_MODEL = "personaplex"

EXPLANATION = """\
For clients of OpenAI's Realtime API: a websocket with JSON messages, also in the names of the beta.
Connect to this address with such a client, and with any model; docs/PROTOCOLS.md has the details.
"""


@dataclass(frozen=True, slots=True)
class RealtimeApi:
    """``default_prompt``: the role of clients that give none. ``address_of``: the client's address for
    limits, or an empty text if no limits apply. ``visitor_of``: whose minutes are used."""

    call_manager: CallManager
    voices: Voices
    default_prompt: str
    answerer: Answerer
    address_of: Callable[[HTTPConnection], str]
    visitor_of: VisitorOf = lambda _: None
    expected: ExpectedCalls = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "expected", ExpectedCalls(self.call_manager))

    async def serve(self, websocket: WebSocket) -> None:
        """Accept one websocket and serve it to the end. Never raises for anything a peer does."""
        wire = PeerWebsocket(websocket)
        config = SessionConfig(self.voices.default, self.default_prompt)
        lines = CallersLines(self.expected, self.address_of(websocket), self.visitor_of(websocket))
        with contextlib.suppress(ClientGone):
            await wire.accept(_chosen_protocol(websocket))
            dialect = dialect_spoken(websocket)
            connection = RealtimeConnection(
                wire, lines, self.answerer, self.voices, config, self.model_name, dialect
            )
            await connection.run()

    @property
    def model_name(self) -> str:
        """Of the loaded model, or what is usually loaded."""
        try:
            return self.call_manager.engine.model.name
        except EngineUnavailable:
            return USUAL_MODEL


def build_realtime_router(api: RealtimeApi) -> APIRouter:
    router = APIRouter()

    async def explain() -> PlainTextResponse:
        """Answers 426 with a few lines about the protocol."""
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        return PlainTextResponse(EXPLANATION, status_code=426, headers=headers)

    def about_model() -> dict[str, Any]:
        return {"id": api.model_name, "object": "model", "created": 0, "owned_by": "personaplex_ui"}

    async def models() -> dict[str, Any]:
        """The loaded model, as OpenAI's API lists models."""
        return {"object": "list", "data": [about_model()]}

    async def model(model_id: str) -> dict[str, Any]:
        """The loaded model, if that is the one."""
        about = about_model()
        if model_id != about["id"]:
            raise HTTPException(404, f"The model here is {about['id']}.")
        return about

    for path in PATHS:
        router.add_api_websocket_route(path, api.serve)
        router.add_api_route(
            path,
            explain,
            methods=["GET"],
            status_code=426,
            response_class=PlainTextResponse,
            include_in_schema=False,  # OpenAPI does not describe websockets
            name=f"explain {path}",
        )
    router.add_api_route("/v1/models", models, methods=["GET"], include_in_schema=False)
    router.add_api_route("/v1/models/{model_id:path}", model, methods=["GET"], include_in_schema=False)
    return router


def dialect_spoken(connection: HTTPConnection) -> Dialect:
    """The one that the client asked for as it connected; a ``session.update`` may show that it is the
    other."""
    asked = connection.headers.get("openai-beta", "")
    beta = "realtime=v1" in asked.replace(" ", "") or BETA_PROTOCOL in _protocols(connection)
    return Dialect.BETA if beta else Dialect.GA


def _protocols(connection: HTTPConnection) -> list[str]:
    return connection.scope.get("subprotocols") or []


def _chosen_protocol(connection: HTTPConnection) -> str | None:
    """Of those that a browser offers, one has to be chosen; never the one that holds the key."""
    return PROTOCOL if PROTOCOL in _protocols(connection) else None

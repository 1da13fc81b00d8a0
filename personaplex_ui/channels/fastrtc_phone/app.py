"""The two routes that FastRTC's phone service needs, as an app of its own: all that its tunnel shows of us.

Requests there are signed by FastRTC's Twilio account, whose secret only FastRTC has, so the signature cannot
be checked. What protects the calls is a token for one call, the limit on connections that have not begun one,
and the slots. Knows routes; not what is answered, and not how the tunnel came about.
"""

from fastapi import FastAPI, Request, Response, WebSocket

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.twilio.protocol import Start
from personaplex_ui.channels.twilio.service import LENT_STREAM_PATH, PhoneService
from personaplex_ui.channels.twilio.session import Lobby, PhoneGrant, serve_stream
from personaplex_ui.channels.twilio.twiml import MEDIA_TYPE
from personaplex_ui.web.small_body import read_small_body

INCOMING_PATH = "/telephone/incoming"


def build_lent_number_app(call_manager: CallManager, phone: PhoneService, host: str) -> FastAPI:
    """The app behind the public ``host``, which alone decides where streams connect to."""
    lobby = Lobby()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    def admit(start: Start) -> PhoneGrant:
        return phone.admit_lent(host, start)

    @app.post(INCOMING_PATH)
    async def incoming(request: Request) -> Response:
        await read_small_body(request)  # of which nothing is used
        return Response(await phone.answer_lent(host), media_type=MEDIA_TYPE)

    @app.websocket(LENT_STREAM_PATH)
    async def stream(websocket: WebSocket) -> None:
        await serve_stream(websocket, call_manager, admit, lobby)

    return app

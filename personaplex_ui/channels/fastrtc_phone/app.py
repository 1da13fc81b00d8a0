"""The two routes that FastRTC's phone service needs, as a separate app: the tunnel exposes nothing else.

FastRTC's Twilio account signs the requests, and only FastRTC has its secret, so the signature cannot be
checked. The calls are protected by one-time tokens, a limit on connections that have not begun a call, and
the slots. Defines routes only; independent of the answers and the tunnel.
"""

from fastapi import FastAPI, Request, Response, WebSocket

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.fastrtc_phone.lent_calls import STREAM_PATH, LentCalls
from personaplex_ui.channels.twilio.media_stream.admission import Lobby
from personaplex_ui.channels.twilio.media_stream.session import serve_stream
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.channels.twilio.twiml import MEDIA_TYPE
from personaplex_ui.web.small_body import read_small_body

INCOMING_PATH = "/telephone/incoming"


def build_lent_number_app(call_manager: CallManager, phone: PhoneService, host: str) -> FastAPI:
    """The app behind the public ``host``, which is the only host that streams connect to."""
    calls = LentCalls(call_manager, phone, host)
    lobby = Lobby()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @app.post(INCOMING_PATH)
    async def incoming(request: Request) -> Response:
        await read_small_body(request)  # its content is not used
        return Response(await calls.answer(), media_type=MEDIA_TYPE)

    @app.websocket(STREAM_PATH)
    async def stream(websocket: WebSocket) -> None:
        await serve_stream(websocket, call_manager, calls.admit, lobby)

    return app

"""The two routes that FastRTC's phone service needs, as an app of its own: all that its tunnel shows of us.

Requests there are signed by FastRTC's Twilio account, whose secret only FastRTC has, so the signature cannot
be checked. What protects the calls is a token for one call, the limit on connections that have not begun one,
and the lines. Knows TwiML and routes; no sound, and not how the tunnel came about.
"""

import asyncio
import logging
import secrets
from xml.etree import ElementTree

from fastapi import FastAPI, Request, Response, WebSocket
from starlette.requests import ClientDisconnect

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.twilio import twiml
from personaplex_ui.channels.twilio.availability import Availability
from personaplex_ui.channels.twilio.call_tokens import CallTokens, persona_of
from personaplex_ui.channels.twilio.messages import CANNOT_BE_USED
from personaplex_ui.channels.twilio.personas import PhonePersona
from personaplex_ui.channels.twilio.protocol import Start
from personaplex_ui.channels.twilio.session import Lobby, PhoneGrant, serve_stream
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.voices.library import VoiceLibrary

log = logging.getLogger(__name__)

INCOMING_PATH = "/telephone/incoming"
STREAM_PATH = "/telephone/handler"

MOST_BODY_BYTES = 65_536
"""Twilio's form has about 2 KB."""

BODY_WITHIN_SEC = 5.0

GREETING = "Connecting to the AI assistant."
FAREWELL = "The call has been disconnected."
"""FastRTC's own words before and after. Twilio says the second one when we end the stream, not the caller."""


def build_telephone_app(
    call_manager: CallManager,
    voices: VoiceLibrary,
    text_prompt: str,
    host: str,
    persona: PhonePersona | None = None,
) -> FastAPI:
    """The app behind the public ``host``, which alone decides where streams connect to.

    ``persona``: as whom to answer; what it leaves open is the default of ``voices`` and ``text_prompt``.
    """
    desk = TelephoneDesk(call_manager, voices, text_prompt, host, persona or PhonePersona())
    lobby = Lobby()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @app.post(INCOMING_PATH)
    async def incoming(request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_WITHIN_SEC):
                fits = await _skip_body(request)
        except (TimeoutError, ClientDisconnect):
            return Response("The form of the call did not arrive.", status_code=408)
        if not fits:
            return Response(f"The form of a call has at most {MOST_BODY_BYTES:,} bytes.", status_code=413)
        return Response(await desk.answer(), media_type=twiml.MEDIA_TYPE)

    @app.websocket(STREAM_PATH)
    async def stream(websocket: WebSocket) -> None:
        await serve_stream(websocket, call_manager, desk.admit, lobby=lobby)

    return app


class TelephoneDesk:
    """Answers calls in TwiML and admits the streams that it has announced."""

    def __init__(
        self,
        call_manager: CallManager,
        voices: VoiceLibrary,
        text_prompt: str,
        host: str,
        persona: PhonePersona,
    ) -> None:
        self._call_manager = call_manager
        self._readiness = Availability(call_manager, voices, text_prompt)
        self._stream_url = f"wss://{host}{STREAM_PATH}"
        self._persona = persona
        self._tokens = CallTokens(secrets.token_bytes(32))

    async def answer(self) -> str:
        """TwiML for a call that comes in."""
        persona = self._persona
        try:
            self._readiness.check()
            settings = await self._readiness.checked_settings(persona.voice, persona.text_prompt)
        except InvalidInput as error:
            log.warning("The persona of the telephone cannot be used: %s", error)
            return self._turn_away(CANNOT_BE_USED)
        except PersonaplexError as error:
            return self._turn_away(str(error))
        values = {"voice_prompt": settings.persona.voice, "text_prompt": settings.persona.text_prompt}
        values["token"] = self._tokens.issue(persona_of(values))
        greeting = GREETING if persona.announcement is None else persona.announcement
        return _with_farewell(twiml.connect(self._stream_url, values, greeting))

    def _turn_away(self, sentence: str) -> str:
        self._call_manager.turn_away(Transport.FASTRTC_PHONE)
        return twiml.say_and_hang_up(sentence)

    def admit(self, start: Start) -> PhoneGrant:
        """The call that a stream may begin.

        Raises:
            PersonaplexError: it may not; the text says why.
        """
        values = twiml.join_parameters(start.parameters)
        self._tokens.redeem(values.get("token", ""), persona_of(values))
        self._readiness.check()
        settings = self._readiness.settings(values.get("voice_prompt", ""), values.get("text_prompt", ""))
        return PhoneGrant(settings, "", "", Transport.FASTRTC_PHONE)


def _with_farewell(answer: str) -> str:
    response = ElementTree.fromstring(answer)
    ElementTree.SubElement(response, "Say").text = FAREWELL
    return '<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(response, "unicode")


async def _skip_body(request: Request) -> bool:
    """Read what nothing here depends on; False when it is too long to go on."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_BODY_BYTES:
            return False
    return True

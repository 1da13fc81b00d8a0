"""The telephone's routes alone, on a fake model; and Twilio, which posts to them with its signature."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from starlette.requests import HTTPConnection
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.channels.twilio.media_stream.protocol import Start
from personaplex_ui.channels.twilio.personas import PhonePersonas
from personaplex_ui.channels.twilio.routes import build_twilio_router
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.instance_path import InstancePath
from personaplex_ui.web.security.proxy_headers import ProxyHeaders, public_url
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel
from tests.support.running import until
from tests.support.twilio_rest import ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER
from tests.support.twilio_rig import Peer, dialling, started_with

SERVER_URL = "https://phone.example.org"
API_KEY = "the key of machines"
BEARER = {"Authorization": f"Bearer {API_KEY}"}
CALL_SID = "CA" + "1b" * 16
CALLER = "+4915112345678"
CONNECTING = [["Connect"], ["Say", "Connect"], ["Connect", "Say"], ["Say", "Connect", "Say"]]
DEFAULT_ROLE = "You enjoy having a good conversation."


@dataclass(frozen=True, slots=True)
class Answered:
    """What a webhook's TwiML tells Twilio to do. ``farewell``: said when the stream is over. ``dials``: the
    number to which it connects the caller, and ``dial`` how."""

    said: str
    stream_url: str
    action: str
    parameters: Mapping[str, str]
    hangs_up: bool
    farewell: str
    dials: str = ""
    dial: Mapping[str, str] = field(default_factory=dict[str, str])

    def start(self, call_sid: str = CALL_SID, **changed: str) -> Start:
        """The message with which Twilio begins the stream."""
        return Start("MZ1", call_sid, {**self.parameters, **changed})


def read_twiml(response: Response) -> Answered:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/xml")
    root = ElementTree.fromstring(response.content)
    verbs = [element.tag for element in root]
    connects, dial = "Connect" in verbs, root.find("Dial")
    assert verbs in (CONNECTING if connects else [["Hangup"], ["Say", "Hangup"], ["Say", "Dial"]])
    connection, stream = root.find("Connect"), root.find("Connect/Stream")
    return Answered(
        said=root[0].text or "" if verbs[0] == "Say" else "",
        stream_url=str(stream.get("url")) if stream is not None else "",
        action=str(connection.get("action", "")) if connection is not None else "",
        parameters={str(p.get("name")): str(p.get("value")) for p in root.iter("Parameter")},
        hangs_up=not connects and dial is None,
        farewell=root[-1].text or "" if verbs[-1] == "Say" else "",
        dials=root.findtext("Dial/Number") or "",
        dial=dict(dial.attrib) if dial is not None else {},
    )


class PhoneApp:
    """``twilio`` posts as Twilio does, ``http`` as anybody. The Host header of both is a stranger's."""

    def __init__(
        self, model: FakeModel, engine: Engine, call_manager: CallManager, phone: PhoneService
    ) -> None:
        self.model = model
        self.engine = engine
        self.call_manager = call_manager
        self.phone = phone
        self.http: AsyncClient
        self.clock: Clock

    async def twilio(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        token: str = AUTH_TOKEN,
        signed_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        **changed: str,
    ) -> Response:
        """Post ``fields`` and what a call usually has, signed for ``signed_url``; ``changed`` after that."""
        form = {
            "CallSid": CALL_SID,
            "AccountSid": ACCOUNT_SID,
            "From": CALLER,
            "To": PHONE_NUMBER,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ForwardedFrom": "",
            "CallerName": "Jürgen & Söhne <GmbH> +1",
        } | dict(fields or {})
        url = SERVER_URL + path if signed_url is None else signed_url
        signature = RequestValidator(token).compute_signature(url, form)
        return await self.http.post(
            path,
            content=urlencode(form | changed),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Twilio-Signature": signature,
                **(headers or {}),
            },
        )

    async def inbound(self, call_sid: str = CALL_SID, **fields: str) -> Answered:
        return read_twiml(await self.twilio("/twilio/inbound", {"CallSid": call_sid, **fields}))

    @asynccontextmanager
    async def stream(self, answered: Answered, call_sid: str = CALL_SID) -> AsyncGenerator[Peer]:
        """Does what the TwiML tells: opens the stream, in memory. The call is live."""
        async with dialling(self.call_manager) as dial:
            peer = dial(admit=self.phone.streams.admit)
            await peer.start(started_with(answered.parameters, call_sid))
            yield peer


@asynccontextmanager
async def phone_app(
    folder: Path,
    *,
    account: PhoneAccount | None = None,
    personas: str | None = None,
    client: Client | None = None,
    daily_limit: int = 20,
    server_url: str | None = SERVER_URL,
    has_api_key: bool = True,
    loaded: bool = True,
    slots: int = 1,
    instance_path: str = "",
    **options: Any,
) -> AsyncGenerator[PhoneApp]:
    """``loaded`` False: the model is still being loaded. ``options`` go to the service."""
    model, clock = FakeModel(slots), Clock(time.time())
    engine = Engine(lambda report: model, max_calls=slots, max_waiting=2)
    call_manager = CallManager(engine, CallStore(folder / "recordings", 3600.0, time.time), 600.0)
    voices = VoiceLibrary([Voice("NATF2", "Female", "NATF2"), Voice("NATM1", "Male", "NATM1")], (), "NATF2")
    account = PhoneAccount(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER) if account is None else account
    phone = PhoneService(
        call_manager,
        voices,
        DEFAULT_ROLE,
        account,
        folder,
        personas=PhonePersonas.from_text(personas, voices),
        twilio_client=TwilioClient(account, client) if client is not None else None,
        daily_limit=daily_limit,
        clock=clock,
        **options,
    )

    def is_machine(connection: HTTPConnection) -> bool:
        return connection.headers.get("authorization") == f"Bearer {API_KEY}"

    app = FastAPI()
    app.include_router(build_twilio_router(phone, call_manager, public_url, is_machine, has_api_key))
    if loaded:
        await engine.start()
        await until(lambda: engine.state is EngineState.READY)
    await call_manager.start()
    proxied = ProxyHeaders(app, server_url, ["127.0.0.1"])
    transport = ASGITransport(InstancePath(proxied, instance_path))
    async with AsyncClient(transport=transport, base_url="http://stranger.example:8000") as http:
        opened = PhoneApp(model, engine, call_manager, phone)
        opened.http, opened.clock = http, clock
        yield opened
    await call_manager.close()
    if loaded:
        await engine.close()

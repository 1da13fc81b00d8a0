"""Twilio as a whole: it posts to the webhooks of an app with its signature, and does what the TwiML tells."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
from twilio.request_validator import RequestValidator

from tests.support.app_process import TELEPHONE
from tests.support.clients.twilio import TwilioPeer, twilio_peer

SERVER_URL = TELEPHONE["SERVER_URL"]
BEARER = {"Authorization": f"Bearer {TELEPHONE['API_KEY']}"}


class TwilioAccount:
    """Knows the app by its public address; ``http`` leads there."""

    def __init__(self, http: httpx.AsyncClient, auth_token: str = TELEPHONE["TWILIO_AUTH_TOKEN"]) -> None:
        self._http = http
        self._validator = RequestValidator(auth_token)

    async def post(self, path: str, call_sid: str, **fields: str) -> httpx.Response:
        called = TELEPHONE["TWILIO_PHONE_NUMBER"]
        form = {"CallSid": call_sid, "From": "+15550002222", "To": called, "Direction": "inbound", **fields}
        headers = {"X-Twilio-Signature": self._validator.compute_signature(SERVER_URL + path, form)}
        return await self._http.post(path, data=form, headers=headers)

    async def ask(self, path: str, call_sid: str, **fields: str) -> ElementTree.Element:
        """The TwiML that the webhook answers."""
        response = await self.post(path, call_sid, **fields)
        assert response.status_code == 200, response.text
        return ElementTree.fromstring(response.content)

    @asynccontextmanager
    async def stream(self, answer: ElementTree.Element, call_sid: str) -> AsyncGenerator[TwilioPeer]:
        """Does what the TwiML tells: opens the stream."""
        stream = answer.find("Connect/Stream")
        assert stream is not None
        stream_url = urlsplit(str(stream.get("url")))
        assert (f"https://{stream_url.netloc}", stream_url.scheme) == (SERVER_URL, "wss")
        assert (stream_url.query, stream_url.fragment) == ("", "")
        address = str(self._http.base_url.copy_with(scheme="ws", path=stream_url.path))
        async with twilio_peer(address) as peer:
            await peer.start(parameters(answer), call_sid)
            yield peer

    async def go_on(
        self, answer: ElementTree.Element, verb: str, call_sid: str, **fields: str
    ) -> ElementTree.Element:
        """What comes after ``verb`` of an earlier answer."""
        connection = answer.find(verb)
        assert connection is not None
        action = str(connection.get("action"))
        assert action.startswith(SERVER_URL)
        return await self.ask(action.removeprefix(SERVER_URL), call_sid, **fields)

    async def ended(self, answer: ElementTree.Element, call_sid: str) -> str:
        """What the caller hears when the stream is over."""
        return said(await self.go_on(answer, "Connect", call_sid))


def parameters(answer: ElementTree.Element) -> dict[str, str]:
    return {str(found.get("name")): str(found.get("value")) for found in answer.iter("Parameter")}


def said(answer: ElementTree.Element) -> str:
    assert answer[-1].tag == "Hangup"
    return answer.findtext("Say") or ""


async def hear_something(peer: TwilioPeer) -> None:
    async with asyncio.timeout(10.0):
        while not peer.received:
            await peer.listen_for(0.1)


async def status_of(http: httpx.AsyncClient, call_sid: str) -> dict[str, Any]:
    """Once our part of it has ended and its recording is there."""
    async with asyncio.timeout(10.0):
        while True:
            answer = await http.get(f"/twilio/status/{call_sid}", headers=BEARER)
            assert answer.status_code == 200, answer.text
            status = answer.json()
            if status["recording"] and status["end"]:
                return status
            await asyncio.sleep(0.05)

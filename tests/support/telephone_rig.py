"""What a lent number needs in a test: a phone service on a fake model, and a tunnel that really forwards."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.channels.fastrtc_phone.tunnel import Tunnel
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.personas import PhonePersona, PhonePersonas
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.errors import PhoneUnavailable
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.clients.twilio import TwilioPeer, twilio_peer
from tests.support.fake_model import FakeModel
from tests.support.phone_app import Answered, read_twiml
from tests.support.running import running_call_manager, running_engine

VOICES = VoiceLibrary([Voice("NATF2", "Natural female", "NATF2")], default="NATF2")


@asynccontextmanager
async def one_slot(folder: Path) -> AsyncGenerator[CallManager]:
    """Ready to take a call; each caller hears back what it says."""
    async with (
        running_engine(FakeModel(), max_calls=1, max_waiting=2) as engine,
        running_call_manager(engine, folder) as call_manager,
    ):
        yield call_manager


def phone_service(
    call_manager: CallManager, folder: Path, persona: PhonePersona | None = None
) -> PhoneService:
    personas = PhonePersonas({"*": persona} if persona else {})
    return PhoneService(
        call_manager, VOICES, "Be kind.", PhoneAccount(), folder, personas=personas, record=True
    )


class ForwardingTunnel:
    """Another port of loopback leads to the one that is told. ``failure``: it does not open. ``going``
    cleared: it takes until that is set. ``broken``: set by a test."""

    def __init__(self) -> None:
        self.failure = ""
        self.going = asyncio.Event()
        self.going.set()
        self.broken = asyncio.Event()
        self.is_open = False
        self.ports: list[int] = []

    @asynccontextmanager
    async def open(self, port: int) -> AsyncGenerator[Tunnel]:
        self.ports.append(port)
        await self.going.wait()
        if self.failure:
            raise PhoneUnavailable(self.failure)
        tasks: set[asyncio.Task[None]] = set()

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(cast("asyncio.Task[None]", asyncio.current_task()))
            try:
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
            except asyncio.CancelledError:
                pass  # the tunnel is closed; asyncio would log it
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(forward, "127.0.0.1", 0)
        lost = asyncio.create_task(self._lost())
        self.is_open = True
        try:
            yield Tunnel(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", lost)
        finally:
            self.is_open = False
            server.close()
            for task in (*tasks, lost):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _lost(self) -> str:
        await self.broken.wait()
        return "The tunnel broke."


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def plain_client() -> httpx.AsyncClient:
    """One that goes straight to loopback, whatever proxy this machine has, and reads no certificates."""
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=10.0)


async def ring(host: str, **headers: str) -> Answered:
    """What a caller who has entered the code is answered."""
    form = {"CallSid": "CA" + "0" * 32, "From": "+15550100", "To": "+15550199"}
    async with plain_client() as client:
        return read_twiml(await client.post(f"http://{host}/telephone/incoming", data=form, headers=headers))


@asynccontextmanager
async def picked_up(answered: Answered) -> AsyncGenerator[TwilioPeer]:
    """Its stream is connected but has not begun. The stand-in tunnel has no certificate."""
    async with twilio_peer(answered.stream_url.replace("wss://", "ws://")) as telephone:
        yield telephone


async def closed(telephone: TwilioPeer) -> tuple[int | None, str | None]:
    """Wait until the other side closes; code and reason."""
    async with asyncio.timeout(10.0):
        await telephone.websocket.wait_closed()
    return telephone.websocket.close_code, telephone.websocket.close_reason

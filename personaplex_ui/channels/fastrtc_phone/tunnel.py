"""A public host name for one port of this machine, through the relay that Gradio's share links use.

Knows where the relay is and what can fail on the way; the program that dials it is ``frpc``'s, and what
listens on the port is unknown here.
"""

import asyncio
import contextlib
import logging
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import httpx
from gradio import networking

from personaplex_ui.channels.bounded_http import Reply, ask
from personaplex_ui.channels.fastrtc_phone.frpc import FAILED, REFUSED, Frpc
from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

OPENS_WITHIN_SEC = 45.0
"""The first time, the program has to be fetched, too."""

RELAY_ANSWERS_WITHIN_SEC = 15.0
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
PORT = re.compile(r"[0-9]{1,5}")

NO_RELAY = (
    f"{FAILED}: api.gradio.app, which knows the relay, gives no usable answer. Check the internet connection "
    "and the firewall, and try again in a minute."
)
NO_FOLDER = f"{FAILED}: no temporary file can be written. Make room, or set TMPDIR to a folder with some."
TOO_LATE = (
    f"{FAILED} in time. Check the internet connection, and whether the firewall lets connections out; then "
    "try again."
)
LOST = "The tunnel to Hugging Face is gone, so the number reaches nobody any more. Ask for a number again."


class Tunnel(Protocol):
    """Makes one local port reachable under a public host name. Can be opened again after ``close``."""

    async def open(self, port: int) -> str:
        """The public host (and port, if it is not 443) that now leads to ``port`` of 127.0.0.1.

        Raises:
            PhoneUnavailable: with the words for whoever runs the server. Nothing is left then, nor after a
                cancellation.
        """
        ...

    async def lost(self) -> str:
        """Returns when the open tunnel leads here no more, with the sentence that says so."""
        ...

    async def close(self) -> None:
        """The host leads nowhere any more. Closing twice, or what was never open, changes nothing."""
        ...


class GradioTunnel:
    """A ``Tunnel`` through the relay of Gradio's share links, ``*.gradio.live``.

    Args:
        make_client: for the question where the relay is.
    """

    def __init__(
        self,
        make_client: Callable[[], httpx.AsyncClient] = httpx.AsyncClient,
        within_sec: float = OPENS_WITHIN_SEC,
    ) -> None:
        self._make_client = make_client
        self._within_sec = within_sec
        self._frpc: Frpc | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def open(self, port: int) -> str:
        """As the protocol says."""
        try:
            async with asyncio.timeout(self._within_sec):
                relay = await self._find_relay()
                self._frpc = Frpc(relay.host, relay.port, self._keep_certificate(relay), port)
                return host_of(await self._frpc.open())
        except TimeoutError:
            await self.close()
            raise PhoneUnavailable(TOO_LATE) from None
        except BaseException:
            await self.close()
            raise

    async def lost(self) -> str:
        """As the protocol says."""
        assert self._frpc is not None, "the tunnel is not open"
        await asyncio.wait([self._frpc.over])
        return LOST

    async def close(self) -> None:
        """As the protocol says. Takes 2 s at most."""
        frpc, self._frpc = self._frpc, None
        folder, self._folder = self._folder, None
        try:
            if frpc is not None:
                await frpc.close()
        finally:
            if folder is not None:
                with contextlib.suppress(OSError):
                    folder.cleanup()

    async def _find_relay(self) -> "Relay":
        own = networking.GRADIO_SHARE_SERVER_ADDRESS
        if own is not None:
            return relay_at(own)
        try:
            async with self._make_client() as client:
                reply = await ask(client, "GET", networking.GRADIO_API_SERVER, RELAY_ANSWERS_WITHIN_SEC)
        except (httpx.RequestError, TimeoutError) as error:
            log.warning("The relay of the tunnel is not known: %s", type(error).__name__)
            raise PhoneUnavailable(NO_RELAY) from None
        return relay_in(reply)

    def _keep_certificate(self, relay: "Relay") -> str | None:
        if relay.certificate is None:
            return None
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="tunnel-")
            path = Path(self._folder.name) / "certificate.pem"
            path.write_text(relay.certificate)
        except OSError as error:
            raise PhoneUnavailable(NO_FOLDER) from error
        return str(path)


@dataclass(frozen=True, slots=True)
class Relay:
    """Where frpc dials to. ``certificate``: PEM; without one the way there is not encrypted."""

    host: str
    port: int
    certificate: str | None = None


def relay_at(address: str) -> Relay:
    """A relay of one's own, from Gradio's variable ``GRADIO_SHARE_SERVER_ADDRESS``.

    Raises:
        PhoneUnavailable: it is not ``host:port``.
    """
    host, _, port = address.rpartition(":")
    if not HOST.fullmatch(host) or not PORT.fullmatch(port):
        raise PhoneUnavailable(
            f"{FAILED}: GRADIO_SHARE_SERVER_ADDRESS must be a host and a port, as in a.org:7000."
        )
    return Relay(host, int(port))


def relay_in(reply: Reply) -> Relay:
    """The relay in the answer of api.gradio.app.

    Raises:
        PhoneUnavailable: there is none in it.
    """
    entries = cast(list[object], reply.body) if isinstance(reply.body, list) else []
    if reply.status == 200 and entries and isinstance(entries[0], dict):
        entry = cast(dict[str, object], entries[0])
        host, port, certificate = str(entry.get("host")), str(entry.get("port")), entry.get("root_ca")
        # Host and port become words of frpc's command line.
        if HOST.fullmatch(host) and PORT.fullmatch(port) and isinstance(certificate, str):
            return Relay(host, int(port), certificate)
    log.warning("The relay of the tunnel is not known: HTTP %d", reply.status)
    raise PhoneUnavailable(NO_RELAY)


def host_of(url: str) -> str:
    """The host, with its port if there is one, of the URL that frpc names.

    Raises:
        PhoneUnavailable: it has none.
    """
    found = re.match(rf"https?://({HOST.pattern}(?::{PORT.pattern})?)(?:/|$)", url)
    if found is None:
        raise PhoneUnavailable(REFUSED)
    return found[1]

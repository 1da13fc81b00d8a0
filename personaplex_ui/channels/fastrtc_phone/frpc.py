"""Gradio's program ``frpc``, which holds a tunnel: fetched, started, followed and ended, without blocking.

Knows the program; where the relay is, and what listens on the port, it is told. Gradio's own way
(``gradio.networking.setup_tunnel``) blocks, prints, leaves the program's pipes unread, and turns a core in
circles for 30 s when the program has ended. So of Gradio only the download with its checksum and the command
line are used.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

import httpx
from gradio import tunneling
from gradio.exceptions import ChecksumMismatchError

from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

ENDS_WITHIN_SEC = 1.0
SHOWN_CHARACTERS = 200

FAILED = "The tunnel to Hugging Face could not be opened"
NO_PROGRAM = (
    f"{FAILED}: its program, frpc, could not be fetched from cdn-media.huggingface.co. Check the internet "
    "connection, and that HF_HOME is a folder that can be written; then try again."
)
WRONG_PROGRAM = (
    f"{FAILED}: its program, frpc, did not arrive as it should be and was removed. Try again; if that fails "
    "too, check the proxy."
)
NOT_RUNNING = (
    f"{FAILED}: its program, frpc, does not run on this machine. Remove the folder gradio/frpc of HF_HOME, "
    "so that it is fetched anew, or use a number of Twilio's, which needs no tunnel."
)
REFUSED = (
    f"{FAILED}: the relay did not let it in. Try again in a minute; if that fails too, check whether the "
    "firewall lets connections out."
)


class Frpc(tunneling.Tunnel):
    """The program that holds the tunnel. A daemon thread fetches and starts it, and reads what it says until
    it ends: reading can block for ever, so nothing ever waits for the thread.

    ``over`` is done when the tunnel leads here no more, for whatever reason.
    """

    def __init__(self, relay_host: str, relay_port: int, certificate_path: str | None, port: int) -> None:
        token = secrets.token_urlsafe(32)
        super().__init__(relay_host, relay_port, "127.0.0.1", port, token, certificate_path)
        self._loop = asyncio.get_running_loop()
        self._address: asyncio.Future[str] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._starting = threading.Lock()
        self._closed = False
        self._said: deque[str] = deque(maxlen=1)

    async def open(self) -> str:
        """The URL that leads to the port. Call ``close`` in any case.

        Raises:
            PhoneUnavailable: it could not be opened.
        """
        threading.Thread(target=self._work, name="tunnel", daemon=True).start()
        await asyncio.wait([self._address, self.over], return_when=asyncio.FIRST_COMPLETED)
        if not self._address.done():
            if self._said:
                log.warning("The tunnel's program said: %s", self._said[0][:SHOWN_CHARACTERS])
            raise PhoneUnavailable(REFUSED)
        return self._address.result()

    async def close(self) -> None:
        """End the program, first politely."""
        with self._starting:  # held for as long as it takes to start a process
            self._closed = True
        if not self._address.cancel() and not self._address.cancelled():
            self._address.exception()  # seen, whoever waited for it
        for end in (self.kill, self._kill_at_once):
            end()
            if self.proc is None:
                return  # the thread was still fetching, and will find that nobody wants it any more
            if (await asyncio.wait([self._gone], timeout=ENDS_WITHIN_SEC))[0]:
                return

    def kill(self) -> None:
        """Without Gradio's print. Gradio has it called when Python ends, too."""
        if self.proc is not None:
            self.proc.terminate()

    def _kill_at_once(self) -> None:
        if self.proc is not None:
            self.proc.kill()

    # The thread's side -----------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._start()
            if self.proc is not None:
                self._follow(self.proc.stdout, self.proc.stderr)
        except PhoneUnavailable as error:
            self._tell(_fail, self._address, error)
        finally:
            if self.proc is not None:
                self.proc.wait()
            atexit.unregister(self.kill)
            self._tell(_finish, self.over, None)
            self._tell(_finish, self._gone, None)

    def _start(self) -> None:
        _fetch_program()
        with self._starting:
            if self._closed:
                return
            try:
                self._start_tunnel(tunneling.BINARY_PATH)
            except OSError as error:
                raise PhoneUnavailable(NOT_RUNNING) from error
            finally:
                # Gradio kills what is in this list when one of its own servers ends.
                with contextlib.suppress(ValueError):
                    tunneling.CURRENT_TUNNELS.remove(self)

    def _read_url_from_tunnel_stream(self) -> str:
        return ""  # Gradio's reads until there is one, or for ever; ``_follow`` does it instead.

    def _follow(self, stdout: IO[bytes] | None, stderr: IO[bytes] | None) -> None:
        assert stdout is not None
        assert stderr is not None
        # A pipe that nobody reads is full one day, and frpc waits for ever to write.
        drain = threading.Thread(target=deque, args=(stderr, 0), name="tunnel's errors", daemon=True)
        drain.start()
        url = ""
        for line in stdout:
            text = line.decode("utf-8", "replace").strip()
            self._said.append(text)
            found = re.search(r"start proxy success: (\S+)", text)
            if found and not url:
                url = found[1]
                self._tell(_finish, self._address, url)
            # After a break frpc dials again, and the relay gives it another address than the registered one.
            if (found and found[1] != url) or "login to server failed" in text:
                self._tell(_finish, self.over, None)
        drain.join(ENDS_WITHIN_SEC)
        stdout.close()
        stderr.close()

    def _tell(self, action: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed, so nobody wants to know
            self._loop.call_soon_threadsafe(action, *arguments)


def _finish(future: asyncio.Future[object], value: object) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[object], error: PhoneUnavailable) -> None:
    if not future.done():
        future.set_exception(error)


def _fetch_program() -> None:
    """Fetch frpc, unless it is there.

    Raises:
        PhoneUnavailable: it cannot be had.
    """
    try:
        tunneling.Tunnel.download_binary()
    except ChecksumMismatchError:
        with contextlib.suppress(OSError):
            os.unlink(tunneling.BINARY_PATH)  # Gradio leaves it there and would run it the next time
        raise PhoneUnavailable(WRONG_PROGRAM) from None
    except (OSError, httpx.HTTPError) as error:
        log.warning("The tunnel's program could not be fetched: %s", type(error).__name__)
        raise PhoneUnavailable(NO_PROGRAM) from None

"""A public host name for one port of this machine, through the relay that Gradio's share links use.

Runs the child process that holds the tunnel (``tunnel_process``) and explains its failures. Independent of
what listens on the port.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from personaplex_ui.channels.fastrtc_phone import tunnel_process
from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

OPENS_WITHIN_SEC = 60.0
"""The first time, a program has to be downloaded too."""

ENDS_WITHIN_SEC = 2.0
SHOWN_CHARACTERS = 400
URL = re.compile(r"https?://([A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?)(?:/|$)")

FAILED = "The tunnel to Hugging Face could not be opened"
NO_RELAY = (
    f"{FAILED}: api.gradio.app, which names the relay, gave no usable answer. Check the internet connection "
    "and the firewall, and try again in a minute."
)
WRONG_PROGRAM = (
    f"{FAILED}: its program, frpc, arrived damaged and was removed. Try again; if that fails "
    "too, check the proxy."
)
NO_PROGRAM = (
    f"{FAILED}: its program, frpc, could not be fetched from cdn-media.huggingface.co, or does not run on "
    "this machine. Check the internet connection, and that HF_HOME is a writable folder; remove "
    "its folder gradio/frpc and try again; or use a Twilio number, which needs no tunnel."
)
REFUSED = (
    f"{FAILED}: the relay refused it. Try again in a minute; if that fails too, check whether the "
    "firewall allows outgoing connections, and that GRADIO_SHARE_SERVER_ADDRESS, if set, is a host and a "
    "port, such as a.org:7000."
)
NO_PROCESS = f"{FAILED}: its process cannot be started. Free some memory and space in the temporary folder."
TOO_LATE = (
    f"{FAILED} in time. Check the internet connection, and whether the firewall allows outgoing connections; "
    "then try again."
)
LOST = "The tunnel to Hugging Face was lost, so the number reaches nobody. Ask for a number again."
SENTENCES = {"RuntimeError": NO_RELAY, "ChecksumMismatchError": WRONG_PROGRAM, "ValueError": REFUSED}
"""By the exception Gradio raised; all others come from downloading or starting the program."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """``host``: the public host, with its port unless it is 443. ``lost``: finishes with a sentence when the
    host no longer leads here."""

    host: str
    lost: "asyncio.Task[str]"


@contextlib.asynccontextmanager
async def gradio_tunnel(
    port: int,
    command: Sequence[str] = (sys.executable, "-P", tunnel_process.__file__),
    within_sec: float = OPENS_WITHIN_SEC,
) -> AsyncGenerator[Tunnel]:
    """Make ``port`` of 127.0.0.1 reachable under ``*.gradio.live``. ``command``: the child's program.

    Raises:
        PhoneUnavailable: with a message for whoever runs the server.
    """
    async with contextlib.AsyncExitStack() as held:
        try:
            async with asyncio.timeout(within_sec):
                # It runs in a new folder, where Gradio leaves the relay's certificate.
                folder = held.enter_context(tempfile.TemporaryDirectory(prefix="tunnel-"))
                process = await asyncio.create_subprocess_exec(
                    *command,
                    str(port),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    cwd=folder,
                    start_new_session=True,  # a group with frpc, which the terminal's Ctrl-C does not reach
                )
                held.push_async_callback(_end, process)
                host = _host_in(await _first_line(process))
        except TimeoutError:
            raise PhoneUnavailable(TOO_LATE) from None
        except OSError as error:
            raise PhoneUnavailable(NO_PROCESS) from error
        lost = asyncio.create_task(_lost(process))
        held.callback(lost.cancel)
        yield Tunnel(host, lost)


async def _first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    try:
        return (await process.stdout.readline()).decode("utf-8", "replace").strip()
    except ValueError:
        return ""  # a line without an end


async def _lost(process: asyncio.subprocess.Process) -> str:
    await process.wait()
    return LOST


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), ENDS_WITHIN_SEC)


def _host_in(line: str) -> str:
    """The host, with its port if any, of the URL in the child's ``line``.

    Raises:
        PhoneUnavailable: the line reports a failure.
    """
    if url := URL.match(line):
        return url[1]
    log.warning("The tunnel's process said: %s", line[-SHOWN_CHARACTERS:])
    is_url = line.startswith("http")
    raise PhoneUnavailable(REFUSED if is_url else SENTENCES.get(line.partition(":")[0], NO_PROGRAM))

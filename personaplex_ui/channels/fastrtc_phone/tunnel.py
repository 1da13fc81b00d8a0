"""A public host name for one port of this machine, through the relay that Gradio's share links use.

Knows the child process that holds the tunnel (``tunnel_process``) and what can fail on the way, not what
listens on the port.
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
"""The first time, a program has to be fetched, too."""

ENDS_WITHIN_SEC = 2.0
SHOWN_CHARACTERS = 400
URL = re.compile(r"https?://([A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?)(?:/|$)")

FAILED = "The tunnel to Hugging Face could not be opened"
NO_RELAY = (
    f"{FAILED}: api.gradio.app, which knows the relay, gives no usable answer. Check the internet connection "
    "and the firewall, and try again in a minute."
)
WRONG_PROGRAM = (
    f"{FAILED}: its program, frpc, did not arrive as it should be and was removed. Try again; if that fails "
    "too, check the proxy."
)
NO_PROGRAM = (
    f"{FAILED}: its program, frpc, could not be fetched from cdn-media.huggingface.co, or does not run on "
    "this machine. Check the internet connection, and that HF_HOME is a folder that can be written; remove "
    "its folder gradio/frpc and try again; or use a number of Twilio's, which needs no tunnel."
)
REFUSED = (
    f"{FAILED}: the relay did not let it in. Try again in a minute; if that fails too, check whether the "
    "firewall lets connections out, and that GRADIO_SHARE_SERVER_ADDRESS, where it is set, is a host and a "
    "port, as in a.org:7000."
)
NO_PROCESS = f"{FAILED}: no process can be started for it. Make room in memory and in the temporary folder."
TOO_LATE = (
    f"{FAILED} in time. Check the internet connection, and whether the firewall lets connections out; then "
    "try again."
)
LOST = "The tunnel to Hugging Face is gone, so the number reaches nobody any more. Ask for a number again."
SENTENCES = {"RuntimeError": NO_RELAY, "ChecksumMismatchError": WRONG_PROGRAM, "ValueError": REFUSED}
"""By the exception that Gradio raised; all others come from fetching or starting the program."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """``host``: the public one (with its port, if it is not 443). ``lost``: its result is the sentence that
    says so, once the host leads here no more."""

    host: str
    lost: "asyncio.Task[str]"


@contextlib.asynccontextmanager
async def gradio_tunnel(
    port: int,
    command: Sequence[str] = (sys.executable, "-P", tunnel_process.__file__),
    within_sec: float = OPENS_WITHIN_SEC,
) -> AsyncGenerator[Tunnel]:
    """Makes ``port`` of 127.0.0.1 reachable under ``*.gradio.live``. ``command``: the child's program.

    Raises:
        PhoneUnavailable: with the words for whoever runs the server.
    """
    async with contextlib.AsyncExitStack() as held:
        try:
            async with asyncio.timeout(within_sec):
                # Its folder is new: Gradio leaves the relay's certificate there.
                folder = held.enter_context(tempfile.TemporaryDirectory(prefix="tunnel-"))
                process = await asyncio.create_subprocess_exec(
                    *command,
                    str(port),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    cwd=folder,
                    start_new_session=True,  # frpc is of its group, and the terminal's Ctrl-C is not for it
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
    """The host, with its port if there is one, of the URL in the child's ``line``.

    Raises:
        PhoneUnavailable: it says what failed.
    """
    if url := URL.match(line):
        return url[1]
    log.warning("The tunnel's process said: %s", line[-SHOWN_CHARACTERS:])
    is_url = line.startswith("http")
    raise PhoneUnavailable(REFUSED if is_url else SENTENCES.get(line.partition(":")[0], NO_PROGRAM))

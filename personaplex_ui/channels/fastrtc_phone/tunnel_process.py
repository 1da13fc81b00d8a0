"""The program of the child process that holds one of Gradio's tunnels: ``tunnel_process.py PORT``.

Its only line says the public URL, or which exception came instead. It ends when the tunnel leads here no
more, or when its input does, which is when the parent closes it or dies; then it takes all of its process
group along. Gradio's own functions block, print, and leave a program behind: nothing of that reaches the
parent. Imports none of our modules, so that it can be run wherever they are.
"""

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

from gradio import networking, tunneling
from gradio.exceptions import ChecksumMismatchError


def main(port: int) -> None:
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        url = networking.setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None)
    except Exception as error:  # of httpx, of the system, of Gradio, which raises ValueError and RuntimeError
        if isinstance(error, ChecksumMismatchError):
            Path(tunneling.BINARY_PATH).unlink(missing_ok=True)  # or Gradio would run it the next time
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        return
    print(url, flush=True)
    frpc = tunneling.CURRENT_TUNNELS[-1].proc
    assert frpc is not None
    wait_until_lost(frpc, url)
    _end()


def wait_until_lost(frpc: "subprocess.Popen[bytes]", url: str) -> None:
    """Read what ``frpc`` says, since a pipe that nobody reads is full one day and stops the writer."""
    threading.Thread(target=deque, args=(frpc.stderr, 0), name="frpc's errors", daemon=True).start()
    for line in frpc.stdout or ():
        text = line.decode("utf-8", "replace").strip()
        # After a break frpc dials again, and the relay gives it another address.
        is_another = "start proxy success" in text and not text.endswith(f" {url}")
        if is_another or "login to server failed" in text:
            return


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    _end()


def _end() -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))

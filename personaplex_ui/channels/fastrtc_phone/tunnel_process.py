"""The program of the child process that holds one of Gradio's tunnels: ``tunnel_process.py PORT``.

It prints one line: the public URL, or the exception that came instead. It ends when the tunnel is lost, or
when its input closes because the parent closed it or died; then it kills its whole process group. Gradio's
own functions block, print, and leave a program behind; the child process keeps that away from the parent. It
imports none of our modules, so that it can run from anywhere.
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
    except Exception as error:  # from httpx, the system, or Gradio, which raises ValueError and RuntimeError
        if isinstance(error, ChecksumMismatchError):
            Path(tunneling.BINARY_PATH).unlink(missing_ok=True)  # otherwise Gradio would run it the next time
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        return
    print(url, flush=True)
    frpc = tunneling.CURRENT_TUNNELS[-1].proc
    assert frpc is not None
    wait_until_lost(frpc, url)
    _end()


def wait_until_lost(frpc: "subprocess.Popen[bytes]", url: str) -> None:
    """Read the output of ``frpc``: a pipe that nobody reads fills up and blocks the writer."""
    threading.Thread(target=deque, args=(frpc.stderr, 0), name="frpc's errors", daemon=True).start()
    for line in frpc.stdout or ():
        text = line.decode("utf-8", "replace").strip()
        # After an interruption frpc reconnects, and the relay gives it another address.
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

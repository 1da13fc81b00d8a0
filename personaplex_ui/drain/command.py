"""The command ``personaplex-ui drain``: has the server on this machine, or in this container, take no new
calls.

It sends a signal, so that it needs no key: only the server's own user and root may. Importing it loads only
an HTTP client, with which it asks how many calls still go on.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence

import httpx

from personaplex_ui.config.env_file import read_chosen_file
from personaplex_ui.drain.listening_process import catches, listening_process
from personaplex_ui.drain.own_server import capacity_at, is_this_app, local_url
from personaplex_ui.errors import PersonaplexError

DEFAULT_PORT = "7860"
ASK_EVERY_SEC = 0.5
BEGINS_WITHIN_SEC = 10.0
ANSWER_WITHIN_SEC = 4.0

DESCRIPTION = """Has the server on this machine (PORT) take no new calls. Those that go on may end by
themselves, for DRAIN_SECONDS, or where that is 0 for MAX_CALL_SECONDS; the server stays. Needs the server's
user, or root."""
NOT_HERE = "No server of this user listens on port {port}. Set PORT to its port, or run this as its user."
NOT_THIS_APP = (
    "What listens on port {port} is not this app, so nothing was sent to it. Set PORT to the app's own port; "
    "a proxy in front has another one."
)
NO_CAPACITY = (
    "The server on port {port} does not tell its calls, so nothing was sent to it. Try again in a moment, "
    "and set HOST as the server has it."
)
NOT_YET = "The process on port {port} is no server that can be drained, or it is just starting. Try again."
NO_PROC = (
    "This system does not tell which process listens on a port. Send the server SIGUSR1, or use POST /drain."
)
NO_ANSWER = "The server was asked, but does not say that it drains. Its log may tell why."


class CannotDrain(PersonaplexError):
    """The text says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, or 1 if there is no such server or calls still go on in the end."""
    parser = argparse.ArgumentParser(prog="personaplex-ui drain", description=DESCRIPTION)
    parser.add_argument(
        "--wait",
        type=float,
        nargs="?",
        const=float("inf"),
        default=0.0,
        metavar="SECONDS",
        help="return when no call goes on any more, or after so many seconds",
    )
    wait_sec = parser.parse_args(arguments).wait
    try:
        variables = {**read_chosen_file(os.environ), **os.environ}
        port = int(variables.get("PORT") or DEFAULT_PORT)
        url = local_url(variables.get("HOST", ""), port)
        ask_to_drain(port, url)
        left = wait_for_calls(url, wait_sec)
    except (PersonaplexError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if wait_sec and left else 0


def ask_to_drain(port: int, url: str) -> None:
    """Sends the signal, once it is sure that the process on ``port`` is this app, which answers at ``url``.

    Raises:
        CannotDrain: there is no such server.
    """
    try:
        pid = listening_process(port)
        if pid is None:
            raise CannotDrain(NOT_HERE.format(port=port))
        if not is_this_app(pid):
            raise CannotDrain(NOT_THIS_APP.format(port=port))
        if not catches(pid, signal.SIGUSR1):
            raise CannotDrain(NOT_YET.format(port=port))
        with httpx.Client(trust_env=False, timeout=ANSWER_WITHIN_SEC) as client:
            if not capacity_at(client, url):
                raise CannotDrain(NO_CAPACITY.format(port=port))
        os.kill(pid, signal.SIGUSR1)
    except OSError as error:
        raise CannotDrain(NO_PROC) from error


def wait_for_calls(url: str, wait_sec: float) -> int:
    """How many calls go on at ``url`` once it drains, or after ``wait_sec`` more at the latest.

    Raises:
        CannotDrain: it does not drain.
    """
    began = time.monotonic()
    told = ""
    with httpx.Client(trust_env=False, timeout=ANSWER_WITHIN_SEC) as client:
        while True:
            capacity = capacity_at(client, url)
            if capacity is None:
                print("The server has ended.")
                return 0
            waited_sec = time.monotonic() - began
            if not capacity.get("draining"):
                if waited_sec > BEGINS_WITHIN_SEC:
                    raise CannotDrain(NO_ANSWER)
            else:
                left = int(capacity["live_calls"])
                sentence = f"No new calls are taken; {left} go on." if left else "No call goes on any more."
                if sentence != told:
                    print(told := sentence, flush=True)
                if not left or waited_sec >= wait_sec:
                    return left
            time.sleep(ASK_EVERY_SEC)

"""A real Firefox with a fake microphone (a tone), driven over WebDriver BiDi, which it serves itself.

Playwright's Firefox is a build of its own; this is the one that people have.
"""

import contextlib
import itertools
import json
import re
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.support.app_process import wait_until
from tests.support.chromium import require

PREFERENCES: Mapping[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # Host candidates as they are: nobody answers multicast DNS here.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.peerconnection.ice.loopback": True,
    # Nothing but the page is asked for.
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
STARTED_WITHIN_SEC = 90
ANSWERS_WITHIN_SEC = 60
ADDRESS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class ScriptError(Exception):
    """What was evaluated in the page threw; the message is the exception's text."""


class Firefox:
    """One window. What is evaluated counts as a person's action, so it may start sound."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._ask("session.new", {"capabilities": {"alwaysMatch": {"unhandledPromptBehavior": "accept"}}})
        self._context = self._ask("browsingContext.getTree", {})["contexts"][0]["context"]

    def open(self, url: str) -> None:
        self._ask("browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"})

    def evaluate(self, expression: str) -> Any:
        """The value of ``expression`` (a promise is awaited), which JSON can carry."""
        told = self._ask(
            "script.evaluate",
            {
                "expression": f"(async () => JSON.stringify((await ({expression})) ?? null))()",
                "target": {"context": self._context},
                "awaitPromise": True,
                "userActivation": True,
            },
        )
        if told["type"] == "exception":
            raise ScriptError(told["exceptionDetails"]["text"])
        return json.loads(told["result"]["value"])

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def text(self, selector: str) -> str:
        """What is seen of this element; empty where it is hidden or not there."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def wait_for(self, expression: str, what: str, within_sec: float = ANSWERS_WITHIN_SEC) -> Any:
        return wait_until(lambda: self.evaluate(expression), within_sec, what)

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=ANSWERS_WITHIN_SEC))
            if told.get("id") != number:  # an event
                continue
            assert told["type"] == "success", told
            return told["result"]


@contextlib.contextmanager
def firefox(folder: Path) -> Generator[Firefox]:
    """``folder``: for its profile and its log."""
    program = require("firefox-esr")
    profile = folder / "profile"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    log = folder / "firefox.log"
    command = [
        program,
        "--headless",
        "--no-remote",
        "--profile",
        str(profile),
        "--remote-debugging-port",
        "0",
    ]
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, stdout=written, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

    def address() -> str:
        assert process.poll() is None, log.read_text(errors="replace")
        found = ADDRESS.search(log.read_text(errors="replace"))
        return found[1] if found else ""

    try:
        found = wait_until(address, STARTED_WITHIN_SEC, "Firefox can be driven")
        with connect(f"{found}/session", max_size=None, proxy=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

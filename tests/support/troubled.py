"""The app as a process whose model is in trouble while a test says so."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx

from tests.support.app_process import ROOT, AppProcess

SCRIPT = ROOT / "tests/support/troubled_app.py"
STARTED = "personaplex_ui.app.server: personaplex_ui "
SLOTS = 3


class TroubledApp(AppProcess):
    """``be_in_trouble``: in the words of ``troubled_app.misbehave``; empty, it is well."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._trouble = folder / "trouble"
        own = {"MAX_CALLS": str(SLOTS), "TROUBLE_FILE": str(self._trouble)}
        super().__init__(folder, SCRIPT, **own | variables)

    def be_in_trouble(self, words: str) -> None:
        self._trouble.write_text(words)

    def health(self) -> tuple[int, dict[str, Any], str]:
        """The status, the body, and when to ask again; 0 while nobody answers."""
        try:
            answer = httpx.get(f"{self.url}/health")
        except httpx.TransportError:
            return 0, {}, ""
        return answer.status_code, answer.json(), answer.headers.get("Retry-After", "")

    def is_well(self) -> bool:
        status, body, _ = self.health()
        return status == 200 and body["lines_free"] == SLOTS

    @property
    def starts(self) -> int:
        return self.log.count(STARTED)


@contextlib.contextmanager
def troubled_app(folder: Path, **variables: str) -> Generator[TroubledApp]:
    """Unlike ``running_app``, it may have tracebacks in its log."""
    app = TroubledApp(folder, **variables)
    try:
        app.wait_until_ready()
        yield app
    finally:
        app.close()

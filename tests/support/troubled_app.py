"""The app as ``app.py`` starts it, but its model is in trouble, which TROUBLE_FILE tells. For tests.

The file is read at every step, so that a test can begin a trouble and end it; it outlives the process.
"""

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from personaplex_ui.app import server, services
from personaplex_ui.audio.frames import Frame
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.speech_model import Answer, Persona, Preparation, PreparedPersona, Sampling
from tests.support.fake_model import FakeModel

TROUBLE_FILE = Path(os.environ["TROUBLE_FILE"])
SLOW_STEP_SEC = 0.05

hanging = threading.Event()
signal.signal(signal.SIGUSR2, lambda number, frame: hanging.set())
"""Steps hang from now on, whatever the file says; unlike the file, it ends with the process."""


def trouble() -> str:
    return TROUBLE_FILE.read_text().strip() if TROUBLE_FILE.exists() else ""


def misbehave(where: str) -> None:
    """``hang step``: for ever; ``fail prepare``; ``die join``: its thread ends; ``slow step``."""
    if where == "step" and hanging.is_set():
        threading.Event().wait()
    match trouble().split():
        case ["hang", place] if place == where:
            threading.Event().wait()
        case ["fail", place] if place == where:
            raise RuntimeError(f"a fault of the model in its {where}")
        case ["die", place] if place == where:
            raise SystemExit(f"the end of a thread in its {where}")
        case ["slow", place] if place == where:
            time.sleep(SLOW_STEP_SEC)
        case _:
            pass


class TroubledModel(FakeModel):
    def do_chunk(self, persona: Persona) -> None:
        misbehave("prepare")
        super().do_chunk(persona)

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        misbehave("join")
        super().join(slot, persona, sampling)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        misbehave("step")
        return super().step(heard, riding)

    def leave(self, slot: int) -> None:
        misbehave("leave")
        super().leave(slot)


def load(settings: Settings, *_: object) -> TroubledModel:
    misbehave("load")
    return TroubledModel(settings.expected_calls)


if __name__ == "__main__":
    services.load_speech_model = load
    threading.Thread(target=threading.Event().wait).start()  # as of a library: nobody waits for it in the end
    server.serve(Settings.from_mapping(os.environ))

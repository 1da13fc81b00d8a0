"""Other people's clients as processes, each with a ``Person`` at its sound card.

Knows how each is started and where it keeps what; judges nothing.
"""

import os
import subprocess
import sys
import wave
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from tests.support.app_process import ROOT, AppProcess

HERE = Path(__file__).parent
ENVIRONMENT = ROOT / ".venv-clients"
THEIR_PYTHON = ENVIRONMENT / "bin" / "python"
DONE_WITHIN_SEC = 100.0

MOSHI, FUJIELAB, LIVEKIT = "moshi.client", "fujielab-moshi-client", "livekit-plugins-nvidia"
CLIENTS = (MOSHI, FUJIELAB, LIVEKIT)


def require_environment() -> None:
    if not any(ENVIRONMENT.glob(".made-*")):
        pytest.skip("Other people's clients are not installed: scripts/make-client-environment.sh")


class Program:
    """A client that was started; it ends by itself when its person has hung up, or it is ended."""

    def __init__(self, folder: Path, command: list[str], **variables: str) -> None:
        folder.mkdir()
        self.folder = folder
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": f"{HERE / 'sound_card'}:{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "NO_TORCH_COMPILE": "1",
            "HEARD_WAV": str(folder / "heard-1.wav"),
            **variables,
        }
        with (folder / "said.txt").open("wb") as said, (folder / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=log
            )

    def wait(self) -> "Program":
        self.process.wait(DONE_WITHIN_SEC)
        return self

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="replace")

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    def heard(self, call: int = 1) -> tuple[Samples, int]:
        """The sound of its first or second call, and its rate."""
        path = self.folder / f"heard-{call}.wav"
        assert path.exists(), (
            f"{self.process.args} exited with {self.process.returncode}\n{self.said}\n{self.log}"
        )
        with wave.open(str(path)) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            return (sound / 32_768).astype(np.float32), file.getframerate()


def start_client(name: str, app: AppProcess, folder: Path, voice: str, password: str = "") -> Program:
    """``name``: one of ``CLIENTS``, which know a password from the address only. ``voice``: for the one that
    can ask for it."""
    # What stands on websockets takes a password as it is, the others as RFC 3986 has it.
    written = password if name == FUJIELAB else quote(password, safe="")
    host = f"127.0.0.1:{app.port}"
    url = f"ws://anybody:{written}@{host}" if password else f"ws://{host}"
    match name:
        case "moshi.client":
            command = [sys.executable, "-m", "moshi.client", "--url", url]
        case "fujielab-moshi-client":
            command = [str(THEIR_PYTHON), "-m", "fujielab.moshi.simple_moshi_client", "-s", f"{url}/api/chat"]
        case _:
            command = [str(THEIR_PYTHON), str(HERE / "livekit_client.py"), url, voice, str(folder)]
    return Program(folder, command)

"""``deploy/cloudrun/setup.sh`` with stand-ins for gcloud, curl and sleep: what it calls, says and leaves."""

import json
import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "deploy" / "cloudrun" / "setup.sh"
STAND_INS = Path(__file__).parent / "stand_ins"
WITHIN_SEC = 50.0

PROJECT = {"PROJECT": "my-project"}
SECRET_VALUES = {
    "HF_TOKEN": "hf_FirstSecret",
    "APP_PASSWORD": 'a pass\'word "with" $signs',
    "API_KEY": "key-SecondSecret",
    "TWILIO_AUTH_TOKEN": "twilio-ThirdSecret",
    "TURN_CREDENTIAL": "turn-FourthSecret",
}
TURN = {
    "TURN_URLS": "turns:turn.example.org:443?transport=tcp,turn:turn.example.org:3478",
    "TURN_USERNAME": "ann",
}
TWILIO = {"TWILIO_ACCOUNT_SID": "AC0123", "TWILIO_PHONE_NUMBER": "+15551234567"}
ALL = {**PROJECT, **SECRET_VALUES, **TURN, **TWILIO, "HUMAN_HOURS": "Mo-Fr 09:00-17:00; Sa 10:00-14:00"}
LEAST = {**PROJECT, "HF_TOKEN": SECRET_VALUES["HF_TOKEN"]}
URL = "https://personaplex-123456789012.europe-west4.run.app"
READY = '200 {"status":"healthy","lines":4}'
BESIDES = ("calls", "inputs", "failed", "fail-each-once", "health", "slow-accounts")
"""What in the folder of the state is not part of it."""

ASKING = ("describe", "list", "ls", "access", "get-iam-policy")


@dataclass(frozen=True)
class Call:
    """One call of gcloud, curl or sleep."""

    arguments: tuple[str, ...]

    @cached_property
    def words(self) -> str:
        return " ".join(word for word in self.arguments if not word.startswith("--"))

    @property
    def changes(self) -> bool:
        """Whether it makes, changes or removes anything."""
        is_gcloud = self.arguments[0] not in ("curl", "sleep")
        return is_gcloud and not any(word in self.arguments for word in ASKING)

    def options(self) -> dict[str, str]:
        pairs = (word.partition("=") for word in self.arguments if word.startswith("--"))
        return {name.removeprefix("--"): value for name, _, value in pairs}


@dataclass(frozen=True)
class Ran:
    code: int
    said: str
    complained: str
    calls: Sequence[Call]

    @property
    def changes(self) -> list[str]:
        return [call.words for call in self.calls if call.changes]

    def only(self, words: str) -> Call:
        """The one call that begins so."""
        (found,) = (call for call in self.calls if call.words.startswith(words))
        return found


class CloudRun:
    """A cloud of its own in ``folder``, where somebody is signed in and has a project."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        (self.state / "failed").mkdir(parents=True)
        (folder / "temporary").mkdir()
        self.temporary = folder / "temporary"
        self.env_file = folder / "env"
        self.put(**{"signed-in": "ann@example.org", "project": "", "billing": "True"}, health=READY)

    def put(self, **files: str) -> None:
        for name, content in files.items():
            (self.state / name.replace("_", "-")).write_text(content)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": f"{STAND_INS}:{os.environ['PATH']}",
            "STAND_IN_STATE": str(self.state),
            "TMPDIR": str(self.temporary),
            "ENV_FILE": str(self.env_file),
            **variables,
        }

    def run(self, *options: str, **variables: str) -> Ran:
        (self.state / "calls").write_text("")
        done = subprocess.run(
            [SETUP, *options],
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_SEC,
        )
        return Ran(done.returncode, done.stdout, done.stderr, self.calls())

    def calls(self) -> list[Call]:
        lines = (self.state / "calls").read_text().split("\0\n")[:-1]
        return [Call(tuple(line.split("\0"))) for line in lines]

    def contents(self) -> dict[str, str]:
        """All that exists in the cloud."""
        files = (path for path in self.state.iterdir() if path.name not in BESIDES)
        return {path.name: path.read_text() for path in files}


def variables_of(deployment: Call) -> dict[str, str]:
    """What ``gcloud run deploy`` is told to set."""
    value = deployment.options()["update-env-vars"]
    _, separator, pairs = value.split("^", 2)
    return dict(pair.split("=", 1) for pair in pairs.split(separator))


def known_options() -> dict[str, set[str]]:
    """By command, those of the gcloud that ``tests/data/gcloud/options.json`` was written from."""
    data = json.loads((ROOT / "tests" / "data" / "gcloud" / "options.json").read_text())
    everywhere = set(data["options"].pop(""))
    return {command: {*options, *everywhere} for command, options in data["options"].items()}


def deployed_with(cloud: CloudRun, variables: dict[str, str]) -> Call:
    ran = cloud.run(**variables)
    assert (ran.code, ran.changes[-1]) == (0, "run deploy personaplex")
    return ran.only("run deploy")


@dataclass(frozen=True)
class Made:
    """A cloud in which everything was made by one run, and is only looked at."""

    ran: Ran
    contents: dict[str, str]

    @property
    def deployment(self) -> Call:
        return self.ran.only("run deploy")


class Terminal:
    """Answers the script's questions by the words they contain; Enter to all others."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.seen = ""

    def run(self, cloud: CloudRun, *options: str, **variables: str) -> int:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(SETUP, [str(SETUP), *options], cloud.environment(variables))
        try:
            while True:
                try:
                    self.seen += os.read(terminal, 65_536).decode()
                except OSError:
                    break
                question = self.seen.rpartition("\n")[2]
                if question.endswith(": "):
                    answer = next((a for words, a in self.answers.items() if words in question), "")
                    os.write(terminal, f"{answer}\n".encode())
                    self.seen += "\n"
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        finally:
            os.close(terminal)

"""Which checks are run, what is asked for them, and what becomes of one that fails or takes too long."""

import asyncio
import threading
from pathlib import Path

import pytest

from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.config.settings import Settings
from personaplex_ui.doctor import examine as module
from personaplex_ui.doctor.examine import KEPT_SEC, KeptReport, examine, examine_machine, examine_server
from personaplex_ui.doctor.machine import Gpu
from personaplex_ui.doctor.probes import Probes
from personaplex_ui.doctor.report import OK, PROBLEM, WARNING, Check, Report
from personaplex_ui.doctor.services import TwilioFacts
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.models.personaplex.gpu_probe import TorchFacts
from personaplex_ui.models.personaplex.hub.survey import Survey
from personaplex_ui.speech.loading import Endpoint
from personaplex_ui.speech.server_check import ServerFound, ServerState
from personaplex_ui.speech.weights.survey import WeightSurvey
from personaplex_ui.web.server_stats import ServerStats
from tests.support.clock import Clock

TELEPHONE = {
    "TWILIO_ACCOUNT_SID": "AC" + "0a" * 16,
    "TWILIO_AUTH_TOKEN": "a-token",
    "TWILIO_PHONE_NUMBER": "+15550001111",
    "SERVER_URL": "https://example.org",
    "API_KEY": "a-key",
}
TURN = {"TURN_URLS": "turn:example.org", "TURN_USERNAME": "me", "TURN_CREDENTIAL": "a-secret"}
SERVERS = {
    "ENGINE": "cascade",
    "STT_BASE_URL": "http://a.example/v1",
    "STT_MODEL": "small",
    "STT_API_KEY": "a-key-of-stt",
    "TTS_BASE_URL": "http://b.example/v1",
    "TTS_MODEL": "small",
    "TTS_VOICE": "ann",
}
ECHO = ServerStats(EngineState.READY, model="echo", device="cpu")


class FakeProbes(Probes):
    """A machine without faults. ``asked``: what was asked of it that takes long or leaves it."""

    def __init__(self, *gpus: Gpu) -> None:
        self._gpus = list(gpus)
        self.asked: set[str] = set()

    def requirements(self) -> list[str]:
        return ["gradio"]

    def start(self, settings: Settings) -> tuple[str, list[str]]:
        self.asked.add("start")
        return "", []

    def has_gpu_driver(self) -> bool:
        self.asked.add("driver")
        return self._gpus != []

    def gpus(self) -> list[Gpu]:
        return self._gpus

    def torch(self, settings: Settings, config: str) -> TorchFacts:
        self.asked.add("torch")
        assert config == "/cache/config.json"
        return TorchFacts("2.9.1", "12.8", "NVIDIA L4", (8, 9), 10, 20)

    def compiler_trouble(self) -> str:
        self.asked.add("compiler")
        return ""

    def available_memory(self) -> int | None:
        return 10**11

    def written_folder(self, folder: Path) -> tuple[str, int]:
        return "", 10**12

    def port_refusal(self, host: str, port: int) -> str:
        self.asked.add("port")
        return ""

    def survey(self, settings: Settings, ask_hub: bool) -> Survey:
        if ask_hub:
            self.asked.add("hub")
        return Survey(True, "/cache/config.json", size=10 if ask_hub else 0)

    def speech_weights(self, settings: Settings, ask: bool) -> WeightSurvey:
        self.asked.add("weights' sources" if ask else "weights")
        return WeightSurvey(Path("/weights"))

    def speech_server(self, endpoint: Endpoint) -> ServerFound:
        self.asked.add(endpoint.base_url)
        return ServerFound(ServerState.GOOD)

    def relay_trouble(self, settings: Settings) -> str:
        self.asked.add("relay")
        return ""

    def twilio(self, account: PhoneAccount) -> TwilioFacts:
        self.asked.add("twilio")
        return TwilioFacts("", "active", "https://example.org/twilio/inbound")


def verdicts(report: Report) -> dict[str, str]:
    return {check.name: check.verdict.value for check in report.checks}


async def test_with_everything_set_up_everything_is_asked_and_ok() -> None:
    probes = FakeProbes(Gpu("NVIDIA L4", "550.54"))
    report = await examine(Settings.from_mapping(TELEPHONE | TURN), probes)
    assert probes.asked == {"start", "driver", "torch", "compiler", "port", "hub", "relay", "twilio"}
    assert verdicts(report) == {
        name: "not used" if name in ("Voices", "Speech weights") else "ok"
        for name in (
            *("Settings", "Python", "Packages", "GPU", "GPU memory", "Kernels", "Memory", "Port"),
            *("Model", "Disk", "Speech weights"),
            *("Microphone", "Operator", "Relay", "Telephone", "Twilio", "Recordings", "Voices"),
        )
    }
    assert "a-" not in report.as_json()


async def test_offline_leaves_others_alone() -> None:
    probes = FakeProbes(Gpu("NVIDIA L4", "550.54"))
    report = await examine(Settings.from_mapping(TELEPHONE | TURN), probes, offline=True)
    assert probes.asked == {"start", "driver", "torch", "compiler", "port"}
    assert report.count(PROBLEM) == 0


@pytest.mark.parametrize(
    ("given", "gpus", "asked"),
    [
        ({"ENGINE": "echo"}, 1, set[str]()),
        ({}, 0, {"driver", "weights' sources"}),
        ({"ENGINE": "cascade"}, 1, {"weights' sources"}),
        (SERVERS, 1, {"http://a.example/v1", "http://b.example/v1"}),
        ({"DEVICE": "cpu"}, 1, {"weights' sources"}),
        ({}, 1, {"driver", "torch", "compiler", "hub"}),
        ({"ENGINE": "personaplex"}, 0, {"torch", "compiler", "hub"}),
        ({"SPACES_ZERO_GPU": "1"}, 0, {"hub"}),
    ],
)
async def test_the_model_is_asked_for_where_it_will_run(
    given: dict[str, str], gpus: int, asked: set[str]
) -> None:
    probes = FakeProbes(*[Gpu("NVIDIA L4", "550.54")] * gpus)
    await examine(Settings.from_mapping(given), probes)
    assert probes.asked - {"start", "port"} == asked


async def test_servers_and_sources_of_weights_are_others_which_offline_are_left_alone() -> None:
    probes = FakeProbes()
    report = await examine(Settings.from_mapping(SERVERS), probes, offline=True)
    told = verdicts(report)
    assert (told["STT server"], told["TTS server"], told["Speech weights"]) == ("not used",) * 3
    assert "LLM server" not in told
    assert "a-key" not in report.as_json()
    await examine(Settings.from_mapping({"ENGINE": "cascade"}), probes, offline=True)
    assert probes.asked == {"start", "port", "weights"}


async def test_tools_and_documents_that_cannot_be_read_are_told_by_the_settings_alone(tmp_path: Path) -> None:
    class Starting(FakeProbes):
        def start(self, settings: Settings) -> tuple[str, list[str]]:
            return Probes.start(self, settings)

    llm = {"LLM_BASE_URL": "http://127.0.0.1:9/v1", "LLM_MODEL": "small", "RECORDINGS_DIR": str(tmp_path)}
    for name in ("TOOLS_FILE", "DOCUMENTS_DIR"):
        settings = Settings.from_mapping({"ENGINE": "cascade", name: str(tmp_path / "none"), **llm})
        report = await examine(settings, Starting(), offline=True)
        told = {check.name: check for check in report.checks}
        assert told["Settings"].verdict is PROBLEM
        assert name in told["Settings"].sentence
        assert told["Speech weights"].verdict is OK


async def test_of_a_server_with_a_cascade_the_weights_are_looked_at() -> None:
    probes, stats = FakeProbes(), ServerStats(EngineState.READY, model="cascade", device="cpu")
    assert verdicts(await examine_server(Settings(), probes, stats))["Speech weights"] == "ok"
    assert "weights' sources" in probes.asked


async def test_the_echo_engine_needs_little_memory_where_pytorch_cannot_use_the_gpu() -> None:
    class OldDriver(FakeProbes):
        def torch(self, settings: Settings, config: str) -> TorchFacts:
            return TorchFacts("2.9.1", "12.8", host_needed=48_000_000_000)

    report = await examine(Settings(), OldDriver(Gpu("NVIDIA L4", "535.10")), offline=True)
    told = {check.name: check for check in report.checks}
    assert told["GPU"].verdict is PROBLEM
    assert "1.0 GB is needed" in told["Memory"].sentence


async def test_of_a_server_neither_its_port_nor_its_gpu_is_asked() -> None:
    probes = FakeProbes(Gpu("NVIDIA L4", "550.54"))
    stats = ServerStats(EngineState.READY, model="personaplex", device="cuda")
    report = await examine_server(Settings.from_mapping(TELEPHONE | TURN), probes, stats)
    assert probes.asked == {"hub", "relay", "twilio"}
    assert report.checks[0] == Check("Engine", OK, "personaplex on cuda answers.")
    report = await examine_server(Settings.from_mapping({}), FakeProbes(), ECHO)
    assert verdicts(report)["Model"] == "not used"


async def test_settings_that_cannot_be_used_are_told_beside_the_machine() -> None:
    report = await examine_machine(FakeProbes(), "PORT is 'x', but it must be a number.")
    assert verdicts(report) == {"Settings": "problem", "Python": "ok", "Packages": "ok"}
    settings = Settings.from_mapping({"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "x"})
    assert verdicts(await examine(settings, FakeProbes()))["Telephone"] == "problem"


async def test_a_check_that_fails_or_hangs_is_told_and_the_others_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    class BrokenProbes(FakeProbes):
        def written_folder(self, folder: Path) -> tuple[str, int]:
            raise RuntimeError("a-secret in its words")

        def relay_trouble(self, settings: Settings) -> str:
            release.wait()
            return ""

    monkeypatch.setattr(module, "STEP_WITHIN_SEC", 0.2)
    try:
        report = await examine_server(Settings.from_mapping(TURN), BrokenProbes(), ECHO)
    finally:
        release.set()
    told = {check.name: check for check in report.checks}
    assert told["Folders"].verdict is PROBLEM
    assert told["Folders"].sentence == "This check failed: RuntimeError."
    assert told["Relay"].verdict is WARNING
    assert told["Microphone"].verdict is WARNING
    assert told["Packages"].verdict is OK


async def test_a_report_is_kept_for_a_minute_and_made_once_for_all_who_ask() -> None:
    clock, made, go_on = Clock(), list[int](), asyncio.Event()

    async def make() -> Report:
        made.append(1)
        await go_on.wait()
        return Report(str(len(made)), ())

    kept = KeptReport(make, clock)
    first, second = asyncio.create_task(kept.get()), asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    first.cancel()  # who leaves the page stops it for nobody
    go_on.set()
    assert (await second).version == "1"
    clock.now += KEPT_SEC - 1
    assert (await kept.get()).version == "1"
    clock.now += 1
    assert (await kept.get()).version == "2"

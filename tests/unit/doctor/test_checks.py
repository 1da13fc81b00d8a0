"""Each check by tables: what was found, and the verdict and the words that it becomes."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.config.settings import Settings
from personaplex_ui.doctor import machine, services
from personaplex_ui.doctor.examine import check_engine
from personaplex_ui.doctor.machine import Gpu
from personaplex_ui.doctor.report import NOT_USED, OK, PROBLEM, WARNING, Check, Verdict
from personaplex_ui.doctor.services import TwilioFacts
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.models.personaplex.gpu_probe import TorchFacts
from personaplex_ui.models.personaplex.hub.survey import Survey
from personaplex_ui.web.server_stats import ServerStats

ROOT = Path(__file__).parents[3]
L4 = Gpu("NVIDIA L4", "550.54")
SEEN = TorchFacts(
    "2.9.1",
    "12.8",
    L4.name,
    (8, 9),
    gpu_needed=22_800_000_000,
    gpu_free=23_000_000_000,
    slots=7,
    reasons=("Weights in int8, since it is an L4.",),
)
WEBHOOK = "https://example.org/twilio/inbound"
ACCOUNT = {
    "TWILIO_ACCOUNT_SID": "AC" + "0a" * 16,
    "TWILIO_AUTH_TOKEN": "a-token-of-twilio",
    "TWILIO_PHONE_NUMBER": "+15550001111",
}


def holds(check: Check, verdict: Verdict, *words: str) -> None:
    assert check.verdict is verdict, check
    for word in words:
        assert word in f"{check.sentence} {check.next_step}", check
    assert check.sentence.endswith("."), check
    assert (check.next_step != "") == (verdict in (WARNING, PROBLEM)), check


def with_settings(**given: str) -> Settings:
    return Settings.from_mapping(given)


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("3.10.14", PROBLEM), ("3.11.0", OK), ("3.13.9", OK), ("3.14.0", PROBLEM)],
)
def test_python(version: str, verdict: Verdict) -> None:
    holds(machine.check_python(version), verdict, version)


def test_the_pythons_are_those_of_the_package() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ]
    assert SpecifierSet(stated) == machine.PYTHONS


@pytest.mark.parametrize(
    ("installed", "verdict", "words"),
    [
        ({"gradio": "5.50.0", "torch": "2.9.1+cu128"}, OK, ("gradio 5.50.0", "torch 2.9.1+cu128")),
        ({"gradio": "6.0.0", "torch": "2.9.1"}, WARNING, ("gradio is 6.0.0, not ==5.50.0",)),
        ({"torch": "2.9.1"}, PROBLEM, ("Not installed: gradio", "pip install")),
    ],
)
def test_packages(installed: dict[str, str], verdict: Verdict, words: tuple[str, ...]) -> None:
    requirements = ("gradio==5.50.0", "torch==2.9.1", 'audioop-lts; python_version > "99"')
    holds(machine.check_packages(requirements, installed.get), verdict, *words)


@pytest.mark.parametrize(
    ("given", "gpus", "torch", "verdict", "words"),
    [
        ({"ENGINE": "echo"}, [L4], None, NOT_USED, ("echo",)),
        ({"ENGINE": "cascade"}, [L4], None, NOT_USED, ("cascade",)),
        ({"SPACES_ZERO_GPU": "1"}, [], None, WARNING, ("takes no live calls", "Space")),
        ({}, [], None, WARNING, ("No NVIDIA GPU was found", "the cascade engine answers")),
        ({"DEVICE": "cpu"}, [L4], None, WARNING, ("DEVICE is cpu, so the cascade engine answers",)),
        ({}, [L4], SEEN, OK, ("NVIDIA L4", "550.54", "8.9", "CUDA 12.8")),
        ({}, [L4], TorchFacts("2.9.1", "12.8", "T4", (7, 5)), WARNING, ("7.5", "bfloat16")),
        (
            {},
            [L4],
            TorchFacts("2.9.1", "12.8", "GB10", (12, 1), warning="GB10 is not compatible."),
            WARNING,
            ("GB10 is not compatible",),
        ),
        (
            {},
            [L4],
            TorchFacts("2.9.1", "12.8", warning="The NVIDIA driver on your system is too old."),
            PROBLEM,
            ("cannot use NVIDIA L4 (driver 550.54)", "Update NVIDIA's driver", "is too old"),
        ),
        ({}, [L4], TorchFacts("2.9.1"), PROBLEM, ("built without CUDA",)),
        ({}, [], TorchFacts("2.9.1", "12.8"), PROBLEM, ("though its driver is here",)),
        (
            {"DEVICE": "cuda:3"},
            [L4],
            TorchFacts("2.9.1", "12.8", trouble="DEVICE is cuda:3, but there is none. Set another."),
            PROBLEM,
            ("cuda:3", "Set another."),
        ),
        ({"ENGINE": "personaplex"}, [], TorchFacts("2.9.1", "12.8"), WARNING, ("on the CPU", "too slow")),
        (
            {"ENGINE": "personaplex", "DEVICE": "cpu"},
            [L4],
            TorchFacts("2.9.1", "12.8"),
            WARNING,
            ("on the CPU",),
        ),
    ],
)
def test_gpu(
    given: dict[str, str],
    gpus: list[Gpu],
    torch: TorchFacts | None,
    verdict: Verdict,
    words: tuple[str, ...],
) -> None:
    holds(machine.check_gpu(with_settings(**given), gpus, torch), verdict, *words)


@pytest.mark.parametrize(
    ("torch", "verdict", "words"),
    [
        (None, NOT_USED, ()),
        (TorchFacts("2.9.1", trouble="PyTorch cannot be used: it is broken. Install it."), NOT_USED, ()),
        (SEEN, OK, ("7 calls need 22.8 GB", "23.0 GB are free", "since it is an L4")),
        (
            TorchFacts("2.9.1", "12.8", "L4", trouble="It needs 30 GB of GPU memory. What helps: less."),
            PROBLEM,
            ("30 GB", "What helps"),
        ),
    ],
)
def test_gpu_memory(torch: TorchFacts | None, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(machine.check_gpu_memory(torch), verdict, *words)


NO_COMPILER = "There is no C compiler. On Debian and Ubuntu: apt install gcc."


@pytest.mark.parametrize(
    ("torch", "trouble", "verdict", "words"),
    [
        (None, "", NOT_USED, ()),
        (TorchFacts("2.9.1"), NO_COMPILER, NOT_USED, ()),
        (SEEN, "", OK, ("Triton",)),
        (SEEN, NO_COMPILER, WARNING, ("no C compiler, so PyTorch's slower", "apt install gcc")),
        (replace(SEEN, int8=True), NO_COMPILER, PROBLEM, ("too slow for calls", "apt install gcc")),
    ],
)
def test_kernels(torch: TorchFacts | None, trouble: str, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(machine.check_kernels(torch, trouble), verdict, *words)


@pytest.mark.parametrize(
    ("available", "torch", "verdict", "words"),
    [
        (None, None, NOT_USED, ()),
        (2_000_000_000, None, OK, ("1.0 GB is needed", "2.0 GB is available")),
        (500_000_000, None, WARNING, ("more memory",)),
        (20_000_000_000, SEEN, OK, ("4.0 GB is needed",)),
        (20_000_000_000, TorchFacts("2.9.1", host_needed=44_800_000_000), WARNING, ("48.8 GB is needed",)),
    ],
)
def test_memory(
    available: int | None, torch: TorchFacts | None, verdict: Verdict, words: tuple[str, ...]
) -> None:
    holds(machine.check_memory(available, torch), verdict, *words)


@pytest.mark.parametrize(
    ("why_not", "free", "verdict", "words"),
    [
        ("", 5_000_000_000, OK, ("5.0 GB free", "1.4 GB")),
        ("", 1_000_000_000, WARNING, ("1.0 GB free", "RECORDINGS_KEEP_HOURS")),
        ("Permission denied", 0, PROBLEM, ("Permission denied", "RECORDINGS_DIR")),
    ],
)
def test_recordings(why_not: str, free: int, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(machine.check_recordings(with_settings(), why_not, free), verdict, *words)


@pytest.mark.parametrize(
    ("folder", "found", "verdict", "words"),
    [
        (None, None, NOT_USED, ("VOICES_DIR is not set",)),
        (Path("mine"), 1, OK, ("1 voice.",)),
        (Path("mine"), 2, OK, ("2 voices.",)),
        (Path("mine"), 0, WARNING, ("no file there is a voice", ".wav")),
        (Path("mine"), None, WARNING, ("no such folder",)),
    ],
)
def test_voices(folder: Path | None, found: int | None, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(machine.check_voices(folder, found), verdict, *words)


def test_settings_are_told_reason_by_reason() -> None:
    (fine,) = services.check_settings("")
    _, warned = services.check_settings("", ["API_KEY is short. Make it long."])
    holds(warned, WARNING, "API_KEY is short.", "Make it long.")
    holds(fine, OK)
    first, second = services.check_settings("PORT is 'x'. Correct it.\nENGINE is 'y'. Correct it.")
    holds(first, PROBLEM, "PORT", "Correct it.")
    holds(second, PROBLEM, "ENGINE")


@pytest.mark.parametrize(
    ("refusal", "verdict", "words"),
    [("", OK, ("7860",)), ("Port 7860 is in use. Stop what uses it.", PROBLEM, ("Stop what uses it.",))],
)
def test_port(refusal: str, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(services.check_port(with_settings(), refusal), verdict, *words)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("healthy", OK), ("loading", OK), ("draining", OK), ("failed", WARNING), ("", PROBLEM)],
)
def test_a_port_that_this_app_has_already(state: str, verdict: Verdict) -> None:
    words = ("already", state) if state else ("in use",)
    refusal = "Port 7860 is in use. Stop what uses it."
    holds(services.check_port(with_settings(), refusal, state), verdict, *words)


UNREACHABLE = "The hub cannot be reached. Check the network."


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (None, NOT_USED, ()),
        (Survey(size=17_000_000_000), OK, ("licence is accepted",)),
        (Survey(is_complete=True, folder="/cache"), OK, ("All files", "/cache")),
        (Survey(folder="/cache"), WARNING, ("does not hold all files", "--offline")),
        (Survey(refusal=UNREACHABLE), PROBLEM, ("cannot be reached", "Check the network.")),
        (Survey(True, folder="/cache", refusal=UNREACHABLE), WARNING, ("goes on with what is in /cache",)),
    ],
)
def test_model(found: Survey | None, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(services.check_model("nvidia/personaplex-7b-v1", found), verdict, *words)


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (None, NOT_USED, ("Nothing needs",)),
        (Survey(is_complete=True), NOT_USED, ("Nothing needs",)),
        (Survey(refusal=UNREACHABLE), NOT_USED, ("is unknown",)),
        (Survey(size=17_000_000_000, to_come=17_000_000_000, free=16_000_000_000), PROBLEM, ("HF_HOME",)),
        (Survey(size=17_000_000_000, to_come=1_000_000_000, free=16_000_000_000), OK, ("1.0 GB of 17.0 GB",)),
    ],
)
def test_disk(found: Survey | None, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(services.check_disk(found), verdict, *words)


@pytest.mark.parametrize(
    ("given", "verdict", "words"),
    [
        ({"SERVER_URL": "https://example.org"}, OK, ("https://example.org",)),
        ({"SPACE_HOST": "me-talk.hf.space"}, OK, ("https://me-talk.hf.space",)),
        ({"HOST": "127.0.0.1", "PORT": "8000"}, OK, ("http://localhost:8000",)),
        ({"HOST": "[::1]"}, OK, ("on this machine",)),
        ({}, WARNING, ("http://localhost:7860", "HTTPS", "SERVER_URL")),
    ],
)
def test_microphone(given: dict[str, str], verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(services.check_microphone(with_settings(**given)), verdict, *words)


TURN = {"TURN_URLS": "turn:example.org", "TURN_USERNAME": "me", "TURN_CREDENTIAL": "a-secret"}


@pytest.mark.parametrize(
    ("given", "trouble", "verdict", "words"),
    [
        ({}, None, NOT_USED, ()),
        ({"SERVER_URL": "https://example.org"}, None, WARNING, ("TURN_URLS",)),
        ({"SERVER_URL": "https://example.org", "TURN_URLS": "stun:example.org"}, "", WARNING, ("no TURN",)),
        (TURN, "", OK, ("The TURN server relays calls.",)),
        (TURN, None, OK, ("was not asked",)),
        (TURN, "It relays nothing. Correct it.", PROBLEM, ("Correct it.",)),
        ({"SPACE_ID": "me/talk"}, None, PROBLEM, ("the secret HF_TOKEN",)),
        ({"SPACE_ID": "me/talk", "HF_TOKEN": "hf_x"}, "", OK, ("HF_TOKEN opens relays calls",)),
        ({"SPACE_ID": "me/talk", "TURN_URLS": "stun:example.org"}, None, NOT_USED, ()),
        (
            {"BROWSER_CALLS": "websocket", "SERVER_URL": "https://example.org"},
            None,
            NOT_USED,
            ("needs no TURN",),
        ),
        ({"BROWSER_CALLS": "websocket", "SPACE_ID": "me/talk"}, None, NOT_USED, ()),
    ],
)
def test_relay(given: dict[str, str], trouble: str | None, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(services.check_relay(with_settings(**given), trouble), verdict, *words)


PUBLIC = {"SERVER_URL": "https://example.org", "API_KEY": "a-key-for-machines"}


@pytest.mark.parametrize(
    ("given", "verdict", "words"),
    [
        ({}, NOT_USED, ("docs/PHONE.md",)),
        (ACCOUNT, PROBLEM, ("SERVER_URL",)),
        (ACCOUNT | PUBLIC, OK, ()),
        (PUBLIC | {"TWILIO_AUTH_TOKEN": "x"}, WARNING, ("TWILIO_ACCOUNT_SID and TWILIO_PHONE_NUMBER",)),
        (ACCOUNT | {"SERVER_URL": "https://example.org"}, WARNING, ("API_KEY",)),
    ],
)
def test_telephone(given: dict[str, str], verdict: Verdict, words: tuple[str, ...]) -> None:
    account = PhoneAccount(*(given.get(name, "") for name in ACCOUNT))
    holds(services.check_telephone(account, with_settings(**given)), verdict, *words)


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (None, NOT_USED, ()),
        (TwilioFacts("Twilio refused our keys. Please check."), PROBLEM, ("refused our keys",)),
        (TwilioFacts(status="suspended"), PROBLEM, ("suspended",)),
        (TwilioFacts(status="active"), PROBLEM, ("not a number of this Twilio account",)),
        (TwilioFacts("", "active", "https://demo.twilio.com"), WARNING, (WEBHOOK, "not answered here")),
        (TwilioFacts("", "active", WEBHOOK), OK, ()),
    ],
)
def test_twilio(found: TwilioFacts | None, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(services.check_twilio(found, WEBHOOK), verdict, *words)


@pytest.mark.parametrize(
    ("stats", "verdict", "words"),
    [
        (ServerStats(EngineState.READY, model="personaplex", device="cuda"), OK, ("personaplex on cuda",)),
        (ServerStats(EngineState.LOADING, "Fetching the model."), WARNING, ("Fetching",)),
        (ServerStats(EngineState.DRAINING), WARNING, ("not ready",)),
        (ServerStats(EngineState.FAILED, "There is no room. Make some."), PROBLEM, ("Make some.",)),
        (ServerStats(EngineState.DEGRADED), PROBLEM, ("log",)),
    ],
)
def test_engine(stats: ServerStats, verdict: Verdict, words: tuple[str, ...]) -> None:
    holds(check_engine(stats), verdict, *words)


def test_how_the_operator_comes_in() -> None:
    assert (
        "open with API_KEY, at /operator" in services.check_operator(with_settings(API_KEY="a-key")).sentence
    )
    assert "link that the log prints" in services.check_operator(with_settings()).sentence


def test_nothing_that_is_told_is_a_secret() -> None:
    given: dict[str, Any] = ACCOUNT | PUBLIC | TURN | {"HF_TOKEN": "hf_a-secret", "APP_PASSWORD": "a-secret"}
    settings = with_settings(**given)
    account = PhoneAccount(*(given[name] for name in ACCOUNT))
    told = [
        services.check_microphone(settings),
        services.check_operator(settings),
        services.check_relay(settings, None),
        services.check_telephone(account, settings),
        services.check_port(settings, ""),
        machine.check_recordings(settings, "", 0),
    ]
    assert not any(secret in str(told) for secret in ("a-secret", "a-token", "a-key"))

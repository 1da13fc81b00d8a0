"""Which speech model the settings and the machine lead to; and that torch is not imported without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests/data/tiny"

PROGRAM = """
import json, sys
from personaplex_ui.engine.reports import stands_in_because
from personaplex_ui.models import factory as engine_choice
from personaplex_ui.config.settings import Settings
from personaplex_ui.speech.loading import SpeechParts
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from personaplex_ui.voices.library import VoiceLibrary

chosen = []
for driver, variables in json.loads(sys.argv[1]):
    engine_choice.GPU_DRIVER = driver
    voices = VoiceLibrary(load_catalogue(CATALOGUE_PATH))
    told = []
    settings = Settings.from_mapping(variables)
    speech = SpeechParts(engine_choice.speech_sources(settings))
    model = engine_choice.load_speech_model(
        settings, voices, speech, lambda sentence, progress: told.append(sentence)
    )
    imported = "torch" in sys.modules or "moshi" in sys.modules
    chosen.append([model.name, imported, len(voices.names()), told, stands_in_because(model)])
print(json.dumps(chosen))
"""

NO_DRIVER = "libnosuchdriver.so.1"
SOME_LIBRARY = "libc.so.6"
"""Stands for a driver: it can be loaded. Torch finds no GPU all the same."""


NO_WEIGHTS = {"SPEECH_WEIGHTS_DIR": str(Path(__file__) / "weights")}
"""Below a file there can be no folder, and nothing is fetched for it."""

SERVERS = {
    **{f"{part}_BASE_URL": "http://127.0.0.1:9/v1" for part in ("STT", "LLM", "TTS")},
    **{f"{part}_MODEL": "a-model" for part in ("STT", "LLM", "TTS")},
    "TTS_VOICE": "a-voice",
}

Chosen = tuple[str, bool, int, list[str], str]


def choose(*cases: tuple[str, dict[str, str]]) -> list[Chosen]:
    """For each driver and its variables, in one process: the model, whether torch or moshi is imported by
    then, how many voices there are, what was told while loading, and why it stands in for another one."""
    environment = {**os.environ, "NO_TORCH_COMPILE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", PROGRAM, json.dumps(cases)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return [tuple(chosen) for chosen in json.loads(run.stdout.splitlines()[-1])]


def test_the_echo_comes_without_torch():
    cases: tuple[tuple[str, dict[str, str]], ...] = (
        (SOME_LIBRARY, {"ENGINE": "echo"}),
        (SOME_LIBRARY, {"ENGINE": "echo", "SPACES_ZERO_GPU": "1"}),
    )
    assert choose(*cases) == [("echo", False, 18, ["Starting the echo engine."], "")] * len(cases)


def test_without_a_gpu_the_cascade_comes_without_torch():
    asked_for, *found = choose(
        (NO_DRIVER, {**SERVERS, "ENGINE": "cascade"}),
        (NO_DRIVER, SERVERS),
        (NO_DRIVER, {**SERVERS, "ENGINE": "auto", "DEVICE": "cuda"}),
        (SOME_LIBRARY, {**SERVERS, "ENGINE": "auto", "DEVICE": "cpu"}),
    )
    told = ["Starting the cascade engine.", "The cascade engine is ready."]
    assert [asked_for, *found] == [("cascade", False, 18, told, "")] * 4


def test_where_the_cascade_cannot_be_had_the_echo_says_why():
    [(name, imported, voices, told, why)] = choose((NO_DRIVER, NO_WEIGHTS))
    assert (name, imported, voices) == ("echo", False, 18)
    assert told[-1] == "Starting the echo engine."
    assert why.startswith(
        "The cascade engine cannot answer, so the echo engine repeats what it hears: Weights"
    )
    assert "Make it a folder" in why


def test_the_model_comes_where_it_is_asked_for_or_a_gpu_will_be():
    tiny = {"HF_REPO": str(TINY)}
    driver_without_gpu, asked_for, zero_gpu = choose(
        (SOME_LIBRARY, {**tiny, **NO_WEIGHTS}),
        (NO_DRIVER, {**tiny, "ENGINE": "personaplex", "DEVICE": "cpu"}),
        (NO_DRIVER, {**tiny, "SPACES_ZERO_GPU": "1"}),
    )
    assert driver_without_gpu[:3] == ("echo", True, 18)
    for name, _, voices, told, _ in (asked_for, zero_gpu):
        assert (name, voices) == ("personaplex", 2)
        assert told[0] == "Starting PersonaPlex."
        assert told[-1] == "Warming up the model."

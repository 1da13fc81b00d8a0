"""The report as text and as JSON."""

import json

import pytest

from personaplex_ui.doctor.report import NOT_USED, OK, PROBLEM, WARNING, Check, Report, check_of

REPORT = Report(
    "1.2.3",
    (
        Check("Port", OK, "Port 7860 is free."),
        Check("GPU", WARNING, "There is none.", "Get one."),
        Check("Model", PROBLEM, "It is not to be had from https://example.org/a-long-address.", "Ask."),
        Check("Relay", NOT_USED, "None is needed."),
    ),
)


def test_text_is_wrapped_and_shows_what_to_do() -> None:
    assert REPORT.as_text(52).splitlines() == [
        "personaplex-ui 1.2.3",
        "",
        "ok        Port   Port 7860 is free.",
        "warning   GPU    There is none.",
        "                 -> Get one.",
        "problem   Model  It is not to be had from",
        "                 https://example.org/a-long-address.",
        "                 -> Ask.",
        "not used  Relay  None is needed.",
        "",
        "1 problem, 1 warning, 1 ok.",
    ]


def test_json_says_the_same() -> None:
    told = json.loads(REPORT.as_json())
    assert (told["version"], told["problems"], told["warnings"]) == ("1.2.3", 1, 1)
    assert told["checks"][1] == {
        "name": "GPU",
        "verdict": "warning",
        "sentence": "There is none.",
        "next_step": "Get one.",
    }


@pytest.mark.parametrize(
    ("words", "sentence", "step"),
    [
        ("It is full. Make room. Or do not.", "It is full.", "Make room. Or do not."),
        ("15.4 GB of nvidia/x v1.5 are missing.", "15.4 GB of nvidia/x v1.5 are missing.", ""),
        ("Is it on? Switch it on.", "Is it on?", "Switch it on."),
    ],
)
def test_an_error_becomes_a_sentence_and_a_step(words: str, sentence: str, step: str) -> None:
    assert check_of("X", PROBLEM, words) == Check("X", PROBLEM, sentence, step)

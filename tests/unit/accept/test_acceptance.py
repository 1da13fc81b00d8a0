"""The test's own course on the tiny checkpoint: what is run in which order, what is left out, and where it
ends."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from personaplex_ui.accept import acceptance
from personaplex_ui.accept.acceptance import Acceptance
from personaplex_ui.accept.options import read_options
from personaplex_ui.accept.progress import Progress
from personaplex_ui.accept.report import NOT_RUN, OK, PROBLEM, Finding, Report, Verdict
from personaplex_ui.accept.running import Running
from personaplex_ui.accept.steps import STEPS
from personaplex_ui.config.settings import Settings
from personaplex_ui.doctor.machine import Gpu
from personaplex_ui.doctor.probes import Probes
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.personaplex.gpu_probe import TorchFacts
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from tests.support.parity import TINY

TINY_ON_CPU = {"ENGINE": "personaplex", "DEVICE": "cpu", "HF_REPO": str(TINY), "MAX_CALLS": "1"}


class NoGpu(Probes):
    """PyTorch is not asked in another process."""

    def gpus(self) -> list[Gpu]:
        return []

    def torch(self, settings: Settings, config: str) -> TorchFacts:
        return TorchFacts("2.9.1")


def run(folder: Path, options: Sequence[str] = (), **variables: str) -> Report:
    report = Report(STEPS, "now")
    given = read_options(["--report", str(folder / "r.md"), "--frames", "8", "--soak-minutes", "0", *options])
    running = Running(report, given, Progress(io.StringIO()))
    Acceptance(Settings.from_mapping(TINY_ON_CPU | variables), given, running, NoGpu()).run()
    running.end(interrupted=False)
    assert (folder / "r.md").read_text() == report.as_markdown()
    return report


def verdicts(report: Report, letter: str) -> dict[str, Verdict]:
    [step] = [step for step in STEPS if step.letter == letter]
    return {finding.name: finding.verdict for finding in report.findings(step)}


Load = Callable[[Source, Callable[[str, float], None]], PersonaPlexModel]


def loaded_with(monkeypatch: pytest.MonkeyPatch, refuse: Callable[[Source], bool]) -> list[Source]:
    """What was loaded; where ``refuse`` says so, there is no room."""
    loaded: list[Source] = []

    def load(source: Source, report: Callable[[str, float], None]) -> PersonaPlexModel:
        loaded.append(source)
        if refuse(source):
            raise CheckpointUnusable("There is no room.")
        return load_personaplex(source, report)

    monkeypatch.setattr(acceptance, "load_personaplex", load)
    return loaded


def test_whole_weights_are_compared_with_moshi_and_with_int8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    loaded = loaded_with(monkeypatch, lambda source: False)
    report = run(tmp_path)
    assert [(source.quantize, source.pin_persona) for source in loaded] == [
        (None, True),
        (False, False),
        (True, True),
    ]
    assert verdicts(report, "b") == {
        "Tokens, beside plain moshi": OK,
        "Position by position, beside plain moshi": OK,
        "Recorded cases": NOT_RUN,
    }
    assert verdicts(report, "c") == {"int8 against whole weights": OK}
    assert verdicts(report, "e") == {"Soak": NOT_RUN}
    assert verdicts(report, "f") == {"Sound of what was said": NOT_RUN}


def test_without_room_for_whole_weights_what_needs_them_is_told_as_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    loaded = loaded_with(monkeypatch, lambda source: source.quantize is False)
    report = run(tmp_path, QUANTIZE="int8")
    assert len(loaded) == 2
    assert verdicts(report, "b") == {"The same tokens as the reference": NOT_RUN}
    assert verdicts(report, "c") == {"int8 against whole weights": NOT_RUN}
    [finding] = report.found["c"]
    assert finding.sentence.endswith("could not be loaded for one caller. There is no room.")
    assert verdicts(report, "d")["A persona"] is OK


def test_a_step_that_fails_is_a_problem_and_the_next_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(*arguments: object) -> list[Finding]:
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(acceptance, "time_frames", fails)
    report = run(tmp_path, QUANTIZE="int8")
    assert verdicts(report, "d") == {"Frame times": PROBLEM}
    assert report.found["d"][0].sentence == "This step failed: RuntimeError: CUDA error"
    assert verdicts(report, "c") == {"int8 against whole weights": OK}
    assert not report.accepted


def test_a_model_for_clips_only_is_not_accepted(tmp_path: Path):
    report = run(tmp_path, CPU_OFFLOAD="1")
    assert verdicts(report, "d") == {"Live calls": PROBLEM}
    assert verdicts(report, "e") == {"Soak": NOT_RUN}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ENGINE": "auto"}, "There is no GPU that PyTorch can use"),
        ({"ENGINE": "echo"}, "ENGINE is echo"),
        ({"DEVICE": "cuda"}, "DEVICE asks for a GPU, but PyTorch finds none"),
        ({"HF_REPO": "./no/weights"}, "no/weights"),
    ],
)
def test_where_there_is_nothing_to_try(tmp_path: Path, variables: dict[str, str], words: str):
    report = run(tmp_path, **variables)
    problems = [finding for finding in report.found["a"] if finding.verdict is PROBLEM]
    assert any(words in problem.sentence for problem in problems), problems
    assert list(report.found) == ["a"]
    assert not report.accepted


@pytest.mark.parametrize("options", [["--reference", "none"], ["--speech", "none.wav"]])
def test_files_that_cannot_be_read_are_told_before_anything_is_loaded(tmp_path: Path, options: list[str]):
    with pytest.raises(PersonaplexError, match="none"):
        run(tmp_path, options)

"""Captions that can be had, that cannot, and what PersonaPlex says of it."""

import logging
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from moshi.models.compression import MimiModel

from personaplex_ui.engine.reports import CapacityReport
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.personaplex.captions.loading import (
    NOT_LOADED,
    STT_REPO,
    STT_REVISION,
    TOO_SLOW,
    Captions,
)
from personaplex_ui.models.personaplex.captions.planning import NoRoom
from personaplex_ui.models.personaplex.captions.recogniser import load_recogniser
from personaplex_ui.models.personaplex.captions.sizes import SttSizes
from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.loading import load as loading
from personaplex_ui.models.personaplex.loading import warm_up
from personaplex_ui.models.personaplex.loading.checkpoint import load_codec
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles, CheckpointUnusable
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.loading.plan import Plan
from personaplex_ui.models.personaplex.runtime.stepper import Stepper
from tests.support.captions_checkpoint import CONFIG, MIMI, write_recogniser
from tests.support.hub_stub import HubStub, keep_to_loopback, serving
from tests.support.parity import read_case, unheard
from tests.support.tape_recorder import TapeRecorder
from tests.unit.models.personaplex.test_parity import join

CPU = torch.device("cpu")
PLAN = Plan(True, True, 7, ("Weights in int8.",), 7)
HUB = Hub(endpoint="http://127.0.0.1:9")


def with_captions(sizes: SttSizes) -> Plan:
    assert sizes.codebooks == 32
    return replace(PLAN, slots=4, reasons=(*PLAN.reasons, "Captions."))


def without_room(sizes: SttSizes) -> Plan:
    raise NoRoom("No captions by Kyutai STT: the GPU is small.")


def found(demanded: bool | None, repo: Path) -> Captions:
    captions = Captions(demanded, PLAN)
    captions.find(str(repo), None, HUB, with_captions, unheard)
    return captions


@pytest.fixture(scope="module")
def mimi(personaplex_folder: Path) -> MimiModel:
    return load_codec(find_checkpoint(str(personaplex_folder), None, HUB, unheard), CPU)


def loaded(captions: Captions, mimi: MimiModel) -> object:
    return captions.load(MIMI, mimi, CPU, torch.float32, unheard)


# Finding ----------------------------------------------------------------------------------------------------


def test_the_known_revision_is_fetched_without_a_second_mimi(
    recogniser_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mimi: MimiModel
):
    keep_to_loopback(monkeypatch, tmp_path)
    files = {path.name: path.read_bytes() for path in recogniser_folder.iterdir()}
    files[str(CONFIG["mimi_name"])] = b"not to be asked for"
    captions = Captions(None, PLAN)
    with serving(HubStub(STT_REPO, files, STT_REVISION)) as stub:
        captions.find(STT_REPO, None, Hub(None, stub.url, tmp_path), with_captions, unheard)
    asked = [request.path for request in stub.requests]
    assert any(f"/revision/{STT_REVISION}" in path for path in asked)
    assert not any("mimi" in path for path in asked)
    assert captions.plan.reasons[-1] == "Captions."
    assert captions.warnings == ()
    assert loaded(captions, mimi) is not None


def test_another_repository_has_another_revision(
    recogniser_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keep_to_loopback(monkeypatch, tmp_path)
    files = {path.name: path.read_bytes() for path in recogniser_folder.iterdir()}
    with serving(HubStub("someone/stt", files)) as stub:
        hub = Hub(None, stub.url, tmp_path)
        Captions(True, PLAN).find("someone/stt", None, hub, with_captions, unheard)
    assert any("/revision/main" in request.path for request in stub.requests)


def test_without_room_nothing_is_fetched_and_the_reason_is_told(
    recogniser_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keep_to_loopback(monkeypatch, tmp_path)
    files = {path.name: path.read_bytes() for path in recogniser_folder.iterdir()}
    captions = Captions(None, PLAN)
    with serving(HubStub(STT_REPO, files, STT_REVISION)) as stub:
        captions.find(STT_REPO, None, Hub(None, stub.url, tmp_path), without_room, unheard)
    assert stub.served == []
    assert captions.plan.reasons == (*PLAN.reasons, "No captions by Kyutai STT: the GPU is small.")
    assert captions.warnings == ()


def test_welcome_but_not_to_be_had(caplog: pytest.LogCaptureFixture, tmp_path: Path, mimi: MimiModel):
    """Everybody may read the reports, so they name no folder; the log does."""
    caplog.set_level(logging.WARNING)
    captions = found(None, tmp_path)
    assert captions.plan == replace(PLAN, reasons=(*PLAN.reasons, NOT_LOADED))
    assert captions.warnings == (NOT_LOADED,)
    assert loaded(captions, mimi) is None
    assert str(tmp_path) not in NOT_LOADED
    assert f"{tmp_path} lacks config.json" in caplog.text
    assert "set CAPTIONS_REPO to its name" in caplog.text


def test_demanded_and_not_to_be_had(tmp_path: Path):
    with pytest.raises(CheckpointUnusable, match=r"Captions cannot be had: .* set CAPTIONS_REPO to its name"):
        found(True, tmp_path)


# Loading ----------------------------------------------------------------------------------------------------


def damaged(recogniser_folder: Path, tmp_path: Path, **changes: object) -> Path:
    folder = tmp_path / "recogniser"
    copytree(recogniser_folder, folder)
    write_recogniser(folder, **changes)
    return folder


def test_demanded_and_of_other_sizes(recogniser_folder: Path, tmp_path: Path, mimi: MimiModel):
    captions = found(True, damaged(recogniser_folder, tmp_path, dim=64))
    with pytest.raises(CheckpointUnusable, match="other sizes than its config"):
        loaded(captions, mimi)


def test_demanded_and_with_tensors_missing(recogniser_folder: Path, tmp_path: Path, mimi: MimiModel):
    captions = found(True, damaged(recogniser_folder, tmp_path, num_layers=3))
    with pytest.raises(CheckpointUnusable, match=r"lacks 6 tensors of a recogniser: .* CAPTIONS_REPO"):
        loaded(captions, mimi)


def test_welcome_and_cut_short(
    recogniser_folder: Path, tmp_path: Path, mimi: MimiModel, caplog: pytest.LogCaptureFixture
):
    folder = damaged(recogniser_folder, tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    captions = found(None, folder)
    assert captions.plan.slots == 4
    assert loaded(captions, mimi) is None
    assert captions.plan.slots == 7
    assert captions.warnings == (NOT_LOADED,)
    assert "cut short or damaged" in caplog.text


def test_a_full_memory_leaves_them_out(
    recogniser_folder: Path, mimi: MimiModel, monkeypatch: pytest.MonkeyPatch
):
    def full(*args: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr("personaplex_ui.models.personaplex.captions.loading.load_recogniser", full)
    captions = found(None, recogniser_folder)
    assert loaded(captions, mimi) is None
    assert captions.warnings == (NOT_LOADED,)


def test_the_codes_must_be_of_the_mimi_it_knows(
    recogniser_folder: Path, tiny: CheckpointFiles, mimi: MimiModel
):
    files = find_checkpoint(str(recogniser_folder), None, HUB, unheard)
    with pytest.raises(CheckpointUnusable, match="reads 32 codebooks of Mimi, and this Mimi has 8"):
        load_recogniser(files, MIMI, load_codec(tiny, CPU), CPU, torch.float32, unheard)
    with pytest.raises(CheckpointUnusable, match="the Mimi e351c8d8, and PersonaPlex has 0123abcd"):
        load_recogniser(files, "mimi-0123abcd@7.safetensors", mimi, CPU, torch.float32, unheard)


# In PersonaPlex ---------------------------------------------------------------------------------------------


def test_the_reports_and_the_licence_name_it(source: Source):
    model = load_personaplex(source, unheard)
    assert model.heard_by == "Kyutai STT"
    assert "Captions of the caller: Kyutai STT." in model.licence_note
    assert model.runtime_report is not None
    assert model.runtime_report.reasons[-1] == "Captions of the caller by Kyutai STT, as CAPTIONS says."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"captions": None}, "No captions by Kyutai STT: there is no GPU for it."),
        ({"captions": None, "cpu_offload": True}, "No captions by Kyutai STT: clips need none."),
        ({"captions": False}, "Keys and values in float32, since there is no GPU to ask."),
    ],
)
def test_without_a_gpu_they_come_only_if_demanded(source: Source, change: dict[str, bool], reason: str):
    source = replace(source, kv_int8=None, captions_repo="/nowhere", **change)  # type: ignore[arg-type]
    model = load_personaplex(source, unheard)
    assert model.heard_by == ""
    assert model.runtime_report is not None
    assert model.runtime_report.reasons[-1] == reason
    assert model.runtime_report.warnings == ()


def test_demanded_in_vain_the_model_is_not_loaded(source: Source):
    with pytest.raises(PersonaplexError, match="CAPTIONS_REPO is no-such-folder"):
        load_personaplex(replace(source, captions_repo="no-such-folder/with/three"), unheard)


@pytest.mark.parametrize(
    ("demanded", "wanted", "capacity", "too_slow"),
    [
        (None, None, CapacityReport(3), True),
        (None, None, CapacityReport(4), False),
        (True, None, CapacityReport(1), False),
        (None, 2, CapacityReport(2, measured_ms={2: 64.1}), True),
        (None, 2, CapacityReport(2, measured_ms={2: 64.0}), False),
    ],
)
def test_when_they_are_too_slow(
    recogniser_folder: Path,
    demanded: bool | None,
    wanted: int | None,
    capacity: CapacityReport,
    too_slow: bool,
):
    assert found(demanded, recogniser_folder).are_too_slow(capacity, wanted) is too_slow
    assert not Captions(None, PLAN).are_too_slow(CapacityReport(1), None)


def test_those_that_turn_out_too_slow_make_room_for_calls(
    source: Source, recogniser_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def tick_sec(stepper: Stepper, callers: int, riding: bool = False) -> float:
        return (0.030 if stepper.reader is not None else 0.010) * callers

    monkeypatch.setattr(warm_up, "tick_sec", tick_sec)
    model = load_personaplex(source, unheard)
    captions = found(None, recogniser_folder)
    recorder = TapeRecorder()
    report = loading._tuned(model, captions, recorder, None, unheard)  # pyright: ignore[reportPrivateUsage]
    assert captions.plan.reasons[-1] == TOO_SLOW
    assert (model.heard_by, report.lines, model.slots) == ("", 6, 6)
    assert "Kyutai" not in model.licence_note
    join(model, "voice_preset", 1)
    case = read_case("voice_preset")
    for number, frame in enumerate(case.user[:10]):
        output = model.step_tokens({1: frame})[1]
        assert model.answer(1, output).heard is None
        assert output.tokens.tolist() == case.tokens[number].tolist()
    assert recorder.replays >= 10

"""Whatever an image sets for the hub's client, the model is fetched, or a sentence says why not."""

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from huggingface_hub import constants

from personaplex_ui.config.environment import prepare_environment
from tests.support.hub_stub import (
    REPO,
    TOKEN,
    WEIGHTS,
    HubStub,
    find,
    keep_to_loopback,
    serving,
    tiny_files,
)

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[HubStub]:
    keep_to_loopback(monkeypatch, tmp_path)
    with serving(HubStub(REPO, tiny_files())) as hub:
        yield hub


def fetch(stub: HubStub, tmp_path: Path) -> bytes:
    return find(stub, tmp_path).weights.read_bytes()


@pytest.fixture
def transfer_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_ENABLE_HF_TRANSFER", True)


@pytest.mark.usefixtures("transfer_is_set")
def test_hf_transfer_that_is_not_installed_is_left_aside(
    stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "hf_transfer", None)
    assert fetch(stub, tmp_path) == stub.files[WEIGHTS]
    lines = [line for line in caplog.messages if "HF_HUB_ENABLE_HF_TRANSFER" in line]
    assert len(lines) == 1
    assert "not installed" in lines[0]


class Transfer(ModuleType):
    """Does what the package does: fetches a whole file into ``filename``."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__("hf_transfer")
        self._files = files
        self.asked: list[str] = []

    def download(self, url: str, filename: str, callback: Any = None, **options: Any) -> None:
        name = Path(url).name.partition("?")[0]
        self.asked.append(name)
        if name not in self._files:
            raise RuntimeError("the connection broke")
        Path(filename).write_bytes(self._files[name])


@pytest.mark.usefixtures("transfer_is_set")
@pytest.mark.parametrize("works", [True, False])
def test_hf_transfer_that_is_installed_is_used_unless_it_fails(
    stub: HubStub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    works: bool,
) -> None:
    transfer = Transfer(stub.files if works else {})
    monkeypatch.setitem(sys.modules, "hf_transfer", transfer)
    assert fetch(stub, tmp_path) == stub.files[WEIGHTS]
    assert (WEIGHTS in transfer.asked) is works
    assert len(transfer.asked) == 1 or works
    assert ("hf_transfer failed" in caplog.text) is not works


def run(stub: HubStub, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Fetch the model as the app does, with these variables in the environment."""
    program = (
        "import os, sys; from personaplex_ui.config.environment import prepare_environment\n"
        "print(*prepare_environment(os.environ), sep='\\n')\n"
        "import gradio\n"
        "from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint\n"
        "from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable\n"
        "assert 'torch' not in sys.modules\n"
        "try: print('weights', find_checkpoint('nvidia/personaplex-7b-v1', None, Hub(), print).weights)\n"
        "except CheckpointUnusable as error: print('refused', error)\n"
    )
    environment = os.environ | {
        "HF_ENDPOINT": stub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=55,
    )


def test_what_images_set_does_no_harm(stub: HubStub, tmp_path: Path) -> None:
    done = run(
        stub,
        tmp_path,
        HF_ENDPOINT=f"{stub.url}/",
        HF_HUB_ENABLE_HF_TRANSFER="1",
        HF_XET_HIGH_PERFORMANCE="1",
        HF_XET_NUM_CONCURRENT_RANGE_GETS="junk",
        HF_XET_CHUNK_CACHE_SIZE_BYTES="-1",
        HF_HUB_DISABLE_XET="0",
        HF_HUB_DOWNLOAD_TIMEOUT="10s",
        HF_HUB_ETAG_TIMEOUT="",
        HF_HUB_CACHE="",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_OFFLINE="0",
    )
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"weights {tmp_path}/home/hub/"), done.stdout
    assert Path(last.removeprefix("weights ")).read_bytes() == stub.files[WEIGHTS]
    assert stub.requests[0].authorization == f"Bearer {TOKEN}"
    assert "HF_HUB_DOWNLOAD_TIMEOUT is '10s', but it must be a whole number above 0" in done.stdout


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_is_told(stub: HubStub, tmp_path: Path, name: str) -> None:
    last = run(stub, tmp_path, **{name: "1"}).stdout.splitlines()[-1]
    assert last.startswith("refused HF_HUB_OFFLINE is set, but the cache")
    assert "TRANSFORMERS_OFFLINE" in last
    assert not stub.requests


@pytest.mark.parametrize("value", ["", " ", "10s", "1.5", "-1", "0", "9" * 30, "\u0663"])
def test_numbers_that_are_none_are_left_aside(value: str) -> None:
    environment = {"HF_HUB_DOWNLOAD_TIMEOUT": value, "HF_HUB_ETAG_TIMEOUT": "30", "HOME": "/", "USER": "x"}
    notes = prepare_environment(environment)
    assert "HF_HUB_DOWNLOAD_TIMEOUT" not in environment
    assert environment["HF_HUB_ETAG_TIMEOUT"] == "30"
    assert bool(value.strip()) == any("HF_HUB_DOWNLOAD_TIMEOUT" in note for note in notes)


def test_the_tests_do_not_depend_on_the_machine() -> None:
    assert not constants.HF_HUB_OFFLINE
    left = {name for name in os.environ if name.startswith(("HF_", "TRANSFORMERS_"))}
    assert left <= {"HF_HOME", "HF_HUB_DISABLE_TELEMETRY"}, "the last of them is set by Gradio"

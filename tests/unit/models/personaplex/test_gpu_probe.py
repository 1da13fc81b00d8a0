"""What is told of a GPU, with CUDA's answers made up: there is none where the tests run."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from personaplex_ui.models.personaplex.gpu_probe import TorchFacts, Wanted, probe

WANTED = Wanted("auto", slots=4, persona_cache_bytes=512_000_000)


FREE = 23_200_000_000


def always(value: object) -> Callable[..., object]:
    def answer(*_: object) -> object:
        return value

    return answer


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", always(True))
    monkeypatch.setattr(torch.cuda, "get_device_name", always("NVIDIA L4"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", always((8, 9)))
    monkeypatch.setattr(torch.cuda, "mem_get_info", always((FREE, 23_650_000_000)))


@pytest.mark.usefixtures("_gpu")
def test_the_released_model_on_an_l4() -> None:
    found = probe(WANTED)
    assert (found.gpu, found.capability, found.gpu_free) == ("NVIDIA L4", (8, 9), FREE)
    assert 13_000_000_000 < found.gpu_needed < 14_000_000_000
    assert (found.slots, found.int8) == (4, True)
    assert found.reasons[0].startswith("Weights in int8, since NVIDIA L4 has memory for 3 of 4 calls")
    assert (found.host_needed, found.trouble) == (0, "")


@pytest.mark.usefixtures("_gpu")
@pytest.mark.parametrize(
    ("wanted", "needed", "host", "words"),
    [
        (Wanted("auto", 8, 512_000_000, quantize=False, kv_int8=False), (0, 1), (0, 1), "MAX_CALLS=3"),
        (Wanted("auto", 7, 512_000_000, quantize=True, kv_int8=False), (22e9, 23e9), (0, 1), ""),
        (Wanted("auto", None, 512_000_000), (21e9, 23e9), (0, 1), ""),
        (Wanted("auto", 1, 512_000_000, cpu_offload=True), (3e9, 8e9), (14e9, 16e9), ""),
    ],
)
def test_what_it_needs_follows_the_settings(
    wanted: Wanted, needed: tuple[float, float], host: tuple[float, float], words: str
) -> None:
    found = probe(wanted)
    assert needed[0] <= found.gpu_needed < needed[1]
    assert host[0] <= found.host_needed < host[1]
    assert words in found.trouble
    assert (found.trouble == "") == (words == "")


@pytest.mark.usefixtures("_gpu")
def test_cuda_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: object) -> str:
        raise RuntimeError("CUDA error: unknown error\nCUDA kernel errors might be reported later")

    monkeypatch.setattr(torch.cuda, "get_device_name", fail)
    found = probe(WANTED)
    assert found.trouble == "CUDA does not start: CUDA error: unknown error. Try nvidia-smi."


def test_a_config_that_is_damaged_is_told(tmp_path: Path) -> None:
    damaged = tmp_path / "config.json"
    damaged.write_text("{")
    found = probe(Wanted("cpu", 4, 0, config=str(damaged)))
    assert found.trouble == f"{damaged} is damaged: it is not JSON. Fetch it again."


def test_without_a_gpu() -> None:
    found = probe(WANTED)
    assert found == TorchFacts(torch.__version__, torch.version.cuda or "", host_needed=found.host_needed)
    assert 40_000_000_000 < found.host_needed < 50_000_000_000
    assert "PyTorch finds none" in probe(Wanted("cuda", 4, 0)).trouble

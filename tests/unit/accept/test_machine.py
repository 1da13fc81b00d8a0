"""The machine: which settings are told, that secrets are not, and when there is nothing to try."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from personaplex_ui.accept.machine import loading_findings, nothing_to_accept
from personaplex_ui.accept.report import OK, WARNING, Verdict
from personaplex_ui.accept.settings_told import settings_told
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.reports import CapacityReport, RuntimeReport


def settings(**variables: str) -> Settings:
    return Settings.from_mapping(variables)


def test_secrets_are_told_as_set_only():
    told = settings_told(settings(HF_TOKEN="hf_secret", API_KEY="k" * 20, MAX_CALLS="3", CPU_OFFLOAD="1"))
    assert (told["HF_TOKEN"], told["MAX_CALLS"], told["CPU_OFFLOAD"]) == ("set, not shown", "3", "1")
    assert "secret" not in str(told)
    assert "API_KEY" not in told
    assert settings_told(settings())["HF_TOKEN"] == "not set"


@pytest.mark.parametrize(
    ("variables", "gpu", "words"),
    [
        ({"ENGINE": "echo"}, True, "ENGINE is echo"),
        ({"ENGINE": "cascade"}, True, "ENGINE is cascade"),
        ({"ENGINE": "auto"}, False, "There is no GPU"),
        ({"SPACES_ZERO_GPU": "1"}, True, "ZeroGPU"),
        ({"ENGINE": "auto"}, True, ""),
        ({"ENGINE": "personaplex", "DEVICE": "cpu"}, False, ""),
    ],
)
def test_when_there_is_nothing_to_try(variables: dict[str, str], gpu: bool, words: str):
    found = nothing_to_accept(settings(**variables), gpu)
    assert (found.sentence if found else "").startswith(words)
    assert (found is None) == (words == "")


class Loaded(torch.nn.Module):
    """What is asked of a loaded model."""

    def __init__(self, device: str, runtime: RuntimeReport | None) -> None:
        super().__init__()
        self.device = torch.device(device)
        self.language_model = self
        self.stepper: Any = SimpleNamespace(temporal=SimpleNamespace(dtype=torch.bfloat16))
        self.slots = 4
        self.runtime_report = runtime
        self.capacity_report = CapacityReport(4, reason="Four calls fit.")

    def memory_allocated_mb(self) -> float:
        return 14_000.0


GOOD = RuntimeReport("captured as CUDA graphs", "Triton", "int8", "bfloat16", reasons=("Weights in int8.",))


@pytest.mark.parametrize(
    ("device", "runtime", "verdict", "words"),
    [
        ("cuda", GOOD, OK, "Weights in int8."),
        ("cuda", RuntimeReport("eager: no capture", "Triton"), WARNING, "eager: no capture"),
        ("cuda", RuntimeReport("captured as CUDA graphs", "PyTorch: no gcc"), WARNING, "PyTorch: no gcc"),
        (
            "cuda",
            RuntimeReport("captured as CUDA graphs", "Triton", warnings=("Slow.",)),
            WARNING,
            "next step",
        ),
        ("cpu", RuntimeReport("eager: there is no GPU", "PyTorch: there is no GPU"), OK, ""),
    ],
)
def test_how_a_loaded_model_runs(device: str, runtime: RuntimeReport, verdict: Verdict, words: str):
    model: Any = Loaded(device, runtime)
    loading, runs = loading_findings(model, 43.21)
    assert (loading.verdict, loading.number) == (OK, "bfloat16, 4 callers, 43.2 s")
    assert "14,000 MB of GPU memory. Four calls fit." in loading.sentence
    assert (runs.verdict, words in runs.sentence) == (verdict, True)
    assert bool(runs.next_step) is (verdict is WARNING)
    assert ("graphs", runtime.graphs) in runs.table


def test_a_model_that_tells_nothing_of_itself_is_only_loaded():
    model: Any = Loaded("cpu", None)
    assert len(list(loading_findings(model, 1.0))) == 1

"""Whether Triton's kernels are used: what is found out by trying them, and what is said if they cannot be."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels import operators, triton_setup
from personaplex_ui.models.personaplex.kernels.availability import triton_trouble
from personaplex_ui.models.personaplex.kernels.operators import OPERATORS, Operator
from personaplex_ui.models.personaplex.kernels.samples import SAMPLES
from personaplex_ui.models.personaplex.kernels.trial import trouble_of
from personaplex_ui.models.personaplex.kernels.triton_setup import build_trouble, triton_missing

CPU = torch.device("cpu")
needs_triton = pytest.mark.skipif(bool(triton_missing()), reason=triton_missing() or "-")


def trouble_with(name: str, kernel: Any) -> str:
    return trouble_of(name, OPERATORS[name].twin, kernel, SAMPLES[name], CPU)


# Trials


def test_each_operator_has_samples():
    assert OPERATORS.keys() == SAMPLES.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_kernel_is_good_if_it_does_what_plain_pytorch_does(name: str):
    def nearly(*inputs: Any) -> Any:
        outcome = OPERATORS[name].twin(*inputs)
        if isinstance(outcome, tuple):
            return outcome[0], outcome[1] * 1.003  # pyright: ignore
        return outcome if outcome.dtype == torch.int64 else outcome.float() * 1.003

    assert trouble_with(name, OPERATORS[name].twin) == ""
    assert trouble_with(name, nearly) == ""


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("factor", [1.05, torch.nan])
def test_a_kernel_that_returns_something_else_is_found(name: str, factor: float):
    def wrong(*inputs: Any) -> Any:
        outcome = OPERATORS[name].twin(*inputs)
        return (outcome[0], outcome[1] * factor) if isinstance(outcome, tuple) else outcome * factor

    assert trouble_with(name, wrong) == f"The kernel {name} gives wrong results on cpu."


def test_a_kernel_that_writes_something_else_is_found():
    def written_nowhere(*inputs: Any) -> Tensor:
        copies = [one.clone() if isinstance(one, Tensor) else one for one in inputs]
        return OPERATORS["rope_and_store"].twin(*copies)

    assert "wrong results" in trouble_with("rope_and_store", written_nowhere)


def test_a_kernel_that_fails_is_told_with_the_first_line_of_why():
    def failing(*inputs: Any) -> Tensor:
        raise RuntimeError("out of registers\nand much more")

    told = trouble_with("silu_mul", failing)
    assert told == "The kernel silu_mul does not run on cpu: out of registers"


def test_if_something_is_missing_to_build_it_that_is_told(monkeypatch: pytest.MonkeyPatch):
    def failing(*inputs: Any) -> Tensor:
        raise RuntimeError("command failed")

    monkeypatch.setattr("personaplex_ui.models.personaplex.kernels.trial.build_trouble", lambda: "No gcc.")
    assert trouble_with("silu_mul", failing).endswith(": No gcc.")


def test_full_memory_is_no_fault_of_the_kernel():
    def failing(*inputs: Any) -> Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        trouble_with("silu_mul", failing)


# Which of the two runs


@pytest.mark.parametrize(
    ("missing", "old", "trouble", "used"),
    [
        ("", "", "", "kernel"),
        ("", "", "It is broken.", "twin"),
        ("", "Old.", "", "twin"),
        ("None.", "", "", "twin"),
    ],
)
def test_plain_pytorch_runs_where_the_kernel_cannot(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    missing: str,
    old: str,
    trouble: str,
    used: str,
):
    trials: list[str] = []

    def tried(name: str, *others: object) -> str:
        trials.append(name)
        return trouble

    monkeypatch.setattr(operators, "triton_missing", lambda: missing)
    monkeypatch.setattr(operators, "_too_old", lambda device: old)  # pyright: ignore
    monkeypatch.setattr(operators, "trouble_of", tried)
    operator = Operator("silu_mul", lambda x: "twin", lambda x: "kernel")  # pyright: ignore
    x = torch.empty(1, device="meta")
    assert [operator.on_gpu(x), operator.on_gpu(x)] == [used, used]
    assert operator.trouble(x.device) == missing + old + trouble
    assert trials == (["silu_mul"] if not missing + old else [])
    assert caplog.text.count("Plain PyTorch is used for silu_mul") == (used == "twin")


@pytest.mark.parametrize(("capability", "told"), [((7, 5), "7.5"), ((8, 0), ""), ((9, 0), "")])
def test_a_gpu_without_bfloat16_is_too_old(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], told: str
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)  # pyright: ignore
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")  # pyright: ignore
    found = operators._too_old(torch.device("cuda", 0))  # pyright: ignore[reportPrivateUsage]
    assert told in found
    assert bool(found) == bool(told)


def test_a_cpu_has_no_use_for_triton():
    assert triton_trouble(CPU) == "Triton's kernels run on GPUs only."


# What it takes to build


@needs_triton
def test_what_triton_would_build_with_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    tried: list[str | None] = []
    monkeypatch.setattr(triton_setup, "compiler_trouble", lambda one: tried.append(one) or "")  # pyright: ignore
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(compiler))
    assert build_trouble() == ""
    assert (tmp_path / "cache").is_dir()
    monkeypatch.delenv("CC")
    monkeypatch.setattr(triton_setup.shutil, "which", lambda name: {"clang": "/bin/clang"}.get(name))  # pyright: ignore
    assert build_trouble() == ""
    assert tried == [str(compiler), "/bin/clang"]
    monkeypatch.setenv("TRITON_CACHE_DIR", str(compiler / "cache"))
    assert "TRITON_CACHE_DIR" in build_trouble()


def test_without_triton_all_else_works():
    code = """if True:
        import sys
        sys.modules["triton"] = None
        import torch
        from personaplex_ui.models.personaplex.kernels import gating, triton_setup
        from personaplex_ui.models.personaplex.kernels.availability import triton_trouble
        assert gating.silu_mul(torch.ones(1, 4)).shape == (1, 2)
        print(triton_setup.build_trouble())
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "cannot be imported" in run.stdout

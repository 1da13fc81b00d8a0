"""Loading a checkpoint: the tiny one of ``tests/data``, broken ones, and one of a gigabyte."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from moshi.models.lm import LMModel
from moshi.models.loaders import (
    get_mimi,  # pyright: ignore[reportUnknownVariableType]  its mimi_config is a dict of anything
)
from moshi.utils.compile import no_compile
from safetensors.torch import (
    load_file,  # pyright: ignore[reportUnknownVariableType]  a path of anything
)
from torch import Tensor

from personaplex_ui.models.personaplex.loading.checkpoint import (
    load_codec,
    load_language_model,
    load_tokenizer,
)
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CheckpointFiles,
    CheckpointUnusable,
    Config,
)
from personaplex_ui.models.personaplex.loading.model_sizes import language_model_sizes
from personaplex_ui.models.personaplex.loading.safetensors_file import SafetensorsFile
from tests.support.checkpoint_writer import released_shapes, with_length, write_model, write_safetensors
from tests.support.parity import unheard

ROOT = Path(__file__).parents[4]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def released(tiny: CheckpointFiles) -> dict[str, Tensor]:
    return load_file(tiny.weights)


def load(files: CheckpointFiles, dtype: torch.dtype = torch.float32) -> LMModel:
    return load_language_model(files, CPU, dtype, unheard)


def refusal(load_it: Callable[[], object]) -> str:
    with pytest.raises(CheckpointUnusable) as caught:
        load_it()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    return sentence


# The language model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_weights_are_those_that_moshi_loads(
    tiny: CheckpointFiles, released: dict[str, Tensor], dtype: torch.dtype
) -> None:
    sizes = language_model_sizes(tiny.config)
    theirs = LMModel(device="cpu", dtype=torch.bfloat16, **sizes.arguments)
    theirs.load_state_dict(dict(released), assign=True)  # its hooks rename what the file calls otherwise
    expected = theirs.state_dict()
    model = load(tiny, dtype)
    assert model.dep_q == 8
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == dtype
        assert torch.equal(tensor, expected[name].to(dtype)), name
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_progress_is_told(tiny: CheckpointFiles) -> None:
    told: list[tuple[str, float]] = []
    load_language_model(tiny, CPU, torch.float32, lambda sentence, share: told.append((sentence, share)))
    assert told[-1] == ("Loading the model: 7 of 7 MB.", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert 5 <= len(told) <= 22


def test_a_file_with_the_assistants_depth_steps_only(
    tiny: CheckpointFiles, released: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    halves = {
        name: part[: len(part) // 2] if "depformer.layers" in name and "_proj" in name else part
        for name, part in released.items()
    }
    write_safetensors(path, halves)
    assert same(load(replace(tiny, weights=path)), load(tiny))


def test_a_file_that_names_the_steps_one_by_one(tiny: CheckpointFiles, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, dict(load(tiny).state_dict()), "F32")
    assert same(load(replace(tiny, weights=path)), load(tiny))


def same(one: LMModel, other: LMModel) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def test_what_is_not_needed_does_not_matter(
    tiny: CheckpointFiles, released: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {**released, "teacher.weight": torch.zeros(2, dtype=torch.bfloat16)})
    load(replace(tiny, weights=path, config={**tiny.config, "unknown_key": 1}))
    assert "teacher.weight" in caplog.text


@pytest.mark.parametrize(
    ("without", "instead", "told"),
    [
        (["out_norm.alpha"], {}, "lacks 1 tensors of a PersonaPlex model: out_norm.alpha."),
        ([f"emb.{n}.weight" for n in range(9)], {}, "lacks 9 tensors"),
        ([], {"text_emb.weight": (400, 32)}, "text_emb.weight is 400 x 32 instead of 513 x 32"),
        (
            [],
            {"depformer.layers.0.self_attn.in_proj_weight": (500, 16)},
            "does not fit config.json: depformer.layers.0.self_attn.in_proj_weight is 500 x 16 instead of",
        ),
    ],
)
def test_missing_and_misshapen_tensors(
    tiny: CheckpointFiles,
    released: dict[str, Tensor],
    tmp_path: Path,
    without: list[str],
    instead: dict[str, tuple[int, ...]],
    told: str,
) -> None:
    tensors = {name: tensor for name, tensor in released.items() if name not in without}
    tensors |= {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in instead.items()}
    write_safetensors(tmp_path / "model.safetensors", tensors)
    assert told in refusal(lambda: load(replace(tiny, weights=tmp_path / "model.safetensors")))


def test_the_weights_of_another_model(tiny: CheckpointFiles) -> None:
    sentence = refusal(lambda: load(replace(tiny, weights=tiny.mimi)))
    assert "is not a PersonaPlex model: it contains decoder" in sentence


def test_quantized_weights(tiny: CheckpointFiles, released: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {name: tensor.to(torch.int8) for name, tensor in released.items()}, "I8")
    assert "it is quantized, and only weights in BF16" in refusal(lambda: load(replace(tiny, weights=path)))
    codes = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in released.items()}
    write_safetensors(path, codes, "F8_E4M3")
    assert "of the kind F8_E4M3 (" in refusal(lambda: load(replace(tiny, weights=path)))


def test_the_memory_of_the_gpu_runs_out(tiny: CheckpointFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(SafetensorsFile, "read", fail)
    assert "was full after 0.0 MB of 6.7 MB of weights" in refusal(lambda: load(tiny))


# Broken files


def header(**tensors: object) -> bytes:
    return with_length(json.dumps(tensors).encode())


def entry(start: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": [4], "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is cut short or damaged, with 0 bytes (header too small). Remove "),
        (b"\x10\x00", "is not a safetensors file. Correct HF_REPO; or if it should be one, remove "),
        (b"<!DOCTYPE html><html>sign in</html>", "is not a safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Run `git lfs pull`"),
        (header(a=entry(0, 16))[:40], "is cut short or damaged, with 40 bytes (invalid header length)"),
        (header(a=entry(0, 16)) + bytes(15), "is cut short or damaged"),
        (header(a=entry(0, 16)) + bytes(17), "file not fully covered"),
        (header(a=entry(-16, 0)) + bytes(16), "invalid JSON in header"),
    ],
)
def test_a_file_that_is_damaged_or_something_else(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert told in refusal(lambda: SafetensorsFile(path))


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.5, 0.999])
def test_a_truncated_model(tiny: CheckpointFiles, tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.safetensors"
    content = tiny.weights.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    sentence = refusal(lambda: load(replace(tiny, weights=path)))
    assert "model.safetensors is cut short or damaged" in sentence
    assert f"Remove {path} and restart" in sentence


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"a": torch.ones(1000)}, "F32")
    with SafetensorsFile(path) as file:
        os.truncate(path, 2000)
        assert "it has changed while it was read" in refusal(lambda: file.read("a", CPU, torch.float32))


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot be opened (No such file" in refusal(
        lambda: SafetensorsFile(tmp_path / "model.safetensors")
    )


def test_rows_are_read_alone_and_what_is_read_is_ones_own(tmp_path: Path) -> None:
    whole = torch.arange(20, dtype=torch.float32).view(4, 5)
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"first": torch.ones(3), "a": whole, "empty": torch.zeros(0, 5)}, "F32")
    with SafetensorsFile(path) as file:
        file.read("a", CPU, torch.float32).zero_()
        assert torch.equal(file.read("a", CPU, torch.float32), whole)
        assert torch.equal(file.read("a", CPU, torch.bfloat16, 1, 2), whole[1:3].bfloat16())
        assert file.read("empty", CPU, torch.float32).shape == (0, 5)


# The config


def test_a_stub_means_the_7b_sizes() -> None:
    shapes = released_shapes({"model_type": "personaplex", "version": "7b-v1"})
    assert len(shapes) == 475
    assert shapes["text_emb.weight"] == (32_001, 4_096)
    assert shapes["depformer.layers.5.self_attn.in_proj_weight"] == (16 * 3 * 1_024, 1_024)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_q": 8}, "says n_q = 8, but PersonaPlex has 16: this is another model"),
        ({"delays": [0] * 17}, "says delays = [0, 0,"),
        ({"card": 1024}, "says card = 1024, but PersonaPlex has 2048"),
        ({"depformer_pos_emb": "sin"}, "says depformer_pos_emb = sin, but PersonaPlex has none"),
        ({"dep_q": 4}, "says dep_q = 4, but PersonaPlex has at least 8"),
        ({"dim": "large"}, "says dim = 'large', but it must be a whole number above 0"),
        ({"num_layers": 0}, "says num_layers = 0, but it must be a whole number above 0"),
        ({"context": True}, "says context = True, but it must be a whole number above 0"),
        ({"hidden_scale": -1}, "says hidden_scale = -1, but it must be a number above 0"),
        (
            {"depformer_dim_feedforward": [66, "a"]},
            "says depformer_dim_feedforward = [66, 'a'], but it must be",
        ),
        ({"depformer_dim_feedforward": [66] * 5}, "The sizes in config.json do not fit together"),
        ({"num_heads": 5}, "says dim = 32 and num_heads = 5, but the first must be a multiple"),
        (
            {"text_card": 600},
            "does not fit config.json: depformer_text_emb.weight is 513 x 16 instead of 601 x 16",
        ),
    ],
)
def test_a_config_that_contradicts(tiny: CheckpointFiles, change: Config, told: str) -> None:
    assert told in refusal(lambda: load(replace(tiny, config={**tiny.config, **change})))


def test_a_feedforward_size_for_each_depth_step(tiny: CheckpointFiles) -> None:
    listed = replace(tiny, config={**tiny.config, "depformer_dim_feedforward": [66] * 16})
    assert same(load(listed), load(tiny))


# Mimi and the tokenizer


def test_the_codec_is_the_one_that_moshi_loads(tiny: CheckpointFiles) -> None:
    theirs = get_mimi(tiny.mimi, cast(Any, tiny.mimi_config))
    codec = load_codec(tiny, CPU)
    expected = theirs.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in codec.state_dict().items())
    sound = torch.sin(torch.arange(4 * 1920) * 0.1)[None, None]
    with torch.no_grad(), no_compile():
        codes = codec.encode(sound)
        assert codes.shape == (1, 8, 4)
        assert torch.equal(codes, theirs.encode(sound))
        assert torch.equal(codec.decode(codes), theirs.decode(codes))


def changed(config: Config | None, *keys: str, value: object) -> Config:
    copy: Any = json.loads(json.dumps(config))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (("seanet",), 7, "The config of Mimi"),
        (("quantizer", "n_q"), 4, "The config of Mimi"),
        (("frame_rate",), 25.0, "frames of 960 samples at 24000 Hz"),
        (("quantizer", "bins"), 1024, "have other sizes than Mimi's config says"),
        (("transformer", "num_layers"), 3, "lacks 20 tensors of a Mimi codec"),
    ],
)
def test_a_config_of_mimi_that_contradicts(
    tiny: CheckpointFiles, keys: tuple[str, ...], value: object, told: str
) -> None:
    config = changed(tiny.mimi_config, *keys, value=value)
    sentence = refusal(lambda: load_codec(replace(tiny, mimi_config=config), CPU))
    assert told in sentence


def test_mimi_without_its_config_is_the_usual_one(tiny: CheckpointFiles) -> None:
    assert refusal(lambda: load_codec(replace(tiny, mimi_config=None), CPU))


def test_a_foreign_or_truncated_codec(tiny: CheckpointFiles, tmp_path: Path) -> None:
    assert "is not a Mimi codec" in refusal(lambda: load_codec(replace(tiny, mimi=tiny.weights), CPU))
    path = tmp_path / tiny.mimi.name
    path.write_bytes(tiny.mimi.read_bytes()[:-5])
    assert "is cut short" in refusal(lambda: load_codec(replace(tiny, mimi=path), CPU))


def test_the_tokenizer(tiny: CheckpointFiles) -> None:
    tokenizer: Any = load_tokenizer(tiny)
    assert tokenizer.decode(tokenizer.encode("hello there")) == "hello there"


@pytest.mark.parametrize("content", [b"", b"junk" * 100, None])
def test_a_broken_tokenizer(tiny: CheckpointFiles, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer_spm_32k_3.model"
    path.write_bytes(tiny.tokenizer.read_bytes()[:2000] if content is None else content)
    sentence = refusal(lambda: load_tokenizer(replace(tiny, tokenizer=path)))
    assert "is not a tokenizer of SentencePiece, or it is damaged" in sentence


def test_a_tokenizer_of_another_model(tiny: CheckpointFiles) -> None:
    other = replace(tiny, config={**tiny.config, "text_card": 256})
    assert "has 500 pieces, but the model knows 256" in refusal(lambda: load_tokenizer(other))


# Memory. Slow: it writes a file of 1.1 GB and reads it three times.


BIG: Config = {
    "dim": 1024,
    "num_heads": 16,
    "num_layers": 22,
    "text_card": 8000,
    "context": 250,
    "depformer_dim": 512,
    "depformer_dim_feedforward": 2112,
    "depformer_num_heads": 8,
    "depformer_num_layers": 4,
}


@pytest.mark.timeout(180)
def test_loading_a_gigabyte_takes_no_more_than_the_weights_kept_and_a_tenth(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    try:
        assert write_model(path, BIG) > 1_000_000_000
        for dtype, quantize, at_least in (
            ("bfloat16", "none", 0.9e9),
            ("float32", "none", 1.8e9),
            ("bfloat16", "int8", 0.5e9),
        ):
            command = [
                sys.executable,
                "-m",
                "tests.support.measure_loading",
                str(path),
                json.dumps(BIG),
                dtype,
                quantize,
            ]
            # Without it, glibc's heap keeps up to 45 MB of the blocks that int8 is made from, in some runs.
            malloc = {"MALLOC_MMAP_THRESHOLD_": "65536"}
            environment = {**os.environ, "NO_TORCH_COMPILE": "1", **malloc}
            run = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
            )
            measured = json.loads(run.stdout)
            assert measured["kept"] > at_least
            assert measured["peak"] <= 1.1 * measured["kept"]
    finally:
        path.unlink(missing_ok=True)

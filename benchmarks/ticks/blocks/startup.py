"""What a start takes, by phase: the app's own loader with a checkpoint of this size, written for it."""

import json
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import (
    save_file,  # pyright: ignore[reportUnknownVariableType]  its filename is a PathLike of anything
)

from benchmarks.random_weights import VOICE_NAME, VOICE_POSITIONS, random_mimi
from benchmarks.ticks.block import Block, Cell
from benchmarks.ticks.random_model import free_memory
from benchmarks.ticks.setup import TickSetup, say
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.loading.preset_voices import RING_POSITIONS
from personaplex_ui.models.personaplex.runtime.prompt import STREAMS
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.checkpoint_writer import write_model
from tests.support.parity import TINY


class Phases:
    """Adds up how long each kind of sentence stood in the loading progress."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = "begin"
        self._since = time.perf_counter()

    def report(self, sentence: str, progress: float) -> None:
        self.end()
        self._phase = re.split(r":| of \d|\.", sentence)[0]

    def end(self) -> None:
        now = time.perf_counter()
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._since = now


async def measure(setup: TickSetup) -> Block:
    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory(prefix="personaplex-bench-") as name:
        folder = Path(name)
        say(f"Writing a checkpoint of {setup.size} ...")
        written = _write_checkpoint(folder, setup)
        for weights in setup.weights:
            seconds = _loaded(folder, setup, weights)
            rows += [(f"{weights}: {phase}", sec) for phase, sec in seconds.items()]
            rows.append((f"{weights}: all", sum(seconds.values())))
            free_memory(setup)
    notes = (
        f"A file of {written / 1e9:.1f} GB that has just been written, so mostly in the page cache; "
        f"{setup.callers[-1]} calls. Without the start of Python and the imports.",
    )
    return Block("startup", ("phase", "seconds"), tuple(rows), notes)


def _loaded(folder: Path, setup: TickSetup, weights: str) -> dict[str, float]:
    """The phases of one start."""
    phases = Phases()
    source = Source(
        str(folder),
        device=str(setup.device),
        dtype=setup.dtype,
        slots=setup.callers[-1],
        voices=VoiceLibrary(folders=(folder,)),
        quantize=weights == "int8",
    )
    load_personaplex(source, phases.report)
    phases.end()
    return phases.seconds


def _write_checkpoint(folder: Path, setup: TickSetup) -> int:
    """Random weights under the released names, with the tiny checkpoint's tokenizer and one voice; returns
    its bytes."""
    config: dict[str, Any] = json.loads((TINY / "config.json").read_text())
    config |= {key: value for key, value in setup.arguments.items() if key in config}
    (folder / config["mimi_config_name"]).write_text(json.dumps(setup.mimi_config))
    if setup.mimi_config is None:
        del config["mimi_config_name"]
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(TINY / config["tokenizer_name"], folder)
    voice = {
        "embeddings": torch.randn(VOICE_POSITIONS, 1, 1, config["dim"]),
        "cache": torch.zeros(1, STREAMS, RING_POSITIONS, dtype=torch.int64),
    }
    torch.save(voice, folder / f"{VOICE_NAME}.pt")
    mimi: dict[str, torch.Tensor] = random_mimi(
        torch.device("cpu"), setup.seed, setup.mimi_config
    ).state_dict()
    save_file({name: tensor.clone() for name, tensor in mimi.items()}, folder / config["mimi_name"])
    return write_model(folder / config["moshi_name"], config)

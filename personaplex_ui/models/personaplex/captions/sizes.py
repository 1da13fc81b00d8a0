"""Checks what the ``config.json`` of a recogniser says: one of Kyutai's STT, whose sizes may differ."""

import math
from dataclasses import dataclass
from typing import Any, cast

from personaplex_ui.audio.frames import FRAMES_PER_SEC
from personaplex_ui.errors import setting
from personaplex_ui.models.personaplex.loading.checkpoint_files import CONFIG, CheckpointUnusable, Config

CAPTIONS_REPO = setting("CAPTIONS_REPO")
"""The name in error messages."""

STT_1B: dict[str, Any] = {
    "n_q": 32,
    "text_card": 8000,
    "dim": 2048,
    "num_heads": 16,
    "num_layers": 16,
    "hidden_scale": 4.125,
    "context": 750,
    "max_period": 100_000.0,
}
"""What may differ, with the values of ``kyutai/stt-1b-en_fr``."""

KIND: dict[str, Any] = {
    "dep_q": 0,
    "card": 2048,
    "existing_text_padding_id": 3,
    "causal": True,
    "layer_scale": None,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "depformer_multi_linear": True,
}
"""What makes it a recogniser that can be run here: it answers no codes, and reads those of this Mimi."""

LONGEST_SEC = 10.0


@dataclass(frozen=True, slots=True)
class SttSizes:
    """``arguments`` of ``LMModel``. In frames: its text comes ``delay`` later than the sound, and it hears
    ``prefix`` of silence before a call."""

    arguments: dict[str, Any]
    delay: int
    prefix: int

    @property
    def codebooks(self) -> int:
        return self.arguments["n_q"]


def stt_sizes(config: Config) -> SttSizes:
    """Raises CheckpointUnusable: ``config`` is that of another model."""
    if config.get("model_type") != "stt":
        raise _another_model("model_type", config.get("model_type"), "stt")
    for key, value in KIND.items():
        if config.get(key, value) != value:
            raise _another_model(key, config[key], value)
    arguments = {key: config.get(key, usual) for key, usual in STT_1B.items()}
    for key, value in arguments.items():
        kinds = (int, float) if isinstance(STT_1B[key], float) else int
        if not isinstance(value, kinds) or isinstance(value, bool) or value <= 0:
            raise _another_model(key, value, f"a number as {STT_1B[key]}")
    delays = [0] * (1 + cast(int, arguments["n_q"]))
    if config.get("delays", delays) != delays:
        raise _another_model("delays", config["delays"], "none")
    if cast(int, arguments["dim"]) % cast(int, arguments["num_heads"]):
        raise _another_model("num_heads", arguments["num_heads"], f"one that divides {arguments['dim']}")
    delay = round(_seconds(config, "audio_delay_seconds") * FRAMES_PER_SEC)
    prefix = math.ceil(_seconds(config, "audio_silence_prefix_seconds") * FRAMES_PER_SEC)
    if prefix >= cast(int, arguments["context"]):
        raise _another_model("context", arguments["context"], f"more than {prefix} frames of silence")
    return SttSizes({**KIND, **arguments, "delays": delays}, delay, prefix)


def _seconds(config: Config, key: str) -> float:
    said = config.get("stt_config")
    value = cast(dict[str, object], said).get(key) if isinstance(said, dict) else None
    if not isinstance(value, (int, float)) or not 0 <= value <= LONGEST_SEC:
        raise _another_model(f"stt_config.{key}", value, f"seconds from 0 to {LONGEST_SEC:g}")
    return float(value)


def _another_model(key: str, value: object, wanted: object) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{CONFIG} of the captions says {key} = {value}, where Kyutai's STT has {wanted}: this is another "
        f"model. Correct {CAPTIONS_REPO}."
    )

"""Models without a checkpoint: random weights in the shapes of PersonaPlex, and a voice made for them.

Speed and memory depend on the shapes alone. Such a model speaks noise, but the same noise for everybody who
runs the same weights.
"""

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel
from moshi.models.loaders import (
    get_mimi,  # pyright: ignore[reportUnknownVariableType]  its mimi_config is a dict of anything
)
from torch import Tensor

from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import Config
from personaplex_ui.models.personaplex.loading.int8 import quantize_layers, read_quantized
from personaplex_ui.models.personaplex.loading.model_sizes import PERSONAPLEX_7B
from personaplex_ui.models.personaplex.loading.preset_voices import RING_POSITIONS
from personaplex_ui.models.personaplex.runtime.prompt import (
    CODEBOOKS,
    STREAMS,
    TEXT_PADDING,
    RecordedVoice,
    Tokens,
    build_prompt,
    prompt_frames,
    tagged,
    voice_frames,
)
from personaplex_ui.models.personaplex.runtime.temporal import Temporal

SMALL: dict[str, Any] = PERSONAPLEX_7B | {
    "dim": 1024,
    "num_heads": 16,
    "num_layers": 16,
    "depformer_dim": 512,
    "depformer_num_heads": 8,
    "depformer_dim_feedforward": int(4.125 * 512),
}
"""0.67e9 parameters with all 16 depth steps: the largest that two CPU cores step in half a second."""

TENTH: dict[str, Any] = SMALL | {
    "dim": 512,
    "num_heads": 8,
    "num_layers": 8,
    "depformer_dim": 256,
    "depformer_num_heads": 4,
    "depformer_num_layers": 4,
    "depformer_dim_feedforward": int(4.125 * 256),
}
"""0.12e9 parameters."""

TINY: dict[str, Any] = TENTH | {
    "dim": 64,
    "num_heads": 2,
    "num_layers": 2,
    "context": 160,
    "depformer_dim": 32,
    "depformer_num_heads": 2,
    "depformer_num_layers": 2,
    "depformer_dim_feedforward": 132,
}
"""Steps in some milliseconds."""

SIZES: dict[str, dict[str, Any]] = {
    "tiny": TINY,
    "0.1b": TENTH,
    "0.5b": SMALL,
    "small": SMALL,
    "7b": PERSONAPLEX_7B,
}

VOICE_NAME = "RANDOM"
VOICE_POSITIONS = 50
"""4 s, as NVIDIA's presets."""

ROLE = " ".join(f"word{number}" for number in range(58))
"""60 tokens with its tags, as the usual role."""


def random_language_model(
    arguments: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
    shared: LMModel | None,
    int8: bool = False,
) -> LMModel:
    """With ``arguments`` as ``LMModel`` takes them. Tensors that ``shared`` has too are the same memory.
    ``int8``: those that the app can quantize are."""
    model = empty_language_model(arguments, dtype)
    quantized = quantize_layers(model) if int8 else {}
    dice = torch.Generator(device).manual_seed(seed)
    have: Mapping[str, Tensor] = shared.state_dict() if shared is not None else {}
    state: dict[str, Tensor] = {}
    for name, empty in model.state_dict().items():
        if name in quantized:
            drawn = _random(name, empty.to(torch.float32), device, dice)
            scale = name.removesuffix("weight") + "scale"
            state[name], state[scale] = read_quantized(
                lambda first, count, drawn=drawn: drawn[first : first + count], empty.shape, device, dtype
            )
        elif name not in state:
            state[name] = have[name] if name in have else _random(name, empty, device, dice)
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def _random(name: str, empty: Tensor, device: torch.device, dice: torch.Generator) -> Tensor:
    tensor = torch.empty(empty.shape, device=device, dtype=empty.dtype)
    if "norm" in name:
        return tensor.fill_(1.0)
    return tensor.normal_(0.0, 1.0 / math.sqrt(empty.shape[-1]), generator=dice)


def random_mimi(device: torch.device, seed: int, config: Config | None = None) -> MimiModel:
    """Mimi in float32, full-size unless there is a ``config``; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mimi = get_mimi(None, cast(Any, config), device="cpu", num_codebooks=CODEBOOKS)
        for name, tensor in mimi.named_buffers():
            # Empty codebooks would turn any sound into the same codes.
            if name.endswith("embedding_sum"):
                tensor.normal_()
    return mimi.to(device).eval().requires_grad_(False)


class WordTokenizer:
    """One token a word."""

    def __init__(self, text_card: int) -> None:
        self._text_card = text_card

    def encode(self, text: str) -> list[int]:
        first = TEXT_PADDING + 1
        return [first + zlib.crc32(word.encode()) % (self._text_card - first) for word in text.split()]

    def id_to_piece(self, token: int) -> str:
        return f"▁{token}"


class RandomVoice:
    """A voice of random codes: as a file that holds what the reference saves of a preset, and as the frames
    that lead to it."""

    def __init__(self, lm: LMModel, seed: int) -> None:
        self._lm = lm
        codes = np.random.default_rng(seed).integers(0, lm.card, (VOICE_POSITIONS + 1, CODEBOOKS))
        self._voice = RecordedVoice(codes)

    def save(self, folder: Path) -> None:
        """Unlike the reference's, embeddings are in the model's own dtype: then its tokens, stepped one by
        one, give the very same state."""
        temporal = Temporal(self._lm)
        initial, initial_text = self._lm.initial_token_id, self._lm.text_initial_token_id
        positions = build_prompt(self._voice, [], initial, initial_text).tokens
        tokens = torch.from_numpy(positions).to(temporal.device)
        ring = torch.empty(1, STREAMS, RING_POSITIONS, dtype=torch.int64)
        for position in range(VOICE_POSITIONS + 2 - RING_POSITIONS, VOICE_POSITIONS + 2):
            ring[0, :, position % RING_POSITIONS] = tokens[:, position]
        embeddings = temporal.embed(tokens[:, :VOICE_POSITIONS].T)[:, None, None]
        torch.save({"embeddings": embeddings.cpu(), "cache": ring}, folder / f"{VOICE_NAME}.pt")

    def frames(self, tokenizer: WordTokenizer, role: str) -> Tokens:
        """The whole prompt ``[17, n]`` frame by frame, as the reference steps it."""
        voiced = voice_frames(self._voice.codes)
        return np.concatenate([voiced, prompt_frames(tokenizer.encode(tagged(role)))], axis=1)


def parameters(model: torch.nn.Module) -> int:
    return sum(cast(Tensor, parameter).numel() for parameter in model.parameters())


def megabytes(model: torch.nn.Module) -> float:
    return sum(tensor.nbytes for tensor in model.state_dict().values()) / 2**20

"""A tiny recogniser with random weights, as Kyutai releases its STT, and the tiny PersonaPlex with a Mimi of
32 codebooks, whose first 8 are those of the parity cases."""

import json
import math
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import torch
from moshi.models.lm import LMGen
from moshi.models.loaders import CheckpointInfo
from safetensors.torch import (
    load_file,  # pyright: ignore[reportUnknownVariableType]  its path may be of anything
    save_file,  # pyright: ignore[reportUnknownVariableType]  as above
)
from torch import Tensor

from personaplex_ui.audio.frames import Samples
from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model
from tests.support.parity import TINY

CODEBOOKS = 32
CONTEXT = 24
"""Less than a case has frames, so that the ring wraps."""

MIMI = "tokenizer-e351c8d8-checkpoint125.safetensors"
TOKENIZER = "tokenizer_spm_32k_3.model"

LM: dict[str, Any] = {
    "card": 2048,
    "n_q": CODEBOOKS,
    "dep_q": 0,
    "delays": [0] * (1 + CODEBOOKS),
    "dim": 32,
    "text_card": 512,
    "existing_text_padding_id": 3,
    "num_heads": 4,
    "num_layers": 2,
    "hidden_scale": 4.125,
    "causal": True,
    "layer_scale": None,
    "context": CONTEXT,
    "max_period": 100000.0,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "depformer_dim": 1024,
    "depformer_num_heads": 16,
    "depformer_num_layers": 6,
    "depformer_multi_linear": True,
    "depformer_pos_emb": "none",
    "depformer_weights_per_step": True,
    "extra_heads_num_heads": 1,
    "extra_heads_dim": 6,
    "conditioners": {},
    "cross_attention": False,
}
"""The keys of the released config, in other sizes."""

CONFIG: dict[str, Any] = {
    **LM,
    "model_type": "stt",
    "mimi_name": "mimi-pytorch-e351c8d8@125.safetensors",
    "tokenizer_name": "tokenizer_en_fr_audio_8000.model",
    "lm_gen_config": {"temp": 0.0, "temp_text": 0.0, "top_k": 250, "top_k_text": 50},
    "stt_config": {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 0.0},
}


def write_personaplex(folder: Path) -> None:
    """The tiny checkpoint with 24 more codebooks."""
    for file in TINY.iterdir():
        copyfile(file, folder / file.name)
    config = json.loads((TINY / "mimi_config.json").read_text())
    config["quantizer"]["n_q"] = CODEBOOKS
    (folder / "mimi_config.json").write_text(json.dumps(config))
    tensors = load_file(TINY / MIMI)
    draw = torch.Generator().manual_seed(0)
    model = "quantizer.rvq_rest.vq.layers.{}._codebook.{}"
    for number in range(7, CODEBOOKS - 1):
        for part in ("_initialized", "cluster_usage"):
            tensors[model.format(number, part)] = tensors[model.format(6, part)].clone()
        spread = tensors[model.format(6, "embedding_sum")]
        tensors[model.format(number, "embedding_sum")] = (
            torch.randn(spread.shape, generator=draw) * spread.std()
        )
    save_file(tensors, folder / MIMI)


def write_recogniser(folder: Path, **changes: object) -> None:
    """In BF16, without a Mimi. ``changes``: of its config; the tensors stay."""
    lm = {key: value for key, value in LM.items() if key not in ("conditioners", "cross_attention")}
    draw = torch.Generator().manual_seed(1)
    tensors: dict[str, Tensor] = {}
    for name, empty in empty_language_model(lm, torch.bfloat16).state_dict().items():
        drawn = torch.randn(empty.shape, generator=draw) / math.sqrt(empty.shape[-1])
        tensors[name] = torch.ones(empty.shape).bfloat16() if "norm" in name else drawn.bfloat16()
    save_file(tensors, folder / "model.safetensors")
    copyfile(TINY / TOKENIZER, folder / str(CONFIG["tokenizer_name"]))
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))


class MoshiRecogniser:
    """What moshi itself makes of sound, one call at a time: its own loader, Mimi and ``LMGen``, greedy, fed
    as in its ``run_inference.py``."""

    def __init__(self, personaplex: Path, recogniser: Path) -> None:
        info = CheckpointInfo.from_hf_repo(
            "none",
            moshi_weights=recogniser / "model.safetensors",
            mimi_weights=personaplex / MIMI,
            mimi_config_path=personaplex / "mimi_config.json",
            tokenizer=recogniser / str(CONFIG["tokenizer_name"]),
            config_path=recogniser / "config.json",
        )
        self._mimi = info.get_mimi()
        self._lm = info.get_moshi(dtype=torch.float32)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def tokens(self, frames: Samples, silence: int = 0) -> list[int]:
        """Of ``frames`` ``[n, 1920]``, one each, after so many frames of silence, which Mimi forgets."""
        lm_gen = LMGen(self._lm, temp=0, temp_text=0)
        before = np.zeros((silence, 1920), dtype=np.float32)
        codes = [*self._codes(before), *self._codes(frames)]
        found: list[int] = []
        with lm_gen.streaming(1):
            lm_gen.step(codes[0])  # else the first frame would not be seen
            for code in codes:
                stepped = lm_gen.step(code)
                assert stepped is not None
                found.append(int(stepped[0, 0, 0]))
        return found[silence:]

    def _codes(self, frames: Samples) -> list[Tensor]:
        with self._mimi.streaming(1):
            return [self._mimi.encode(torch.from_numpy(frame)[None, None]) for frame in frames]

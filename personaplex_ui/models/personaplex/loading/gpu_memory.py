"""What a model and its calls take: bytes of GPU memory, and bytes that one frame reads. From ``config.json``
alone.
"""

from dataclasses import dataclass

import torch
from moshi.models.lm import LMModel

from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model, state_bytes
from personaplex_ui.models.personaplex.loading.checkpoint_files import Config
from personaplex_ui.models.personaplex.loading.int8 import quantize_layers
from personaplex_ui.models.personaplex.loading.model_sizes import language_model_sizes
from personaplex_ui.models.personaplex.loading.offload import device_bytes

CODEC_BYTES = 335_000_000
"""Mimi in float32: 79.3 million parameters, and 4.2 million numbers of the codebooks that are used."""

CODEC_READ_BYTES = 317_000_000
"""Its parameters, all of which a frame reads."""

CODEC_CALL_BYTES = 16_600_000
"""Mimi's state of a call: 250 positions of keys and values in 8 layers of width 512, float32, of the encoder
and of the decoder, and what the convolutions remember, twice."""

POOL_BYTES = 400_000_000
"""Captured graphs, workspaces, what a chunk of a prompt computes and, without an int8 kernel, one layer's
dequantized weights (0.2 GB)."""

CONTEXT_BYTES = 500_000_000
"""CUDA's context and the kernels' code. What CUDA reports as free is without it."""

BANDWIDTH_SHARE = 0.75
"""The share of a GPU's peak bandwidth that its kernels reach."""

LAUNCHES_SEC = 1_200 * 2.2e-6
"""A frame launches some 1,200 kernels from a graph, each of which costs 2.2 us beyond what it reads."""


@dataclass(frozen=True, slots=True)
class WeightBytes:
    """``stored``: all weights. ``read``: those that a frame reads, which are all but the embeddings.
    ``offloaded``: what is on the GPU with ``CPU_OFFLOAD``."""

    stored: int
    read: int
    offloaded: int


@dataclass(frozen=True, slots=True)
class ReaderBytes:
    """Of a recogniser that reads the callers' codes: ``stored`` and ``read`` as of ``WeightBytes``, with the
    codebooks of Mimi that only it reads; ``call``: its keys and values of a call."""

    stored: int
    read: int
    call: int


@dataclass(frozen=True, slots=True)
class MemoryNeeds:
    """Bytes on the model's device: ``weights``, ``call`` per call at full window, and ``besides``."""

    weights: int
    call: int
    besides: int

    def total(self, max_calls: int) -> int:
        return self.weights + max_calls * self.call + self.besides

    def fitting(self, free: int) -> int:
        """How many calls fit into ``free`` bytes; 0 or less means none."""
        return (free - self.weights - self.besides) // self.call


@dataclass(frozen=True, slots=True)
class ModelBytes:
    """Of one model. ``key_values``: of one call at full window, in the model's dtype; ``key_values_int8``:
    with their scales."""

    plain: WeightBytes
    int8: WeightBytes
    key_values: int
    key_values_int8: int

    def with_reader(self, reader: "ReaderBytes") -> "ModelBytes":
        """Beside a recogniser of the callers' words."""

        def more(weights: WeightBytes) -> WeightBytes:
            stored, read, offloaded = weights.stored, weights.read, weights.offloaded
            return WeightBytes(stored + reader.stored, read + reader.read, offloaded + reader.stored)

        key_values, key_values_int8 = self.key_values + reader.call, self.key_values_int8 + reader.call
        return ModelBytes(more(self.plain), more(self.int8), key_values, key_values_int8)

    def needs(
        self,
        quantize: bool = False,
        kv_int8: bool = False,
        persona_cache_bytes: int = 0,
        cpu_offload: bool = False,
    ) -> MemoryNeeds:
        """Besides the calls' own rows there is one more, for the prompt in preparation."""
        weights = self.int8 if quantize else self.plain
        call = (self.key_values_int8 if kv_int8 else self.key_values) + CODEC_CALL_BYTES
        besides = CODEC_BYTES + POOL_BYTES + persona_cache_bytes + call
        return MemoryNeeds(weights.offloaded if cpu_offload else weights.stored, call, besides)

    def frame_sec(self, bandwidth: float, calls: int, quantize: bool = False, kv_int8: bool = False) -> float:
        """A frame of ``calls`` calls at full window, computed; ``bandwidth``: peak bytes a second."""
        weights = (self.int8 if quantize else self.plain).read + CODEC_READ_BYTES
        key_values = self.key_values_int8 if kv_int8 else self.key_values
        return (weights + calls * key_values) / (BANDWIDTH_SHARE * bandwidth) + LAUNCHES_SEC


def model_bytes(config: Config, dtype: torch.dtype) -> ModelBytes:
    """Raises CheckpointUnusable: ``config`` cannot be used."""
    sizes = language_model_sizes(config)
    model = empty_language_model(sizes.moshi_arguments(), dtype)
    plain = _weight_bytes(model)
    quantize_layers(model)
    numbers = sizes.key_value_bytes(torch.int8)
    scales = numbers // (sizes.arguments["dim"] // sizes.arguments["num_heads"]) * torch.float32.itemsize
    return ModelBytes(plain, _weight_bytes(model), sizes.key_value_bytes(dtype), numbers + scales)


def _weight_bytes(model: LMModel) -> WeightBytes:
    read = sum(tensor.nbytes for name, tensor in model.state_dict().items() if "emb" not in name)
    return WeightBytes(state_bytes(model), read, device_bytes(model))

"""Mimi's way from a frame to its codes and from codes to a frame, over the weights of ``MimiModel``."""

from typing import Any

import torch
from moshi.models.compression import MimiModel
from moshi.quantization.vq import SplitResidualVectorQuantizer
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.runtime.mimi.convolutions import Convolution, Upsampling
from personaplex_ui.models.personaplex.runtime.mimi.quantizer import Quantizer
from personaplex_ui.models.personaplex.runtime.mimi.seanet import Chain
from personaplex_ui.models.personaplex.runtime.mimi.state import DECODER, ENCODER, Arena, StreamState
from personaplex_ui.models.personaplex.runtime.mimi.transformer import RingTransformer
from personaplex_ui.models.personaplex.runtime.mimi.unsupported import unsupported
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS


class MimiLoop:
    """Knows weights and no calls: their state is passed in.

    Its convolutions have copies of ``mimi``'s weights, in another order; it does not keep ``mimi`` itself.
    ``steps``: the transformers' positions in a frame. ``packed``: copies of its weights, none until
    it is told how many rows a batch may have.
    """

    def __init__(self, mimi: MimiModel, codebooks: int = CODEBOOKS, heard: int = 0) -> None:
        """Speaks with ``codebooks``, and hears with ``heard``, if these are more.

        Raises CheckpointUnusable if ``mimi`` is of a kind that is not supported.
        """
        _check(mimi)
        module: Any = mimi
        self.device: torch.device = next(mimi.parameters()).device
        self._arena = Arena()
        self.packed = packed = PackedWeights()
        resamples = hasattr(module, "downsample")
        self._encoder = Chain(list(module.encoder.model), self._arena, packed)
        self._downsample = Convolution(module.downsample.conv, self._arena, packed) if resamples else None
        self._upsample = Upsampling(module.upsample.convtr, self._arena) if resamples else None
        self._decoder = Chain(list(module.decoder.model), self._arena, packed)
        self.steps = 1 if self._upsample is None else self._upsample.steps
        self._encoder_transformer = RingTransformer(
            module.encoder_transformer, self.steps, self.device, packed
        )
        self._decoder_transformer = RingTransformer(
            module.decoder_transformer, self.steps, self.device, packed
        )
        self._quantizer = Quantizer(module.quantizer, codebooks, packed, heard)

    def hear(self, codebooks: int) -> None:
        """Encode with so many codebooks from now on, no more than at first. No tick may be captured."""
        self._quantizer.heard = codebooks

    def new_state(self, rows: int) -> StreamState:
        rings = self._encoder_transformer.ring, self._decoder_transformer.ring
        return StreamState(self._arena, rings, rows, self.steps, self.device)

    def encode(self, sound: Tensor, state: StreamState) -> Tensor:
        """Frames ``[n, 1920]`` of the first n rows to codes int64 ``[n, heard]``. ``state`` has yet to keep
        them."""
        memory = state.memory(ENCODER, len(sound))
        x = self._encoder(sound[:, :, None], memory)
        x = self._encoder_transformer(x, memory)
        if self._downsample is not None:
            x, _ = self._downsample(x, None, memory)
        return self._quantizer.encode(x.flatten(1))

    def decode(self, codes: Tensor, state: StreamState) -> Tensor:
        """Codes ``[n, codebooks]`` of the first n rows to frames ``[n, 1920]``. ``state`` has yet to keep
        them."""
        memory = state.memory(DECODER, len(codes))
        latent = self._quantizer.decode(codes)
        x = latent[:, None] if self._upsample is None else self._upsample(latent, memory)
        x = self._decoder_transformer(x, memory)
        return self._decoder(x, memory).flatten(1)


def _check(mimi: Any) -> None:
    if hasattr(mimi, "downsample") and mimi.resample_method != "conv":
        raise unsupported(f"the resampling {mimi.resample_method}")
    if mimi.channels != 1:
        raise unsupported(f"{mimi.channels} channels of sound")
    for name in ("encoder_transformer", "decoder_transformer"):
        transformer = getattr(mimi, name)
        if transformer is None or not transformer.conv_layout or len(transformer.output_projs) != 1:
            raise unsupported("no transformers, or transformers of other layouts")
    if not isinstance(mimi.quantizer, SplitResidualVectorQuantizer):
        raise unsupported(f"the quantizer {type(mimi.quantizer).__name__}")

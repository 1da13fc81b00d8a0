"""Mimi as moshi itself streams it, one call at a time, and Mimis of any size with random weights."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import torch
from moshi.models import loaders
from moshi.models.compression import MimiModel
from moshi.models.loaders import get_mimi  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, SILENCE_CODES

REAL_CONFIG = cast(dict[str, Any], cast(Any, loaders)._mimi_config)
"""The sizes of the released Mimi."""

REAL_SIZES: Mapping[str, Mapping[str, Any]] = {}


class MoshiCall:
    """What moshi's streaming Mimi makes of one call, after the prompt's last silence."""

    def __init__(self, mimi: MimiModel, begin: bool = True) -> None:
        self._mimi = mimi
        with mimi.streaming(1):
            self._state = mimi.get_streaming_state()
        if begin:
            self.decode(torch.from_numpy(SILENCE_CODES))

    def encode(self, frame: Tensor) -> Tensor:
        """``[1920]`` -> ``[8]``."""
        return self._run(lambda: self._mimi.encode(frame[None, None]))[0, :, 0]

    def decode(self, codes: Tensor) -> Tensor:
        """``[8]`` -> ``[1920]``."""
        return self._run(lambda: self._mimi.decode(codes[None, :, None]))[0, 0]

    def _run(self, action: Any) -> Tensor:
        self._mimi.set_streaming_state(self._state)
        try:
            with torch.no_grad():
                return action()
        finally:
            self._mimi._stop_streaming()  # pyright: ignore[reportPrivateUsage]


def random_mimi(changes: Mapping[str, Mapping[str, Any]] = REAL_SIZES) -> MimiModel:
    """A Mimi of ``REAL_CONFIG``, changed in some sections, whose random codebooks all matter."""
    config = deepcopy(REAL_CONFIG)
    for section, values in changes.items():
        config[section].update(values)
    torch.manual_seed(0)
    mimi = get_mimi(None, config, num_codebooks=CODEBOOKS).eval().requires_grad_(False)
    for name, buffer in mimi.named_buffers():
        if name.endswith("embedding_sum"):
            buffer.normal_(std=0.05)
    for name, parameter in mimi.named_parameters():
        if "layer_scale" in name:  # as they are, the transformers would hardly matter
            parameter.uniform_(-0.5, 0.5)
    return mimi

"""Loads a checkpoint: the parts of the language model that inference uses, Mimi, and the text tokenizer.

Depends on moshi's classes and the released tensor names, not on the hub or callers. Modules are built without
memory (on torch's meta device), then every tensor is read once, directly to its device and dtype.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel
from moshi.models.loaders import (
    get_mimi,  # pyright: ignore[reportUnknownVariableType]  its mimi_config is a dict of anything
)
from sentencepiece import SentencePieceProcessor
from torch import Tensor
from torch.nn import Module
from torch.overrides import TorchFunctionMode

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    HF_REPO,
    CheckpointFiles,
    CheckpointUnusable,
    Config,
    Report,
    human_size,
    listed,
)
from personaplex_ui.models.personaplex.loading.int8 import quantize_layers, read_quantized
from personaplex_ui.models.personaplex.loading.model_sizes import language_model_sizes
from personaplex_ui.models.personaplex.loading.offload import ON_HOST, move_layers_to_host
from personaplex_ui.models.personaplex.loading.safetensors_file import SafetensorsFile
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS

log = logging.getLogger(__name__)

_Model = TypeVar("_Model", bound=Module)


def load_language_model(
    files: CheckpointFiles,
    device: torch.device,
    dtype: torch.dtype,
    report: Report,
    cpu_offload: bool = False,
    quantize: bool = False,
) -> LMModel:
    """The model with the assistant's 8 depth steps, ready for inference. ``cpu_offload``: its temporal layers
    stay in host memory and are never all on ``device``. ``quantize``: see ``int8``.

    Raises:
        CheckpointUnusable: the file is not a PersonaPlex model, or there is no room for it.
    """
    sizes = language_model_sizes(files.config)
    model = empty_language_model(sizes.moshi_arguments(), dtype)
    with SafetensorsFile(files.weights) as file:
        sources = _sources(model, file, sizes.released_depth_steps)
        quantized = quantize_layers(model) if quantize else {}
        total = state_bytes(model)
        state: dict[str, Tensor] = {}
        read, told = 0, -1.0
        try:
            for name, source in sources.items():
                if read / total - told >= 0.05:
                    told = read / total
                    report(f"Loading the model: {read / 1e6:,.0f} of {total / 1e6:,.0f} MB.", told)
                place = torch.device("cpu") if cpu_offload and name.startswith(ON_HOST) else device
                if name in quantized:
                    scale = name.removesuffix("weight") + "scale"
                    rows_of = partial(_rows_of, file, source, place)
                    state[name], state[scale] = read_quantized(rows_of, quantized[name], place, dtype)
                    read += state[name].nbytes + state[scale].nbytes
                else:
                    state[name] = file.read(source.name, place, dtype, source.first_row, source.rows)
                    read += state[name].nbytes
        except torch.OutOfMemoryError as error:
            raise CheckpointUnusable(
                f"The memory of {device} was full after {human_size(read)} of {human_size(total)} of "
                "weights. Stop other programs that use it, or use a larger GPU."
            ) from error
    report(f"Loading the model: {total / 1e6:,.0f} of {total / 1e6:,.0f} MB.", 1.0)
    model.load_state_dict(state, assign=True)
    loaded = for_inference(model)
    if cpu_offload:
        del state  # it holds a second reference to the weights of all layers
        move_layers_to_host(loaded, device)
    return loaded


def _rows_of(file: SafetensorsFile, source: "_Source", place: torch.device, first: int, count: int) -> Tensor:
    return file.read(source.name, place, torch.float32, source.first_row + first, count)


def load_codec(files: CheckpointFiles, device: torch.device) -> MimiModel:
    """Mimi in float32 with the 8 codebooks that PersonaPlex uses.

    Raises:
        CheckpointUnusable: its file or its config cannot be used.
    """
    try:
        mimi = empty_codec(files.mimi_config)
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError, RuntimeError) as error:
        raise CheckpointUnusable(
            "The config of Mimi, which mimi_config_name names, cannot be used. Fetch it again, or remove "
            "mimi_config_name from config.json if Mimi is the usual one."
        ) from error
    if (mimi.sample_rate, mimi.frame_size) != (SAMPLE_RATE_HZ, FRAME_SAMPLES):
        raise CheckpointUnusable(
            f"Mimi's config gives frames of {mimi.frame_size} samples at {mimi.sample_rate:g} Hz, but "
            f"PersonaPlex speaks in frames of {FRAME_SAMPLES} at {SAMPLE_RATE_HZ}. Correct {HF_REPO}."
        )
    with SafetensorsFile(files.mimi) as file:
        state = {name: file.read(name, device, torch.float32) for name in file.shapes}
    try:
        result = mimi.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        raise CheckpointUnusable(
            f"The tensors of {files.mimi.name} have other sizes than Mimi's config says. Fetch both again."
        ) from error
    missing, unexpected = cast(list[str], result.missing_keys), cast(list[str], result.unexpected_keys)
    check_names(files.mimi.name, "Mimi codec", missing, unexpected, len(state))
    return for_inference(mimi)


def load_tokenizer(files: CheckpointFiles) -> SentencePieceProcessor:
    """The text tokenizer.

    Raises:
        CheckpointUnusable: its file cannot be read, or is that of another model.
    """
    return read_tokenizer(files.tokenizer, language_model_sizes(files.config).text_card)


def read_tokenizer(path: Path, known: int) -> SentencePieceProcessor:
    """The one of the file ``path``, for a model that knows ``known`` text tokens. Raises as
    ``load_tokenizer``."""
    name = path.name
    try:
        tokenizer = SentencePieceProcessor(model_file=str(path))
        pieces: int = tokenizer.get_piece_size()
    except (RuntimeError, OSError) as error:
        raise CheckpointUnusable(
            f"{name} is not a tokenizer of SentencePiece, or it is damaged. Remove "
            f"{path.resolve()} and restart to fetch it again, or copy it again."
        ) from error
    if pieces > known:
        raise CheckpointUnusable(
            f"{name} has {pieces:,} pieces, but the model knows {known:,}: they do not belong together. "
            "Fetch both again from one repository."
        )
    return tokenizer


# Modules without memory -------------------------------------------------------------------------------------


class _Unfilled(TorchFunctionMode):
    """Skips all initial values: they are read from a file anyway, and to draw them on the meta device, torch
    would import its compiler (4 s and 130 MB)."""

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


class _UnfilledLanguageModel(LMModel):
    def _init_weights(self) -> None:
        """Does nothing; see ``_Unfilled``."""


def empty_language_model(arguments: dict[str, Any], dtype: torch.dtype) -> LMModel:
    """``LMModel(**arguments)`` on the meta device.

    Raises:
        CheckpointUnusable: the arguments contradict each other.
    """
    try:
        with torch.device("meta"), _Unfilled():
            return _UnfilledLanguageModel(device="meta", dtype=dtype, **arguments)
    except (AssertionError, ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise CheckpointUnusable("The sizes in config.json do not fit together. Fetch it again.") from error


def empty_codec(mimi_config: Config | None) -> MimiModel:
    """Mimi with the 8 codebooks that PersonaPlex uses, on the meta device. None: the usual one. What a config
    is wrong about comes as whatever moshi raises."""
    with torch.device("meta"), _Unfilled():
        return get_mimi(None, cast(Any, mimi_config), device="meta", num_codebooks=CODEBOOKS)


def state_bytes(model: Module) -> int:
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def for_inference(model: _Model) -> _Model:
    """``model``, all of whose tensors have been filled."""
    held = [*model.named_parameters(), *model.named_buffers()]
    empty = [name for name, tensor in held if tensor.is_meta]
    assert not empty, f"no file fills {empty}"
    return model.eval().requires_grad_(False)


# From the released names to moshi's -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """The source of one of the model's tensors: a whole tensor of the file, or ``rows`` of one."""

    name: str
    first_row: int = 0
    rows: int | None = None


def _sources(model: LMModel, file: SafetensorsFile, released_steps: int) -> dict[str, _Source]:
    """The place in ``file`` of each tensor of ``model``; refuses missing and misshapen ones."""
    sources: dict[str, _Source] = {}
    missing: list[str] = []
    misshapen: list[str] = []
    for name, tensor in model.state_dict().items():
        source = _source(name, tensor, file)
        sources[name] = source
        given = file.shapes.get(source.name)
        is_by_step = source.rows is not None and source.name.startswith("depformer.")
        # The reference also accepts files with only the assistant's depth steps.
        steps = (released_steps, CODEBOOKS) if is_by_step else (1,)
        shapes = [(tensor.shape[0] * count, *tensor.shape[1:]) for count in steps]
        if given is None:
            missing.append(source.name)
        elif given not in shapes:
            misshapen.append(f"{source.name} is {_by(given)} instead of {_by(shapes[0])}")
    used = {source.name for source in sources.values()}
    unexpected = [name for name in file.shapes if name not in used and not _is_dropped(name)]
    check_names(file.name, "PersonaPlex model", missing, unexpected, len(file.shapes))
    if misshapen:
        raise CheckpointUnusable(
            f"{file.name} does not fit config.json: {_some(sorted(set(misshapen)))}. "
            "Fetch both again from one repository."
        )
    return sources


def _source(name: str, tensor: Tensor, file: SafetensorsFile) -> _Source:
    """Where ``name`` of the model is in the file.

    Released files keep the projections of an attention as one tensor, the depth steps below each other.
    """
    split = re.fullmatch(r"(.*\.self_attn\.)(in|out)_projs\.(\d+)\.weight", name)
    if split is None or name in file.shapes:
        return _Source(name)
    before, way, step = split[1], split[2], int(split[3])
    whole = f"{before}out_proj.weight" if way == "out" else f"{before}in_proj_weight"
    return _Source(whole, step * tensor.shape[0], tensor.shape[0])


def _is_dropped(name: str) -> bool:
    """Whether a tensor belongs to the depth steps that predict the caller's codebooks."""
    by_step = re.fullmatch(
        r"(?:depformer_in|linears|(depformer_emb)"
        r"|depformer\.layers\.\d+\.(?:gating|self_attn\.in_projs|self_attn\.out_projs))\.(\d+)\..*",
        name,
    )
    # The next step reads the embedding of a step, so there is one fewer of them.
    return by_step is not None and int(by_step[2]) >= (CODEBOOKS - 1 if by_step[1] else CODEBOOKS)


def check_names(file: str, kind: str, missing: Iterable[str], unexpected: Iterable[str], total: int) -> None:
    """Refuses a ``file`` of ``total`` tensors that are not those of a ``kind``."""
    missing, unexpected = sorted(set(missing)), sorted(unexpected)
    if len(unexpected) > total // 2:
        raise CheckpointUnusable(
            f"{file} is not a {kind}: it contains {_some(unexpected)}. Correct {HF_REPO}."
        )
    if missing:
        raise CheckpointUnusable(
            f"{file} lacks {len(missing)} tensors of a {kind}: {_some(missing)}. "
            f"Fetch it again, or correct {HF_REPO}."
        )
    if unexpected:  # the reference ignores them too
        log.warning("%s holds tensors that are not used: %s.", file, _some(unexpected))


def _some(names: list[str]) -> str:
    return listed(names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"])


def _by(shape: Iterable[int]) -> str:
    return " x ".join(str(size) for size in shape)

"""Small inputs on which each kernel is tried: in bfloat16, and what only Mimi has in float32.

Their shapes choose the variants of the kernels that a model's shapes choose, so that what does not fit a GPU
is found at once.
"""

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.trial import Sample

HEADS, HEAD_DIM, WINDOW = 2, 128, 300
PINNED = 40


def _drawn(device: torch.device, *shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(device, dtype)


def _numbers(device: torch.device, *shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-127, 128, shape, generator=draw, dtype=torch.int8).to(device)


def _norm(device: torch.device) -> tuple[object, ...]:
    return _drawn(device, 3, 1, 1024), _drawn(device, 1024, dtype=torch.float32), 1e-8


def _add_norm(device: torch.device) -> tuple[object, ...]:
    x, alpha, eps = _norm(device)
    return x, _drawn(device, 3, 1, 1024), alpha, eps


def _gate(device: torch.device) -> tuple[object, ...]:
    return (_drawn(device, 3, 1, 2 * 1408),)


def _linear(rows: int, outputs: int) -> Sample:
    def sample(device: torch.device) -> tuple[object, ...]:
        scale = _drawn(device, outputs).abs() / 100
        return _drawn(device, rows, 1, 512), _numbers(device, outputs, 512), scale

    return sample


def _heads(outputs: int) -> Sample:
    def sample(device: torch.device) -> tuple[object, ...]:
        return _drawn(device, 3, 512), _drawn(device, outputs, 512)

    return sample


def _rings(device: torch.device, rows: int, packed: bool) -> tuple[Tensor | None, ...]:
    shape = (rows, HEADS, WINDOW, HEAD_DIM)
    if not packed:
        return _drawn(device, *shape), _drawn(device, *shape).neg(), None, None
    scales = _drawn(device, *shape[:3], dtype=torch.float32).abs() / 100
    return _numbers(device, *shape), _numbers(device, *shape).neg(), scales, scales.clone()


def _places(device: torch.device, t: int) -> Tensor:
    """Two rows: one that has filled some of its places, and one that has wrapped."""
    return torch.tensor([[70], [411]], device=device) + torch.arange(t, device=device)


def _rope(packed: bool) -> Sample:
    def sample(device: torch.device) -> tuple[object, ...]:
        angles = _drawn(device, 2, 1, HEAD_DIM // 2, dtype=torch.float32)
        turns = (angles.cos(), angles.sin(), angles.sin(), angles.cos())
        qkv = _drawn(device, 2, 1, 3, HEADS, HEAD_DIM)
        return qkv, *turns, *_rings(device, 2, packed), _places(device, 1) % WINDOW

    return sample


def _attention(packed: bool, t: int, pinned: bool) -> Sample:
    def sample(device: torch.device) -> tuple[object, ...]:
        q = _drawn(device, 2, HEADS, t, HEAD_DIM)
        other = q.flip(-1) if pinned else None
        first = torch.tensor([0, PINNED], device=device)
        return q, other, *_rings(device, 2, packed), _places(device, t), first

    return sample


def _step(device: torch.device) -> tuple[object, ...]:
    return _drawn(device, 3, 3, 16, 64), _drawn(device, 3, 2, 16, 8, 64), 5


def _windows(adds: bool, replicates: bool) -> Sample:
    """As Mimi has them: rows that lie apart in what is remembered, and float32."""

    def sample(device: torch.device) -> tuple[object, ...]:
        x, added = _drawn(device, 2, 3, 24, 64, dtype=torch.float32)
        before, after = _drawn(device, 2, 3, 700, dtype=torch.float32)[:, :, :256].unflatten(2, (4, 64))
        start = torch.tensor([[0], [2], [0]], device=device) if replicates else None
        return x, added if adds else None, before, after, start, 8, 4, 1, 0.7 if adds else None

    return sample


def _embed(adds: bool) -> Sample:
    def sample(device: torch.device) -> tuple[object, ...]:
        tables = [_drawn(device, 30 + number, 512) for number in range(3)]
        tokens = torch.tensor([[0, 29, 31], [7, 0, 30]], device=device)
        return tokens, tables, _drawn(device, 2, 512) if adds else None

    return sample


def _mimi_ring(device: torch.device) -> tuple[Tensor, Tensor]:
    keys, values = _drawn(device, 2, 2, 8, 250, 64, dtype=torch.float32)
    return keys, values


def _mimi_rope(device: torch.device) -> tuple[object, ...]:
    angles = _drawn(device, 2, 2, 32, dtype=torch.float32)
    qkv = _drawn(device, 2, 2, 3, 8, 64, dtype=torch.float32)
    turns = angles.cos(), angles.sin(), None, None
    return qkv, *turns, *_mimi_ring(device), None, None, _places(device, 2) % 250


def _mimi_attention(device: torch.device) -> tuple[object, ...]:
    q = _drawn(device, 2, 8, 2, 64, dtype=torch.float32)
    first = torch.zeros(2, dtype=torch.int64, device=device)
    return q, None, *_mimi_ring(device), None, None, _places(device, 2), first


def _add_layer_norm(device: torch.device) -> tuple[object, ...]:
    x, update = _drawn(device, 2, 3, 512, dtype=torch.float32)
    scale, weight, bias = _drawn(device, 3, 512, dtype=torch.float32)
    return x, update, scale, weight, bias, 1e-5


def _take_best(device: torch.device) -> tuple[object, ...]:
    scores, entries = _drawn(device, 3, 2048, dtype=torch.float32), _drawn(device, 2048, 256)
    codes = torch.zeros(3, 8, dtype=torch.int64, device=device)[:, 2]
    return scores, _drawn(device, 3, 512, dtype=torch.float32)[:, 256:], entries.float(), codes


def _draw(card: int) -> Sample:
    """Of logits that are all different, and with hardly any noise, so that rounding decides nothing."""

    def sample(device: torch.device) -> tuple[object, ...]:
        order = torch.randperm(card, generator=torch.Generator().manual_seed(card)) + 1
        logits = torch.stack([order, order.flip(0), order.roll(7)]).to(device, torch.float32).log()
        noise = 1 + _drawn(device, 3, 1, card, dtype=torch.float32)[:, 0].abs() / 1000
        temperature = torch.tensor([0.3, 0.8, 1.5], device=device)
        top_k = torch.tensor([1, 250, 3], device=device)
        return logits, noise, temperature, top_k, top_k == 3, 250

    return sample


SAMPLES: dict[str, tuple[Sample, ...]] = {
    "rms_norm": (_norm,),
    "add_rms_norm": (_add_norm,),
    "silu_mul": (_gate,),
    "int8_linear": tuple(_linear(rows, outputs) for rows in (3, 40) for outputs in (96, 2080)),
    "row_linear": (_heads(96), _heads(2080)),
    "embed_sum": (_embed(False), _embed(True)),
    "sample_top_k": (_draw(2048), _draw(32_000)),
    "step_attention": (_step,),
    "rope_and_store": (_rope(False), _rope(True), _mimi_rope),
    "windows": (_windows(True, False), _windows(False, True)),
    "add_layer_norm": (_add_layer_norm,),
    "take_best": (_take_best,),
    "ring_attention": (
        *(
            _attention(packed, t, pinned)
            for packed in (False, True)
            for t, pinned in ((1, True), (16, False))
        ),
        _mimi_attention,
    ),
}
"""By the name of the operator."""

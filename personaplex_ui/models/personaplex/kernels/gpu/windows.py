# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""The windows of a convolution, written out side by side: a program for some of their steps."""

import triton
import triton.language as tl
from torch import Tensor

BLOCK_CHANNELS = 128
BLOCK = 1024


@triton.jit
def _value(
    step, channel, inside, x, added, before, is_first, past, channels, ADDS: tl.constexpr,
    REPLICATES: tl.constexpr,
):  # fmt: skip
    """Of ``before`` and then ``x``, at ``step``."""
    is_new = step >= past
    if REPLICATES:
        is_new |= is_first
    at = tl.maximum(step - past, 0)[:, None] * channels + channel[None, :]
    new = tl.load(x + at, mask=inside & is_new[:, None], other=0)
    if ADDS:
        new += tl.load(added + at, mask=inside & is_new[:, None], other=0)
    old_at = step[:, None] * channels + channel[None, :]
    old = tl.load(before + old_at, mask=inside & ~is_new[:, None], other=0)
    return tl.where(is_new[:, None], new, old)


@triton.jit(do_not_specialize=["steps", "count", "kernel", "stride", "dilation", "past", "alpha"])
def _windows(
    x_ptr, added_ptr, before_ptr, after_ptr, start_ptr, out_ptr, steps, channels, count, kernel, stride,
    dilation, past, alpha, x_stride, added_stride, before_stride, after_stride, start_stride,
    BLOCK_STEPS: tl.constexpr, BLOCK_CHANNELS: tl.constexpr, ADDS: tl.constexpr, REPLICATES: tl.constexpr,
    ACTIVATES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(2).to(tl.int64)
    x, added = x_ptr + row * x_stride, added_ptr + row * added_stride
    before, after = before_ptr + row * before_stride, after_ptr + row * after_stride
    is_first = False
    if REPLICATES:
        is_first = tl.load(start_ptr + row * start_stride) == 0
    channel = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    blocks = tl.cdiv(count * kernel, BLOCK_STEPS)
    if tl.program_id(0) < blocks:
        number = tl.program_id(0) * BLOCK_STEPS + tl.arange(0, BLOCK_STEPS)
        inside = (number < count * kernel)[:, None] & (channel < channels)[None, :]
        step = number // kernel * stride + number % kernel * dilation
        seen = _value(step, channel, inside, x, added, before, is_first, past, channels, ADDS, REPLICATES)
        if ACTIVATES:
            seen = tl.where(seen > 0, seen, alpha * (tl.exp(tl.minimum(seen, 0.0)) - 1))
        at = (row * count * kernel + number)[:, None] * channels + channel[None, :]
        tl.store(out_ptr + at, seen, mask=inside)
    else:
        number = (tl.program_id(0) - blocks) * BLOCK_STEPS + tl.arange(0, BLOCK_STEPS)
        inside = (number < past)[:, None] & (channel < channels)[None, :]
        step = steps + number
        kept = _value(step, channel, inside, x, added, before, is_first, past, channels, ADDS, REPLICATES)
        tl.store(after + number[:, None] * channels + channel[None, :], kept, mask=inside)


def windows(
    x: Tensor,
    added: Tensor | None,
    before: Tensor,
    after: Tensor,
    start: Tensor | None,
    kernel: int,
    stride: int,
    dilation: int,
    alpha: float | None,
) -> Tensor:
    n, t, channels = x.shape
    count, past = t // stride, before.shape[1]
    x = _of_whole_rows(x)
    other = x if added is None else _of_whole_rows(added)
    assert before[0].is_contiguous()
    assert after[0].is_contiguous()
    first = before if start is None else start
    out = x.new_empty(n * count, kernel * channels)
    if not n * t:
        return out
    block_channels = min(BLOCK_CHANNELS, triton.next_power_of_2(channels))
    block_steps = BLOCK // block_channels
    blocks = triton.cdiv(count * kernel, block_steps) + triton.cdiv(past, block_steps)
    sizes = t, channels, count, kernel, stride, dilation, past
    _windows[(blocks, triton.cdiv(channels, block_channels), n)](
        *(x, other, before, after, first, out),
        *sizes,
        1.0 if alpha is None else float(alpha),
        *(part.stride(0) for part in (x, other, before, after, first)),
        BLOCK_STEPS=block_steps,
        BLOCK_CHANNELS=block_channels,
        ADDS=added is not None,
        REPLICATES=start is not None,
        ACTIVATES=alpha is not None,
        num_warps=4,
    )
    return out


def _of_whole_rows(x: Tensor) -> Tensor:
    """Its rows may be apart, but each is in one run."""
    return x if x[0].is_contiguous() else x.contiguous()

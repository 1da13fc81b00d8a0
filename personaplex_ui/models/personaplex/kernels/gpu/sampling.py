# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""Draws one token a row, a program each: finds the smallest candidate bit by bit, then the best of them.

What is equal to the smallest candidate is a candidate too, so there may be more of them than asked for.
"""

import triton
import triton.language as tl
from torch import Tensor

BLOCK_PART = 8192
"""Numbers looked at together once the candidates are known: with all at once, registers would be spilled."""

NUMBERS_A_WARP = 256
MOST_WARPS = 32


@triton.jit
def _order(x):
    """An int32 for each float32, in the same order."""
    bits = x.to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@triton.jit
def _smallest_of(key, wanted):
    """The ``wanted``-th largest of ``key``, from its highest bit to its lowest."""
    threshold = tl.full((), -(2**31), tl.int64)
    bit = tl.full((), 2**31, tl.int64)
    for _ in range(32):
        higher = threshold + bit
        count = tl.sum((key >= higher.to(tl.int32)).to(tl.int32), 0)
        threshold = tl.where(count >= wanted, higher, threshold)
        bit = bit // 2
    return threshold.to(tl.int32)


@triton.jit
def _sample(
    logits_ptr, noise_ptr, temperature_ptr, top_k_ptr, greedy_ptr, out_ptr, noise_stride, card, largest_k,
    BLOCK: tl.constexpr, PART: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    logits_at, noise_at = logits_ptr + row * card, noise_ptr + row * noise_stride
    temperature, greedy = tl.load(temperature_ptr + row), tl.load(greedy_ptr + row)
    every = tl.arange(0, BLOCK)
    logits = tl.load(logits_at + every, mask=every < card, other=-float("inf")).to(tl.float32)
    key = _order(tl.div_rn(logits, temperature))
    wanted = tl.minimum(tl.load(top_k_ptr + row), tl.minimum(card, largest_k)).to(tl.int32)
    smallest, largest = _smallest_of(key, wanted), tl.max(key, 0)

    best = tl.full((), -float("inf"), tl.float32)
    token = tl.full((), 0, tl.int32)
    top = tl.where(largest < 0, largest ^ 0x7FFFFFFF, largest).to(tl.float32, bitcast=True)
    for start in range(0, card, PART):
        number = start + tl.arange(0, PART)
        some = tl.load(logits_at + number, mask=number < card, other=-float("inf")).to(tl.float32)
        scaled = tl.div_rn(some, temperature)
        kept = (number < card) & (_order(scaled) >= smallest)
        noise = tl.load(noise_at + number, mask=kept, other=1)
        scores = tl.where(kept, tl.exp(scaled - top) / noise, -1.0)
        scores = tl.where(greedy, some, scores)
        highest, at = tl.max(scores, 0, return_indices=True)
        token = tl.where(highest > best, start + at, token)
        best = tl.maximum(highest, best)
    tl.store(out_ptr + row, token.to(tl.int64))


def sample_top_k(
    logits: Tensor, noise: Tensor, temperature: Tensor, top_k: Tensor, greedy: Tensor, largest_k: int
) -> Tensor:
    n, card = logits.shape
    logits = logits.contiguous()
    noise = noise if noise.stride(1) == 1 else noise.contiguous()
    out = top_k.new_empty(n)
    block = triton.next_power_of_2(card)
    if n:
        _sample[(n,)](
            logits,
            noise,
            temperature.contiguous(),
            top_k.contiguous(),
            greedy.contiguous(),
            out,
            noise.stride(0),
            card,
            largest_k,
            BLOCK=block,
            PART=min(block, BLOCK_PART),
            num_warps=min(MOST_WARPS, max(1, block // NUMBERS_A_WARP)),
        )
    return out

"""The codec against moshi's own streaming of the same Mimi: the same codes, and sound within 1e-6."""

import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch
from moshi.models.compression import MimiModel
from torch import Tensor

from benchmarks.ticks.held_tensors import held_tensors, replaced
from benchmarks.ticks.pretended_device import DEVICE, pretended_device
from benchmarks.ticks.pretended_model import pretended_mimi
from benchmarks.ticks.tick_trace import TickTrace
from personaplex_ui.models.personaplex.loading.checkpoint import load_codec
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles, CheckpointUnusable
from personaplex_ui.models.personaplex.runtime.codec import Codec
from personaplex_ui.models.personaplex.runtime.mimi.loop import MimiLoop
from tests.support.moshi_mimi import MoshiCall, random_mimi
from tests.support.parity import read_case
from tests.support.tape import Tape

SOUND_TOLERANCE = 1e-6
ROWS = 4


@pytest.fixture(scope="module")
def mimi(tiny: CheckpointFiles) -> MimiModel:
    return load_codec(tiny, torch.device("cpu"))


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def codec(mimi: MimiModel) -> Codec:
    return Codec(MimiLoop(mimi), ROWS)


def tick(codec: Codec, sound: Tensor, codes: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    heard, said = codec.encode(sound), codec.decode(codes)
    codec.keep(active)
    return heard, said


def rings(codec: Codec) -> list[Tensor]:
    """The keys and values of both transformers."""
    held = held_tensors(codec).values()
    return [tensor for tensor in held if tensor.dim() == 6 and tensor.shape[2] == ROWS]


def codes_of(seed: int, frames: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2048, (frames, 8)))


def speech(frames: int, start: int = 0) -> Tensor:
    """The caller of a case, over and over."""
    user = torch.from_numpy(read_case("past_the_context_window").user)
    return user[(torch.arange(frames) + start) % len(user)]


@dataclass
class Caller:
    """What one caller hears and says, and what moshi makes of it alone."""

    reference: MoshiCall
    sound: Tensor
    codes: Tensor
    done: int = 0
    worst: float = field(default=0.0)

    @property
    def over(self) -> bool:
        return self.done == len(self.sound)

    @property
    def next(self) -> tuple[Tensor, Tensor]:
        return self.sound[self.done], self.codes[self.done]

    def check(self, heard: Tensor, said: Tensor) -> None:
        sound, codes = self.next
        assert torch.equal(heard, self.reference.encode(sound)), f"the codes of frame {self.done}"
        assert (said - self.reference.decode(codes)).abs().max() <= SOUND_TOLERANCE, f"frame {self.done}"
        self.done += 1


def new_caller(mimi: MimiModel, seed: int, frames: int) -> Caller:
    return Caller(MoshiCall(mimi), speech(frames, start=37 * seed), codes_of(seed, frames))


def test_one_caller_past_the_window_of_the_transformers(mimi: MimiModel, codec: Codec):
    caller = new_caller(mimi, 1, 140)
    codec.start_row(0)
    while not caller.over:
        sound, codes = caller.next
        heard, said = tick(codec, sound[None], codes[None], torch.tensor([True]))
        caller.check(heard[0], said[0])


def test_callers_who_join_pause_and_leave(mimi: MimiModel, codec: Codec):
    """The last row fills the hole of one who leaves. A row that pauses is given noise, which must have no
    effect; some rows pause long after their rings have wrapped."""
    choose = random.Random(4)
    waiting = [new_caller(mimi, seed, frames) for seed, frames in enumerate((135, 20, 30, 20, 140, 10))]
    rows: list[Caller] = []
    everyone = list(waiting)
    while waiting or rows:
        if waiting and len(rows) < ROWS and choose.random() < 0.2:
            codec.start_row(len(rows))
            rows.append(waiting.pop(0))
        if not rows:
            continue
        active = torch.tensor([choose.random() < 0.7 for _ in rows])
        given = [
            row.next if plays else (torch.randn(1920), torch.randint(2048, (8,)))
            for row, plays in zip(rows, active, strict=True)
        ]
        sound, codes = (torch.stack(parts) for parts in zip(*given, strict=True))
        heard, said = tick(codec, sound, codes, active)
        for number, row in enumerate(rows):
            if active[number]:
                row.check(heard[number], said[number])
        for number in reversed(range(len(rows))):
            if rows[number].over:
                codec.copy_row(len(rows) - 1, number)
                rows[number] = rows[-1]
                rows.pop()
    assert all(caller.over for caller in everyone)


@pytest.mark.parametrize("frames", [3, 130])
def test_a_pause_writes_into_the_ring_and_changes_nothing(mimi: MimiModel, codec: Codec, frames: int):
    """``frames``: before and after the transformers' rings have wrapped."""
    yes, no = torch.tensor([True]), torch.tensor([False])
    caller = new_caller(mimi, 2, frames + 3)
    codec.start_row(0)
    for _ in range(frames):
        sound, codes = caller.next
        caller.check(*(part[0] for part in tick(codec, sound[None], codes[None], yes)))
    before = [ring.clone() for ring in rings(codec)]
    assert len(before) == 2
    for seed in range(5):
        tick(codec, torch.randn(1, 1920), codes_of(seed, 1), no)
    changed = [not torch.equal(a, b) for a, b in zip(rings(codec), before, strict=True)]
    assert all(changed), "the pause has written nothing, so this test shows nothing"
    while not caller.over:
        sound, codes = caller.next
        caller.check(*(part[0] for part in tick(codec, sound[None], codes[None], yes)))


def test_the_comparison_notices_a_row_that_does_not_pause(mimi: MimiModel, codec: Codec):
    caller = new_caller(mimi, 3, 4)
    codec.start_row(0)
    tick(codec, torch.randn(1, 1920), codes_of(0, 1), torch.tensor([True]))
    sound, codes = caller.next
    heard, said = tick(codec, sound[None], codes[None], torch.tensor([True]))
    with pytest.raises(AssertionError, match="frame 0"):
        caller.check(heard[0], said[0])


def test_a_frame_that_was_not_kept_has_not_been(mimi: MimiModel, codec: Codec):
    """A tick may fail in its middle."""
    caller = new_caller(mimi, 3, 8)
    codec.start_row(0)
    while not caller.over:
        codec.encode(torch.randn(1, 1920))
        codec.decode(codes_of(caller.done, 1))
        sound, codes = caller.next
        caller.check(*(part[0] for part in tick(codec, sound[None], codes[None], torch.tensor([True]))))


def test_a_recording_is_encoded_from_its_beginning_and_disturbs_nobody(mimi: MimiModel, codec: Codec):
    caller, alone = new_caller(mimi, 5, 30), MoshiCall(mimi, begin=False)
    recording = speech(30, start=11)
    codec.start_row(0)
    for frame, codes_of_frame in zip(recording, codec.encode_recording(recording), strict=True):
        assert torch.equal(codes_of_frame, alone.encode(frame))
        sound, codes = caller.next
        caller.check(*(part[0] for part in tick(codec, sound[None], codes[None], torch.tensor([True]))))


def test_a_row_that_is_used_again_begins_anew(mimi: MimiModel, codec: Codec):
    for seed in (6, 7):
        codec.start_row(0)
        caller = new_caller(mimi, seed, 5)
        while not caller.over:
            sound, codes = caller.next
            caller.check(*(part[0] for part in tick(codec, sound[None], codes[None], torch.tensor([True]))))


def test_replayed_without_python(mimi: MimiModel, codec: Codec):
    """As a CUDA graph would: all state stays where it is, and nothing asks the host."""
    callers = [new_caller(mimi, seed, 12) for seed in (8, 9)]
    sound, codes = torch.zeros(2, 1920), torch.zeros(2, 8, dtype=torch.long)
    active, heard, said = (
        torch.zeros(2, dtype=torch.bool),
        torch.zeros(2, 8, dtype=torch.long),
        torch.zeros(2, 1920),
    )

    def frame() -> None:
        heard.copy_(codec.encode(sound))
        said.copy_(codec.decode(codes))
        codec.keep(active)

    for row in range(2):
        codec.start_row(row)
    tape = Tape.record(frame)
    held = held_tensors(codec)
    for number in range(20):
        active.copy_(torch.tensor([number % 3 != 0, number % 5 != 1]))
        for row, caller in enumerate(callers):
            if active[row] and not caller.over:
                sound[row], codes[row] = caller.next
            else:
                active[row] = False
                sound[row].normal_()
        tape.replay()
        for row, caller in enumerate(callers):
            if active[row]:
                caller.check(heard[row], said[row])
    assert all(caller.over for caller in callers)
    assert not replaced(held, held_tensors(codec))


OTHER_SIZES: dict[str, dict[str, Any]] = {
    "three steps a frame, a short window, skips that are convolved": {
        "seanet": {
            "ratios": [8, 5, 4, 4],
            "n_residual_layers": 2,
            "true_skip": False,
            "pad_mode": "replicate",
            "kernel_size": 3,
            "last_kernel_size": 1,
        },
        "transformer": {"num_layers": 1, "context": 11, "layer_scale": None, "max_period": 300},
    },
    "no resampling, projections, two semantic codebooks": {
        "seanet": {"ratios": [8, 8, 6, 5], "activation_params": {"alpha": 0.7}},
        "transformer": {"num_layers": 3, "d_model": 64, "context": 7, "norm": "layer_norm_f32"},
        "quantizer": {"n_q_semantic": 2},
    },
}
SMALL: dict[str, dict[str, Any]] = {
    "seanet": {"n_filters": 4, "dimension": 32},
    "transformer": {
        "d_model": 32,
        "num_heads": 4,
        "dim_feedforward": 48,
        "input_dimension": 32,
        "output_dimensions": [32],
    },
    "quantizer": {"n_q": 9, "dimension": 8, "input_dimension": 32, "output_dimension": 32},
}


def assert_same(mimi: MimiModel, frames: int) -> None:
    codec, callers = Codec(MimiLoop(mimi), 2), [new_caller(mimi, seed, frames) for seed in range(2)]
    for row in range(2):
        codec.start_row(row)
    while not callers[0].over:
        sound, codes = (torch.stack(parts) for parts in zip(*(c.next for c in callers), strict=True))
        heard, said = tick(codec, sound, codes, torch.tensor([True, True]))
        for row, caller in enumerate(callers):
            caller.check(heard[row], said[row])


@pytest.mark.parametrize("name", OTHER_SIZES)
def test_a_mimi_of_other_sizes(name: str):
    changes = {section: SMALL[section] | OTHER_SIZES[name].get(section, {}) for section in SMALL}
    assert_same(random_mimi(changes), frames=20)


def test_a_mimi_of_the_real_sizes():
    assert_same(random_mimi(), frames=3)


@pytest.mark.parametrize(
    ("section", "changes", "what"),
    [
        pytest.param(
            "seanet",
            {"norm": "weight_norm"},
            "norm weight_norm",
            marks=pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning"),
        ),
        ("seanet", {"activation": "ReLU", "activation_params": {}}, "a ReLU"),
        ("transformer", {"gating": "silu"}, "a gating"),
        ("transformer", {"norm": "rms_norm"}, "the norm RMSNorm"),
        ("transformer", {"positional_embedding": "sin"}, "the positions sin"),
        ("transformer", {"positional_embedding": "rope_concat"}, "the positions rope_concat"),
        ("transformer", {"causal": False}, "an attention without limit"),
        ("transformer", {"context": None}, "an attention without limit"),
        ("transformer", {"kv_repeat": 2}, "keys that heads share"),
        ("transformer", {"num_layers": 0}, "without layers"),
    ],
)
def test_what_cannot_be_streamed_is_refused_in_words(section: str, changes: dict[str, Any], what: str):
    mimi = random_mimi(SMALL | {section: SMALL[section] | changes})
    with pytest.raises(CheckpointUnusable, match=f"asks for .*{what}.*, which cannot be streamed"):
        MimiLoop(mimi)


def test_pauses_do_not_depend_on_the_order_of_the_rows(codec: Codec):
    """All rows but the active one are as they were, whichever it is."""
    for row in range(ROWS):
        codec.start_row(row)
    everyone = torch.ones(ROWS, dtype=torch.bool)
    tick(codec, torch.randn(ROWS, 1920), codes_of(1, ROWS), everyone)
    for row in range(ROWS):
        before = [tensor.clone() for tensor in codec.state_tensors()]
        tick(codec, torch.randn(ROWS, 1920), codes_of(row, ROWS), torch.arange(ROWS) == row)
        for tensor, was in zip(codec.state_tensors(), before, strict=True):
            same = (tensor == was).all(1)
            assert same.tolist() == [other != row for other in range(ROWS)]


@pytest.mark.parametrize("n", [1, 4])
def test_how_many_operators_a_frame_launches(n: int):
    """At the real sizes, on a pretended GPU. moshi's own streaming launches some 1,440."""
    with pretended_device():
        codec, trace = Codec(MimiLoop(pretended_mimi()), 4), TickTrace()
        sound = torch.zeros(n, 1920, device=DEVICE)
        codes = torch.zeros(n, 8, dtype=torch.long, device=DEVICE)
        active = torch.ones(n, dtype=torch.bool, device=DEVICE)
        codec.encode(sound)  # views are made at the first frame
        with trace, trace.captured():
            with trace.part("encode"):
                codec.encode(sound)
            with trace.part("decode"):
                codec.decode(codes)
            with trace.part("pauses"):
                codec.keep(active)
    assert not trace.findings
    counts = {part: operators.total() for part, operators in trace.operators.items()}
    assert counts["encode"] <= 125, trace.operators["encode"]
    assert counts["decode"] <= 111, trace.operators["decode"]
    assert counts["pauses"] == 2, trace.operators["pauses"]


def test_the_weights_are_kept_once():
    """moshi's modules and the codebooks that nobody uses can go."""
    mimi = random_mimi(SMALL)
    encoder = ref(mimi.encoder)
    loop = MimiLoop(mimi)
    del mimi
    gc.collect()
    assert encoder() is None
    assert loop.new_state(1).tensors()

"""The tape replays what was recorded on the same memory, and refuses what a CUDA graph would refuse."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import dropout, embedding, scaled_dot_product_attention

from benchmarks.ticks.capturable import NotCapturable, why_not_capturable
from tests.support.tape import Tape


def test_a_replay_reads_and_writes_the_memory_that_was_recorded() -> None:
    heard, said = torch.zeros(3), torch.zeros(3)
    state = torch.arange(3.0)

    def tick() -> None:
        state.add_(heard)
        said.copy_(state * 2 + torch.cat([state[1:], state[:1]]))

    tape = Tape.record(tick)
    for number in (1.0, 2.0):
        heard.fill_(number)
        tape.replay()
    assert state.tolist() == [3.0, 4.0, 5.0]
    assert said.tolist() == [10.0, 13.0, 13.0]
    assert tape.replays == 2


def test_recording_leaves_no_trace_in_memory_that_was_there() -> None:
    state, views = torch.arange(6.0).view(2, 3), torch.zeros(4, dtype=torch.int64)

    def tick() -> None:
        state[1].add_(1.0)
        state.t()[0, 0] = 9.0
        views.scatter_(0, torch.zeros_like(views), 7)
        torch.add(state, 1.0, out=state)
        seen.append(1)

    seen: list[int] = []
    tape = Tape.record(tick)
    assert state.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert views.tolist() == [0, 0, 0, 0]
    tape.replay()
    assert state.tolist() == [[10.0, 2.0, 3.0], [5.0, 6.0, 7.0]]
    assert views.tolist() == [7, 0, 0, 0]
    assert seen == [1], "the tick's Python ran at the replay"


def test_what_fails_leaves_no_trace_either() -> None:
    state = torch.zeros(2)

    def tick() -> None:
        state.add_(1.0)
        state.sum().item()

    with pytest.raises(NotCapturable):
        Tape.record(tick)
    assert state.tolist() == [0.0, 0.0]


def test_python_numbers_are_frozen() -> None:
    count, total = [1], torch.zeros(1)
    tape = Tape.record(lambda: total.add_(count[0]))
    count[0] = 5
    tape.replay()
    tape.replay()
    assert total.tolist() == [2.0]


def test_a_state_that_is_reassigned_is_not_seen_by_a_replay() -> None:
    """So a tick that replaces its state fails wherever its replays are compared with its runs."""

    class Counter:
        state = torch.zeros(1)

        def tick(self) -> None:
            self.state = self.state + 1

    counter = Counter()
    first = counter.state
    tape = Tape.record(counter.tick)
    for _ in range(3):
        tape.replay()
    assert first.tolist() == [0.0]
    assert counter.state.tolist() == [1.0]


def test_memory_nobody_filled_holds_rubbish_at_a_replay() -> None:
    said, tokens = torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64)

    def tick() -> None:
        scratch = torch.empty(2, 2)
        scratch[0] = 1.0
        said.copy_(scratch)
        tokens.copy_(torch.empty_like(tokens))

    Tape.record(tick).replay()
    assert said[0].tolist() == [1.0, 1.0]
    assert said[1].isnan().all()
    assert tokens.tolist() == [2**63 - 1] * 2


def test_several_results_views_and_results_in_place_keep_their_places() -> None:
    logits, best, ranks, halves = torch.zeros(2, 5), torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 5)

    def tick() -> None:
        values, numbers = torch.topk(logits, 2, dim=-1)
        best.copy_(values)
        ranks.copy_(numbers)
        first, second = (logits / 2).unsqueeze(0).chunk(2, dim=1)
        first.mul_(10)
        halves.copy_(torch.cat([second, first], dim=1)[0])

    tape = Tape.record(tick)
    logits.copy_(torch.tensor([[1.0, 9.0, 3.0, 8.0, 0.0], [5.0, 4.0, 6.0, 0.0, 2.0]]))
    tape.replay()
    assert best.tolist() == [[9.0, 8.0], [6.0, 5.0]]
    assert ranks.tolist() == [[1.0, 3.0], [2.0, 0.0]]
    assert halves[0].tolist() == [2.5, 2.0, 3.0, 0.0, 1.0]
    assert halves[1].tolist() == [5.0, 45.0, 15.0, 40.0, 0.0]


def test_attention_lookups_and_masks_may_be_recorded() -> None:
    x, said = torch.randn(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    table, number = torch.randn(7, 4), torch.tensor([3])

    def tick() -> None:
        seen = scaled_dot_product_attention(x, x, x, x.new_ones(3, 3, dtype=torch.bool).tril())
        row = embedding(number, table)
        said.copy_(torch.where(seen > 0, seen, row).masked_fill(seen > 1, 0.0))
        said[:, number % 2] = 0.5

    tape = Tape.record(tick)
    x.normal_()
    number.fill_(6)
    tape.replay()
    replayed = said.clone()
    tick()
    assert torch.equal(replayed, said)


STATE = torch.arange(4.0)
MASK = STATE > 1
REFUSED: dict[str, Callable[[], object]] = {
    "item": lambda: STATE[0].item(),
    "a condition": lambda: 1 if STATE[0] > 0 else 2,
    "int": lambda: int(STATE[2]),
    "a list": STATE.tolist,
    "numpy": STATE.numpy,
    "numpy's own way": lambda: np.asarray(cast(Any, STATE)),
    "to the host": STATE.cpu,
    "equal": lambda: torch.equal(STATE, STATE),
    "close": lambda: torch.allclose(STATE, STATE),
    "nonzero": lambda: torch.nonzero(STATE),
    "where with one argument": lambda: torch.where(MASK),
    "unique": lambda: cast(Any, torch).unique(STATE),
    "masked_select": lambda: torch.masked_select(STATE, MASK),
    "bincount": lambda: torch.bincount(STATE.long()),
    "repeat_interleave": lambda: torch.repeat_interleave(STATE.long()),
    "read by a mask": lambda: STATE[MASK],
    "written by a mask": lambda: STATE.__setitem__(MASK, 0.0),
    "exponential": lambda: torch.empty(2).exponential_(),
    "randn": lambda: torch.randn(2),
    "multinomial": lambda: torch.multinomial(STATE, 1),
    "dropout": lambda: dropout(STATE, 0.5, training=True),
    "attention with dropout": lambda: scaled_dot_product_attention(
        torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4), dropout_p=0.5
    ),
    "tensor": lambda: torch.tensor([1.0, 2.0]),
    "as_tensor": lambda: torch.as_tensor([1.0]),
    "from_numpy": lambda: torch.from_numpy(np.zeros(2)),
    "indexed by a list": lambda: STATE[[0, 2]],
    "other memory": lambda: STATE.set_(torch.zeros(4).untyped_storage()),
    "another size": lambda: STATE.resize_(8),
    "to another device": lambda: STATE.to("meta"),
    "made there, used here": lambda: STATE.copy_(torch.zeros(4, device="meta")),
}


@pytest.mark.parametrize("tick", REFUSED.values(), ids=REFUSED)
def test_what_a_cuda_graph_cannot_hold_is_refused(tick: Callable[[], object]) -> None:
    with pytest.raises(NotCapturable):
        Tape.record(tick)
    assert torch.equal(STATE, torch.arange(4.0))


def test_the_reason_names_the_operator() -> None:
    aten = torch.ops.aten
    assert why_not_capturable(aten.add.Tensor, (STATE, 1.0), {}) == ""
    assert "nonzero: a data-dependent shape" in why_not_capturable(aten.nonzero.default, (STATE,), {})
    assert "exponential_: random" in why_not_capturable(aten.exponential_.default, (STATE,), {})
    assert "index with a boolean mask" in why_not_capturable(aten.index.Tensor, (STATE, [MASK]), {})


def test_an_operator_that_changes_one_tensor_and_makes_another() -> None:
    """As the kernel that stores keys and values does."""

    @torch.library.custom_op("tape_test::push", mutates_args=("state",))
    def push(state: Tensor, by: float) -> Tensor:
        state.add_(by)
        return state * 10

    state, said = torch.zeros(2), torch.zeros(2)
    tape = Tape.record(lambda: said.copy_(push(state, 1.0)))
    assert state.tolist() == [0.0, 0.0]
    tape.replay()
    tape.replay()
    assert state.tolist() == [2.0, 2.0]
    assert said.tolist() == [20.0, 20.0]

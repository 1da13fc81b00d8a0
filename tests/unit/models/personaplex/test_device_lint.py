"""The device lint finds what would keep a tick from being a CUDA graph; each control breaks one rule."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.random_weights import SIZES
from benchmarks.ticks.blocks.operators import RECOGNISER
from benchmarks.ticks.capturable import NotCapturable
from benchmarks.ticks.device_lint import lint
from benchmarks.ticks.held_tensors import held_tensors, replaced
from benchmarks.ticks.pretended_device import DEVICE, pretended_device
from benchmarks.ticks.pretended_tick import CAPTIONS, PARTS, PretendedTick
from benchmarks.ticks.tick_trace import TickTrace
from personaplex_ui.models.personaplex.captions.sizes import stt_sizes
from tests.support.parity import TINY

MOST_OPERATORS = 1_600
MOST_FOR_CAPTIONS = 250
ROWS = 3


# The app's own tick -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"int8": True, "int8_cache": True, "riding": True}],
    ids=["bfloat16", "int8 with a prompt that rides along"],
)
def test_the_tick_of_the_7b_can_be_a_cuda_graph(options: dict[str, Any]) -> None:
    with pretended_device():
        found = lint(PretendedTick(SIZES["7b"], 4, **options))
    counts = {part: found.trace.operators[part].total() for part in (*PARTS, "rest")}
    print(f"{found.trace.launches:,} operators a tick: {counts}")
    assert found.troubles(MOST_OPERATORS) == []
    assert all(counts.values()), "a part of the stepper is no longer called by the name that is counted"


def test_the_tick_with_captions_can_be_a_cuda_graph() -> None:
    """165 operators for the recogniser and 48 for the codebooks that only it reads."""
    with pretended_device():
        plain = lint(PretendedTick(SIZES["7b"], 4, int8=True)).trace
        found = lint(PretendedTick(SIZES["7b"], 4, int8=True, captions=stt_sizes(RECOGNISER)))
    assert found.troubles(plain.launches + MOST_FOR_CAPTIONS) == []
    assert found.trace.operators[CAPTIONS].total() > 100


def small_model(callers: int) -> PretendedTick:
    mimi_config = json.loads((TINY / "mimi_config.json").read_text())
    return PretendedTick(SIZES["tiny"], callers, mimi_config=mimi_config)


def test_more_callers_launch_no_more_operators() -> None:
    with pretended_device():
        two, four = (small_model(callers).traced_step() for callers in (2, 4))
    assert two.launches == four.launches


def wait_in_the_tick(stepper: Any) -> None:
    stepper._positions[0].item()


def replace_a_state(stepper: Any) -> None:
    stepper._read = stepper._read.clone()


def tell_the_length(stepper: Any) -> None:
    stepper._positions.fill_(stepper._lengths[0])


def bring_the_tokens_early(stepper: Any) -> None:
    stepper._read.cpu()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (wait_in_the_tick, "the host waits for a value"),
        (replace_a_state, "_read is another tensor after a tick"),
        (tell_the_length, "called otherwise in the next tick: fill_("),
        (bring_the_tokens_early, "3 host copies instead of 2"),
    ],
)
def test_a_fault_in_the_tick_is_found(fault: Callable[[Any], None], says: str) -> None:
    with pretended_device():
        tick = small_model(2)
        stepper: Any = tick.stepper
        run = stepper.graphs.run

        def faulty(shape: object) -> None:
            run(shape)
            fault(stepper)

        stepper.graphs.run = faulty
        found = lint(tick).troubles(MOST_OPERATORS)
    assert any(says in trouble for trouble in found), found


# Each rule by itself ----------------------------------------------------------------------------------------


class SmallStepper:
    """One copy in, a captured part that changes a state in place, and one copy out."""

    def __init__(self, fault: Callable[["SmallStepper"], object]) -> None:
        self.fault = fault
        self.ticks = 0
        self.host_in, self.host_out = torch.zeros(ROWS, 4), torch.zeros(ROWS, 4)
        self.heard, self.said = torch.zeros(ROWS, 4, device=DEVICE), torch.zeros(ROWS, 4, device=DEVICE)
        self.state = {"sum": torch.zeros(ROWS, 4, device=DEVICE)}

    def captured(self) -> None:
        self.state["sum"].add_(self.heard)
        self.fault(self)
        self.said.copy_(self.state["sum"] * 2)


class SmallTick:
    def __init__(self, fault: Callable[[SmallStepper], object] = lambda stepper: None) -> None:
        self.stepper = SmallStepper(fault)

    def step(self, trace: TickTrace | None = None) -> None:
        stepper = self.stepper
        stepper.ticks += 1
        stepper.host_in.fill_(stepper.ticks)
        stepper.heard.copy_(stepper.host_in)
        with (trace or TickTrace()).captured():
            stepper.captured()
        stepper.host_out.copy_(stepper.said)

    def traced_step(self) -> TickTrace:
        trace = TickTrace()
        with trace:
            self.step(trace)
        return trace


def troubles(fault: Callable[[SmallStepper], object]) -> list[str]:
    with pretended_device():
        return lint(SmallTick(fault)).troubles(most_operators=5)


def test_a_tick_that_keeps_the_rules_has_no_troubles() -> None:
    with pretended_device():
        found = lint(SmallTick())
    assert found.troubles(3) == []
    assert found.trace.launches == 3
    assert found.trace.operators["rest"] == {"add_": 1, "mul": 1, "copy_": 1}
    assert len(found.trace.host_copies) == 2


def reassign(stepper: SmallStepper) -> None:
    stepper.state["sum"] = stepper.state["sum"] + 1


def keep_something_new(stepper: SmallStepper) -> None:
    stepper.state[f"tick {stepper.ticks}"] = torch.zeros(1, device=DEVICE)


def grow(stepper: SmallStepper) -> None:
    torch.zeros(stepper.ticks, device=DEVICE)


def more_each_time(stepper: SmallStepper) -> None:
    for _ in range(stepper.ticks):
        stepper.said.zero_()


FAULTS: dict[str, tuple[Callable[[SmallStepper], object], str]] = {
    "item": (lambda stepper: stepper.said[0, 0].item(), "the host waits for a value"),
    "condition": (lambda stepper: 1 if stepper.said[0, 0] > 0 else 2, "the host waits for a value"),
    "copy to the host": (lambda stepper: stepper.said.cpu(), "3 host copies instead of 2"),
    "copy from the host": (lambda stepper: stepper.said.copy_(stepper.host_in), "a copy between devices"),
    "Python numbers": (lambda stepper: torch.tensor([1.0], device=DEVICE), "a tensor made of Python numbers"),
    "a list as index": (lambda stepper: stepper.said[[0, 2]], "a tensor made of Python numbers"),
    "mask as index": (lambda stepper: stepper.said.__setitem__(stepper.said > 0, stepper.said[0]), "mask"),
    "random": (lambda stepper: stepper.said.exponential_(), "random numbers"),
    "reassigned": (reassign, "state[sum] is another tensor after a tick"),
    "new": (keep_something_new, "state[tick 2] is another tensor after a tick"),
    "other shapes": (grow, "1 operators are called otherwise in the next tick: zeros(1, device"),
    "another number": (lambda stepper: stepper.said.add_(stepper.ticks), "from 0, 1), then add_("),
    "another place": (lambda stepper: stepper.said[stepper.ticks].zero_(), "from 4), then zero_([4]"),
    "other operators": (more_each_time, "4 operators, then 5"),
    "many operators": (lambda stepper: [stepper.said.neg() for _ in range(9)], "12 operators; at most 5"),
}


@pytest.mark.parametrize(("fault", "says"), FAULTS.values(), ids=FAULTS)
def test_a_tick_that_breaks_a_rule_is_found(fault: Callable[[SmallStepper], object], says: str) -> None:
    found = troubles(fault)
    assert any(says in trouble for trouble in found), found


def test_a_finding_names_the_line_that_asked() -> None:
    [found] = [one for one in troubles(FAULTS["random"][0]) if "random" in one]
    assert found.startswith("test_device_lint.py:")


def test_an_unknown_shape_ends_the_tick_and_says_so() -> None:
    with pytest.raises(NotCapturable, match=r"test_device_lint.py:\d+: index with a boolean mask"):
        troubles(lambda stepper: stepper.said[stepper.said > 0])


def test_tensors_are_found_wherever_they_are_held() -> None:
    class Slotted:
        __slots__ = ("inner",)

        def __init__(self, inner: Tensor) -> None:
            self.inner = inner

    class Holder(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.many: list[Any] = [torch.zeros(1), {"a": (torch.zeros(1),)}, Slotted(torch.zeros(1))]
            self.itself = self
            self.call = self.forward

    holder = Holder()
    found = held_tensors(holder)
    assert set(found) == {
        "_parameters[weight]",
        "_parameters[bias]",
        "many[0]",
        "many[1][a][0]",
        "many[2].inner",
    }
    assert replaced(found, held_tensors(holder)) == []
    holder.many[2].inner = holder.many[2].inner.clone()
    assert replaced(found, held_tensors(holder)) == ["many[2].inner"]


def test_the_pretended_device_has_shapes_and_the_host_has_numbers() -> None:
    with pretended_device():
        x = torch.ones(2, 40, 8, device=DEVICE)
        assert x[:, None, 1:3].shape == (2, 1, 2, 8)
        assert x[..., 0].shape == (2, 40)
        assert x[torch.zeros(5, dtype=torch.long, device=DEVICE), 1].shape == (5, 8)
        assert x[[0, 1, 1]].shape == (3, 40, 8)
        x[0, 3:5] = 2.0
        x[:, 2] = x[:, 3]
        mask = torch.zeros(40, 40, dtype=torch.bool, device=DEVICE)
        q = x[:, None]
        assert scaled_dot_product_attention(q, q, q, ~mask).shape == q.shape
        assert x.cpu().numpy().sum() == 0.0
        host = torch.ones(3, pin_memory=True)
        assert host.sum().item() == 3.0
        assert torch.Generator(DEVICE).manual_seed(1).device.type == "cpu"
        assert x.exponential_(generator=torch.Generator(DEVICE)).is_cuda
    with pytest.raises(IndexError), pretended_device():
        torch.ones(2, device=DEVICE)[0, 0]


def test_parts_and_the_outside_are_counted_apart() -> None:
    trace = TickTrace()
    with pretended_device():
        x = torch.zeros(4, device=DEVICE)
        with trace:
            x.neg()
            with trace.captured():
                x.abs()
                with trace.part("one"):
                    x.exp()
                    with trace.part("two"):
                        x.view(2, 2).exp().add_(1)
                    x.sin()
    assert {part: dict(names) for part, names in trace.operators.items()} == {
        "rest": {"abs": 1},
        "one": {"exp": 1, "sin": 1},
        "two": {"exp": 1, "add_": 1},
    }
    assert trace.outside == {"neg": 1}
    assert trace.launches == 5

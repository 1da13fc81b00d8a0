import pytest

from personaplex_ui.engine.slot_pool import SlotPool
from personaplex_ui.errors import NoFreeSlot


def ask(slots: SlotPool, changes: list[str] | None = None, name: str = ""):
    return slots.request(lambda: changes.append(name) if changes is not None else None)


def test_lines_are_given_in_order_and_numbered():
    slots = SlotPool(2, 5)
    first, second, third = (ask(slots) for _ in range(3))
    assert (first.slot, second.slot, third.slot) == (0, 1, None)
    assert (first.place, third.place, third.waiting) == (0, 1, 1)
    assert slots.free == 0


def test_a_freed_line_goes_to_who_waited_longest_and_everyone_behind_is_told():
    slots, told = SlotPool(1, 5), list[str]()
    holder = ask(slots)
    waiting = [ask(slots, told, name) for name in "abc"]
    assert told == ["a", "a", "b"]
    told.clear()
    slots.release(holder)
    assert [request.slot for request in waiting] == [0, None, None]
    assert [request.place for request in waiting] == [0, 1, 2]
    assert told == ["a", "b", "c"]


def test_leaving_the_queue_moves_those_behind_and_all_are_told_how_many_wait():
    slots, told = SlotPool(1, 5), list[str]()
    ask(slots)
    waiting = [ask(slots, told, name) for name in "abc"]
    told.clear()
    slots.release(waiting[1])
    assert [request.place for request in waiting] == [1, 0, 2]
    assert told == ["a", "c"]


def test_releasing_twice_gives_the_line_to_one_caller_only():
    slots = SlotPool(1, 5)
    holder, a, b = (ask(slots) for _ in range(3))
    slots.release(holder)
    slots.release(holder)
    assert (a.slot, b.slot) == (0, None)
    slots.release(a)
    slots.release(b)
    assert slots.free == 1


def test_a_full_queue_refuses_with_words():
    slots = SlotPool(1, 1)
    ask(slots)
    ask(slots)
    with pytest.raises(NoFreeSlot, match="try again"):
        ask(slots)
    assert slots.waiting == 1

import pytest

from personaplex_ui.engine.slot_pool import SlotPool
from personaplex_ui.errors import LinesBusy


def ask(lines: SlotPool, changes: list[str] | None = None, name: str = ""):
    return lines.ask(lambda: changes.append(name) if changes is not None else None)


def test_lines_are_given_in_order_and_numbered():
    lines = SlotPool(2, 5)
    first, second, third = (ask(lines) for _ in range(3))
    assert (first.line, second.line, third.line) == (0, 1, None)
    assert (first.place, third.place, third.waiting) == (0, 1, 1)
    assert lines.free == 0


def test_a_freed_line_goes_to_who_waited_longest_and_everyone_behind_is_told():
    lines, told = SlotPool(1, 5), list[str]()
    holder = ask(lines)
    waiting = [ask(lines, told, name) for name in "abc"]
    assert told == ["a", "a", "b"]
    told.clear()
    lines.release(holder)
    assert [ticket.line for ticket in waiting] == [0, None, None]
    assert [ticket.place for ticket in waiting] == [0, 1, 2]
    assert told == ["a", "b", "c"]


def test_leaving_the_queue_moves_those_behind_and_all_are_told_how_many_wait():
    lines, told = SlotPool(1, 5), list[str]()
    ask(lines)
    waiting = [ask(lines, told, name) for name in "abc"]
    told.clear()
    lines.release(waiting[1])
    assert [ticket.place for ticket in waiting] == [1, 0, 2]
    assert told == ["a", "c"]


def test_releasing_twice_gives_the_line_to_one_caller_only():
    lines = SlotPool(1, 5)
    holder, a, b = (ask(lines) for _ in range(3))
    lines.release(holder)
    lines.release(holder)
    assert (a.line, b.line) == (0, None)
    lines.release(a)
    lines.release(b)
    assert lines.free == 1


def test_a_full_queue_refuses_with_words():
    lines = SlotPool(1, 1)
    ask(lines)
    ask(lines)
    with pytest.raises(LinesBusy, match="try again"):
        ask(lines)
    assert lines.waiting == 1

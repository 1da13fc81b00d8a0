import pytest

from personaplex_ui.engine.slot_pool import SlotPool
from personaplex_ui.errors import NoFreeSlot


def ask(pool: SlotPool, changes: list[str] | None = None, name: str = ""):
    return pool.request(lambda: changes.append(name) if changes is not None else None)


def test_slots_are_given_in_order_and_numbered():
    pool = SlotPool(2, 5)
    first, second, third = (ask(pool) for _ in range(3))
    assert (first.slot, second.slot, third.slot) == (0, 1, None)
    assert (first.place, third.place, third.waiting) == (0, 1, 1)
    assert pool.free == 0


def test_a_freed_slot_goes_to_who_waited_longest_and_everyone_behind_is_told():
    pool, told = SlotPool(1, 5), list[str]()
    holder = ask(pool)
    waiting = [ask(pool, told, name) for name in "abc"]
    assert told == ["a", "a", "b"]
    told.clear()
    pool.release(holder)
    assert [request.slot for request in waiting] == [0, None, None]
    assert [request.place for request in waiting] == [0, 1, 2]
    assert told == ["a", "b", "c"]


def test_leaving_the_queue_moves_those_behind_and_all_are_told_how_many_wait():
    pool, told = SlotPool(1, 5), list[str]()
    ask(pool)
    waiting = [ask(pool, told, name) for name in "abc"]
    told.clear()
    pool.release(waiting[1])
    assert [request.place for request in waiting] == [1, 0, 2]
    assert told == ["a", "c"]


def test_releasing_twice_gives_the_slot_to_one_caller_only():
    pool = SlotPool(1, 5)
    holder, a, b = (ask(pool) for _ in range(3))
    pool.release(holder)
    pool.release(holder)
    assert (a.slot, b.slot) == (0, None)
    pool.release(a)
    pool.release(b)
    assert pool.free == 1


def test_a_full_queue_refuses_with_words():
    pool = SlotPool(1, 1)
    ask(pool)
    ask(pool)
    with pytest.raises(NoFreeSlot, match="try again"):
        ask(pool)
    assert pool.waiting == 1


def test_new_slots_go_to_those_who_wait_in_their_order():
    pool, told = SlotPool(1, 5), list[str]()
    ask(pool)
    waiting = [ask(pool, told, name) for name in "abc"]
    told.clear()
    pool.resize(3)
    assert [request.slot for request in waiting] == [1, 2, None]
    assert [request.place for request in waiting] == [0, 0, 1]
    assert told == ["a", "b", "c"]
    assert (pool.capacity, pool.free, pool.waiting) == (3, 0, 1)
    pool.resize(5)
    assert (waiting[2].slot, pool.free) == (3, 1)


def test_free_slots_that_are_no_more_are_given_to_nobody():
    pool = SlotPool(4, 5)
    holder = ask(pool)
    pool.resize(2)
    assert (pool.free, ask(pool).slot, ask(pool).slot) == (1, 1, None)
    pool.release(holder)
    assert pool.free == 0  # who waited has it


def test_a_taken_slot_that_is_no_more_vanishes_when_it_is_released():
    pool, told = SlotPool(3, 5), list[str]()
    holders = [ask(pool) for _ in range(3)]
    pool.resize(1)
    waiting = [ask(pool, told, name) for name in "ab"]
    told.clear()
    pool.release(holders[2])
    pool.release(holders[1])
    assert ([request.slot for request in waiting], told, pool.taken) == ([None, None], [], 1)
    pool.release(holders[0])
    assert ([request.slot for request in waiting], told) == ([0, None], ["a", "b"])


def test_slots_that_vanished_come_back_when_there_is_room_again():
    pool = SlotPool(2, 5)
    holders = [ask(pool) for _ in range(2)]
    pool.resize(1)
    pool.resize(2)
    pool.release(holders[1])
    assert (pool.free, ask(pool).slot) == (1, 1)

from dataclasses import dataclass

from personaplex_ui.engine.preparation_queue import PreparationQueue


@dataclass
class Chunks:
    can_ride: bool
    in_prompt: bool = True


def queue_of(*can_ride: bool) -> PreparationQueue:
    queue = PreparationQueue()
    for slot, rides in enumerate(can_ride):
        queue.put(slot, Chunks(rides))
    return queue


def test_first_come_first_served_and_a_chunk_costs_no_place():
    queue = queue_of(True, True)
    assert queue.first_rider() == 0
    queue.tick(0)
    assert queue.first_rider() == 0
    queue.remove(0)
    assert queue.first_rider() == 1
    queue.put(0, Chunks(True))
    assert [slot for slot, _ in queue] == [1, 0]


def test_one_that_cannot_ride_lets_others_and_keeps_its_place():
    queue = PreparationQueue()
    first = Chunks(False)
    queue.put(0, first)
    queue.put(1, Chunks(True))
    assert queue.first_rider() == 1
    first.can_ride = True
    assert queue.first_rider() == 0


def test_it_is_empty_once_all_are_removed():
    queue = queue_of(False)
    queue.remove(0)
    queue.remove(0)
    assert (len(queue), list(queue), queue.first_rider(), queue.makes_way(0)) == (0, [], None, False)


def test_who_makes_way_got_less_than_every_other_tick():
    queue = queue_of(True, True, False)
    for _ in range(4):
        queue.tick(0)
    assert [queue.makes_way(slot) for slot in range(3)] == [False, True, True]
    for _ in range(4):
        queue.serve(2)
    assert not queue.makes_way(2)
    queue.tick(None)
    assert queue.makes_way(2)

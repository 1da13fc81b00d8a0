"""Places: first come, first served, and so many wait."""

import asyncio

import pytest

from personaplex_ui.channels.rest import places as module
from personaplex_ui.channels.rest.places import Places
from personaplex_ui.errors import EngineUnavailable, NoFreeSlot


async def test_they_are_taken_in_order():
    places = Places(at_once=1, most_waiting=2)
    first, second, third = (places.enter() for _ in range(3))
    await first.taken()
    assert [first.number, second.number, third.number] == [0, 1, 2]
    with pytest.raises(NoFreeSlot, match="1 requests are worked on and 2 wait"):
        places.enter()
    waits = asyncio.create_task(third.taken())
    first.leave()
    first.leave()
    await second.taken()
    assert (places.working, places.waiting, third.number) == (1, 1, 1)
    second.leave()
    await waits
    third.leave()
    assert (places.working, places.waiting) == (0, 0)


async def test_who_goes_while_waiting_leaves_the_place_to_the_next():
    places = Places(at_once=1, most_waiting=2)
    first, second, third = (places.enter() for _ in range(3))
    waits = asyncio.create_task(second.taken())
    await asyncio.sleep(0)
    waits.cancel()
    second.leave()
    first.leave()
    await third.taken()
    assert places.working == 1


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "WAITS_AT_MOST_SEC", 0.01)
    places = Places(at_once=1, most_waiting=1)
    places.enter()
    second = places.enter()
    with pytest.raises(EngineUnavailable, match="in vain"):
        await second.taken()
    second.leave()
    assert places.waiting == 0

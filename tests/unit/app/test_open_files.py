"""How many files this process may have open."""

import resource
from collections.abc import Generator

import pytest

from personaplex_ui.app import open_files
from personaplex_ui.app.open_files import (
    KEPT_FREE,
    MOST_CONNECTIONS,
    MOST_OPEN_FILES,
    most_connections,
    most_requests,
    raise_limit,
)

LOW = 512


@pytest.fixture
def hard() -> Generator[int]:
    """The hard limit, while the soft one is low."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (LOW, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_the_hard_one_within_bounds(hard: int):
    allowed = raise_limit()
    assert allowed == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert allowed == (MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES))


def test_a_limit_that_the_system_does_not_let_us_raise_stays(hard: int, monkeypatch: pytest.MonkeyPatch):
    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    with monkeypatch.context() as patched:
        patched.setattr(resource, "setrlimit", refuse)
        assert raise_limit() == LOW


def test_a_limit_that_is_high_enough_is_left_alone(hard: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(open_files, "MOST_OPEN_FILES", LOW // 2)
    assert raise_limit() == LOW


@pytest.mark.parametrize("allowed", [64, 256, 512, 1_024, 4_096, 65_536])
def test_connections_leave_room_for_calls_and_requests_for_health(allowed: int):
    assert most_connections(allowed) <= min(MOST_CONNECTIONS, max(allowed - KEPT_FREE, allowed // 2))
    assert 0 < most_requests(allowed) < most_connections(allowed) < allowed

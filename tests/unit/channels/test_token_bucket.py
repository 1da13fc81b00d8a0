"""How much sound a client may send in which time."""

import pytest

from personaplex_ui.channels.token_bucket import BURST_SEC, MOST_DROPPED_SEC, TokenBucket

CHUNK_SEC = 0.02


def send(intake: TokenBucket, speed: float, chunks: int, start: float = 0.0) -> int:
    """Send chunks of 20 ms at ``speed`` times real time; returns how many were allowed."""
    return sum(intake.allow(start + n * CHUNK_SEC / speed, CHUNK_SEC) for n in range(chunks))


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.05, 1.4])
def test_a_live_client_is_heard_whole(speed: float) -> None:
    intake = TokenBucket()
    assert send(intake, speed, 3000) == 3000
    assert intake.dropped_sec == 0.0
    assert not intake.too_fast


def test_a_burst_after_a_stall_is_heard() -> None:
    intake = TokenBucket()
    send(intake, 1.0, 500)
    assert all(intake.allow(12.0, CHUNK_SEC) for _ in range(99))


def test_a_longer_burst_is_cut_and_counted() -> None:
    intake = TokenBucket()
    allowed = sum(intake.allow(0.0, CHUNK_SEC) for _ in range(150))
    assert allowed * CHUNK_SEC == pytest.approx(BURST_SEC, abs=1.5 * CHUNK_SEC)
    assert intake.dropped_sec == pytest.approx(1.0, abs=1.5 * CHUNK_SEC)
    assert intake.allow(1.0, CHUNK_SEC)
    assert not intake.too_fast


def test_ten_times_real_time_is_cut_down_and_then_too_fast() -> None:
    intake = TokenBucket()
    allowed = send(intake, 10.0, 1000)
    assert allowed * CHUNK_SEC == pytest.approx(BURST_SEC + 1.5 * 2.0, abs=2 * CHUNK_SEC)
    assert not intake.too_fast
    send(intake, 10.0, 1000, start=2.0)
    assert intake.too_fast
    assert intake.dropped_sec > MOST_DROPPED_SEC


def test_one_piece_longer_than_the_burst_is_dropped() -> None:
    intake = TokenBucket()
    assert not intake.allow(0.0, 8.0)
    assert intake.dropped_sec == 8.0
    assert intake.allow(0.0, CHUNK_SEC)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    intake = TokenBucket()
    assert intake.allow(10.0, BURST_SEC)
    assert not intake.allow(5.0, CHUNK_SEC)
    assert not intake.allow(5.0, CHUNK_SEC)


def test_after_a_wait_what_was_kept_is_left_out_and_what_is_said_is_heard_whole() -> None:
    intake = TokenBucket(5.0)
    intake.excuse(60.0)
    kept = sum(intake.allow(100.0, CHUNK_SEC) for _ in range(3000))
    assert kept * CHUNK_SEC <= 0.08
    assert not intake.too_fast
    assert send(intake, 1.0, 500, start=100.0 + CHUNK_SEC) == 500


@pytest.mark.parametrize("waited_sec", [0.0, 0.5, 2.0])
def test_after_no_wait_to_speak_of_a_burst_is_heard(waited_sec: float) -> None:
    intake = TokenBucket(5.0)
    intake.excuse(waited_sec)
    assert all(intake.allow(0.0, 0.6) for _ in range(8))

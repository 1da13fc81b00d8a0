"""A visitor's minutes of a day: by cookie and by address, until midnight, over a restart."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from personaplex_ui.calls.allowance import MOST_KEYS, SHORTEST_CALL_SEC, Allowance, Visitor
from personaplex_ui.calls.allowance_table import FILE, SpentTable
from personaplex_ui.errors import MinutesUsedUp
from tests.support.clock import Clock

NOON = 20_000 * 86_400 + 43_200.0
ANN = Visitor("cookie of Ann", "203.0.113.5")


def rig(minutes: float = 10, folder: Path | None = None) -> tuple[Allowance, Clock]:
    clock = Clock(NOON)
    return Allowance(minutes * 60, clock, SpentTable(folder) if folder else None), clock


@pytest.mark.parametrize(
    ("other", "left_sec"),
    [
        (ANN, 100.0),
        (Visitor("", "203.0.113.5"), 100.0),
        (Visitor("a new cookie", "203.0.113.5"), 100.0),
        (Visitor("cookie of Ann", "198.51.100.7"), 100.0),
        (Visitor("cookie of Ann"), 100.0),
        (Visitor("cookie of Bob", "198.51.100.7"), 600.0),
        (Visitor("203.0.113.5", "cookie of Ann"), 600.0),
        (Visitor(), 600.0),
        (None, math.inf),
    ],
)
def test_a_cookie_that_is_thrown_away_brings_nothing(other: Visitor | None, left_sec: float):
    allowance, _ = rig()
    allowance.spend(ANN, 200.0)
    allowance.spend(ANN, 300.0)
    assert allowance.left_sec(other) == left_sec


def test_what_is_unknown_or_unlimited_is_not_counted():
    allowance, _ = rig(0)
    allowance.spend(ANN, 1e6)
    allowance.check(ANN)
    assert allowance.left_sec(ANN) == math.inf
    limited, _ = rig()
    limited.spend(Visitor(), 1e6)
    limited.spend(None, 1e6)
    assert limited.left_sec(Visitor()) == 600.0


def test_who_has_too_little_left_is_told_when_it_comes_back():
    allowance, clock = rig()
    allowance.spend(ANN, 600.0 - SHORTEST_CALL_SEC)
    allowance.check(ANN)
    allowance.spend(ANN, 1.0)
    with pytest.raises(MinutesUsedUp, match=r"Your 10 minutes of calls .* again in 12 hours"):
        allowance.check(ANN)
    clock.now += 11.5 * 3600
    with pytest.raises(MinutesUsedUp, match="again in 30 minutes"):
        allowance.check(ANN)
    assert allowance.again_at == clock.now + 1800
    clock.now += 1800
    allowance.check(ANN)
    assert allowance.left_sec(ANN) == 600.0


def test_a_recording_that_is_longer_than_what_is_left_is_refused():
    allowance, _ = rig()
    allowance.spend(ANN, 510.0)
    allowance.check(ANN, 90.0)
    with pytest.raises(MinutesUsedUp, match="1 minute and 30 seconds"):
        allowance.check(ANN, 91.0)


def test_what_goes_on_over_midnight_counts_for_the_new_day():
    allowance, clock = rig()
    allowance.spend(ANN, 500.0)
    clock.now += 12 * 3600
    allowance.spend(ANN, 30.0)
    assert allowance.left_sec(ANN) == 570.0


def test_not_everybody_is_remembered_for_ever():
    allowance, _ = rig()
    allowance.spend(ANN, 1.0)
    for number in range(MOST_KEYS):
        allowance.spend(Visitor(f"cookie {number}"), 1.0)
    assert allowance.left_sec(ANN) == 600.0
    assert allowance.left_sec(Visitor("cookie 0")) == 599.0


def test_a_restart_brings_no_minutes_and_the_next_day_does(tmp_path: Path):
    before, _ = rig(folder=tmp_path)
    before.spend(ANN, 400.0)
    before.save(before.used_by(ANN))
    after, clock = rig(folder=tmp_path)
    after.load()
    assert after.left_sec(ANN) == 200.0
    clock.now += 86_400
    tomorrow = Allowance(600, clock, SpentTable(tmp_path))
    tomorrow.load()
    assert tomorrow.left_sec(ANN) == 600.0
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("SELECT * FROM spent").fetchall() == []


def test_the_disk_names_nobody(tmp_path: Path):
    allowance, _ = rig(folder=tmp_path)
    allowance.spend(ANN, 400.0)
    allowance.save(allowance.used_by(ANN))
    kept = (tmp_path / FILE).read_bytes()
    assert b"Ann" not in kept
    assert b"203.0.113" not in kept


def test_a_disk_that_refuses_costs_no_call(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("in the way")
    allowance, _ = rig(folder=tmp_path / "file")
    allowance.load()
    allowance.spend(ANN, 400.0)
    allowance.save(allowance.used_by(ANN))
    assert allowance.left_sec(ANN) == 200.0
    assert len(caplog.records) == 2

"""OUTBOUND_DAILY_LIMIT holds across restarts and processes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from personaplex_ui.channels.twilio.client import DailyLimitReached, TwilioClient
from personaplex_ui.channels.twilio.daily_count import DAY_SEC, FILE, DailyCount
from personaplex_ui.errors import PhoneUnavailable
from tests.support.app_process import ROOT
from tests.support.clock import Clock
from tests.support.phone_app import phone_app
from tests.support.twilio_rest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    PHONE_NUMBER,
    TwilioRest,
    client_of,
    twilio_rest,
)

TO = "+15551234567"
URLS = ("https://example.org/answered?key=k", "https://example.org/status")
NOON = 20_000.5 * DAY_SEC


@pytest.fixture
def rest() -> Iterator[TwilioRest]:
    with twilio_rest() as rest:
        yield rest


async def test_a_restart_does_not_begin_the_day_anew(rest: TwilioRest, tmp_path: Path) -> None:
    clock = Clock(NOON)
    for left in (1, 0):  # a process for each call
        with client_of(rest) as client:
            twilio_client = TwilioClient(
                ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 2, clock), client
            )
            await twilio_client.open()
            assert twilio_client.left_today == left + 1
            await twilio_client.dial(TO, *URLS)
            assert twilio_client.left_today == left
    with client_of(rest) as client:
        twilio_client = TwilioClient(
            ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 2, clock), client
        )
        with pytest.raises(DailyLimitReached, match="2 calls a day"):
            await twilio_client.dial(TO, *URLS)
        assert len(rest.asked) == 2
        clock.now += DAY_SEC / 2
        assert twilio_client.left_today == 2
        await twilio_client.dial(TO, *URLS)


async def test_an_attempt_given_back_is_given_back_on_the_disk(rest: TwilioRest, tmp_path: Path) -> None:
    rest.refuse = (400, 21211)
    with client_of(rest) as client:
        twilio_client = TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 1), client)
        with pytest.raises(PhoneUnavailable):
            await twilio_client.dial(TO, *URLS)
    count = DailyCount(tmp_path, 1)
    count.look()
    assert count.left_today == 1


async def test_what_cannot_be_counted_is_not_dialled(rest: TwilioRest, tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with client_of(rest) as client:
        twilio_client = TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 5), client)
        await twilio_client.open()
        with pytest.raises(PhoneUnavailable, match="check that RECORDINGS_DIR can"):
            await twilio_client.dial(TO, *URLS)
    assert rest.asked == []


async def test_the_page_knows_after_a_restart(rest: TwilioRest, tmp_path: Path) -> None:
    with client_of(rest) as client:
        async with phone_app(tmp_path, client=client, daily_limit=3) as app:
            await app.desk.dial(TO, None, None, "https://example.org")
        async with phone_app(tmp_path, client=client, daily_limit=3) as app:
            await app.desk.open()
            assert app.desk.left_today == 2


def test_processes_share_the_limit(tmp_path: Path) -> None:
    taking = f"""
import sys
from pathlib import Path
from personaplex_ui.channels.twilio.daily_count import DailyCount
count = DailyCount(Path({str(tmp_path)!r}), 25, lambda: {NOON})
print(sum(count.take() is not None for _ in range(20)))
"""
    command = [sys.executable, "-c", taking]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sum(int(process.communicate(timeout=50)[0]) for process in processes) == 25
    count = DailyCount(tmp_path, 25, Clock(NOON))
    count.look()
    assert count.left_today == 0


def test_yesterday_does_not_count_and_old_days_go(tmp_path: Path) -> None:
    clock = Clock(NOON)
    count = DailyCount(tmp_path, 1, clock)
    day = count.take()
    assert day is not None
    assert count.take() is None
    clock.now += DAY_SEC
    assert count.left_today == 1
    count.give_back(day)  # an answer that came after midnight
    assert count.left_today == 1
    assert count.take() is not None
    assert count.left_today == 0

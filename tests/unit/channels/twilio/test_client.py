"""Outbound calls: the real client of Twilio against a stand-in of its REST API."""

import base64
import contextlib
import logging
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)

from personaplex_ui.channels.twilio.client import ANSWERS_WITHIN_SEC, DailyLimitReached, TwilioClient
from personaplex_ui.channels.twilio.daily_count import DAY_SEC, DailyCount
from personaplex_ui.errors import PhoneUnavailable
from tests.support.clock import Clock
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


@pytest.fixture
def clock() -> Clock:
    return Clock(20_000.5 * DAY_SEC)


@pytest.fixture
def rest() -> Iterator[TwilioRest]:
    with twilio_rest() as rest:
        yield rest


@pytest.fixture
def twilio_client(rest: TwilioRest, clock: Clock, tmp_path: Path) -> Iterator[TwilioClient]:
    with client_of(rest) as client:
        yield TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 2, clock), client)


async def test_it_asks_twilio_for_a_call(twilio_client: TwilioClient, rest: TwilioRest) -> None:
    call_sid = await twilio_client.dial(TO, *URLS)
    assert call_sid.startswith("CA")
    (asked,) = rest.asked
    assert asked.path == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    assert (
        base64.b64decode(asked.authorization.removeprefix("Basic ")).decode() == f"{ACCOUNT_SID}:{AUTH_TOKEN}"
    )
    assert asked.form["To"] == [TO]
    assert asked.form["From"] == [PHONE_NUMBER]
    assert (asked.form["Url"], asked.form["StatusCallback"]) == ([URLS[0]], [URLS[1]])
    assert asked.form["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]


async def test_it_ends_a_call(twilio_client: TwilioClient, rest: TwilioRest) -> None:
    call_sid = "CA" + "1" * 32
    assert await twilio_client.hang_up(call_sid) == "completed"
    (asked,) = rest.asked
    assert asked.path == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{call_sid}.json"
    assert asked.form == {"Status": ["completed"]}


@pytest.mark.parametrize("code", [21220, 20404])
async def test_a_call_that_is_over_needs_no_end(
    twilio_client: TwilioClient, rest: TwilioRest, code: int
) -> None:
    rest.refuse = (400, code)
    assert await twilio_client.hang_up("CA" + "1" * 32) == ""


@pytest.mark.parametrize("webhook", [None, "https://example.org/twilio/inbound"])
async def test_it_tells_the_account_and_where_its_number_leads(
    twilio_client: TwilioClient, rest: TwilioRest, webhook: str | None
) -> None:
    rest.webhook, rest.status = webhook, "suspended"
    assert await twilio_client.look() == ("suspended", webhook)
    assert "PhoneNumber=%2B15550001111" in rest.asked[-1].path
    rest.refuse = (401, 20003)
    with pytest.raises(PhoneUnavailable, match="TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"):
        await twilio_client.look()


async def test_so_many_a_day(twilio_client: TwilioClient, rest: TwilioRest, clock: Clock) -> None:
    for left in (1, 0):
        await twilio_client.dial(TO, *URLS)
        assert twilio_client.left_today == left
    with pytest.raises(DailyLimitReached, match="2 calls a day"):
        await twilio_client.dial(TO, *URLS)
    assert len(rest.asked) == 2
    clock.now += DAY_SEC / 2
    assert twilio_client.left_today == 2
    await twilio_client.dial(TO, *URLS)


async def test_a_limit_of_none_makes_no_call(rest: TwilioRest, tmp_path: Path) -> None:
    with client_of(rest) as client, pytest.raises(DailyLimitReached, match="is 0"):
        await TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 0), client).dial(
            TO, *URLS
        )
    assert rest.asked == []


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (401, 20003, "TWILIO_AUTH_TOKEN"),
        (403, 99999, "TWILIO_AUTH_TOKEN"),
        (400, 21211, "check that it is right"),
        (400, 21219, "trial account"),
        (400, 21608, "trial account"),
        (400, 21215, "Geographic permissions"),
        (400, 21210, "TWILIO_PHONE_NUMBER"),
        (429, 20429, "no more calls"),
        (400, 12345, "error 12345"),
    ],
)
async def test_a_refusal_is_a_sentence_and_costs_no_attempt(
    twilio_client: TwilioClient,
    rest: TwilioRest,
    status: int,
    code: int,
    sentence: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rest.refuse = (status, code)
    with (
        caplog.at_level(logging.DEBUG, "personaplex_ui"),
        pytest.raises(PhoneUnavailable, match=sentence) as no,
    ):
        await twilio_client.dial(TO, *URLS)
    for secret in (AUTH_TOKEN, ACCOUNT_SID, TO, TO[-7:]):
        assert secret not in str(no.value)
        assert secret not in caplog.text
    assert no.value.__cause__ is None
    assert twilio_client.left_today == 2


@pytest.mark.parametrize("trouble", ["fault", "silence", "garbage", "gone"])
async def test_an_attempt_of_which_nothing_is_known_counts(
    twilio_client: TwilioClient, rest: TwilioRest, trouble: str
) -> None:
    match trouble:
        case "fault":
            rest.refuse = (503, 20500)
        case "silence":
            rest.silent_sec = 1.0
        case "garbage":
            rest.garbage = b"<html>"
        case _:
            rest.garbage = b"[]"
    with pytest.raises(PhoneUnavailable, match="Twilio"):
        await twilio_client.dial(TO, *URLS)
    assert twilio_client.left_today == 1


async def test_an_attempt_that_never_left_is_given_back(
    twilio_client: TwilioClient, rest: TwilioRest, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and it does not listen
        rest.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with client_of(rest) as client:
            unreached = TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 1), client)
            for _ in range(3):
                with pytest.raises(PhoneUnavailable, match="could not be reached"):
                    await unreached.dial(TO, *URLS)
            assert unreached.left_today == 1
    assert rest.asked == []


@contextlib.contextmanager
def hanging_up() -> Generator[str]:
    """The URL of a server that takes a request and closes without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


async def test_an_attempt_that_was_sent_and_broke_off_counts(rest: TwilioRest, tmp_path: Path) -> None:
    with hanging_up() as rest.url, client_of(rest) as client:
        twilio_client = TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 2), client)
        with pytest.raises(PhoneUnavailable, match="could not be reached"):
            await twilio_client.dial(TO, *URLS)
        assert twilio_client.left_today == 1


TRIED: Any = None
TUNNEL = OSError("Tunnel connection failed: 502 Bad Gateway")


def failed(reason: Exception, error: type[requests.ConnectionError] = requests.ConnectionError) -> Exception:
    return error(MaxRetryError(TRIED, "/Calls.json", reason))


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (failed(NameResolutionError("api.twilio.com", TRIED, socket.gaierror(-2, "unknown"))), 2),
        (failed(ConnectTimeoutError(), requests.ConnectTimeout), 2),
        (failed(ProxyError("no proxy", ConnectTimeoutError()), requests.exceptions.ProxyError), 2),
        (failed(ProxyError("no tunnel", TUNNEL), requests.exceptions.ProxyError), 2),
        (failed(ProxyError("broken", ConnectionResetError()), requests.exceptions.ProxyError), 1),
        (failed(ReadTimeoutError(TRIED, "/", "slow")), 1),
        (requests.ConnectionError(ProtocolError("broken", ConnectionResetError())), 1),
        (requests.ReadTimeout(), 1),
        (requests.ConnectionError(), 1),
    ],
)
async def test_only_what_cannot_have_arrived_is_given_back(
    rest: TwilioRest, monkeypatch: pytest.MonkeyPatch, error: Exception, left: int, tmp_path: Path
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    with client_of(rest) as client:
        monkeypatch.setattr(client.http_client, "request", fail)
        twilio_client = TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 2), client)
        with pytest.raises(PhoneUnavailable, match="could not be reached"):
            await twilio_client.dial(TO, *URLS)
    assert twilio_client.left_today == left


async def test_its_own_client_shows_no_request_in_the_log(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    twilio_client = TwilioClient(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER, DailyCount(tmp_path, 2))
    client = twilio_client._client  # pyright: ignore[reportPrivateUsage]
    assert client.http_client.timeout == ANSWERS_WITHIN_SEC
    with caplog.at_level(logging.DEBUG):
        client.http_client.log_request({"method": "POST", "url": ACCOUNT_SID, "params": {}, "headers": {}})
    assert ACCOUNT_SID not in caplog.text

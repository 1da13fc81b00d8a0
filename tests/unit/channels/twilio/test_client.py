"""Outbound calls: the real client of Twilio against a stand-in of its REST API."""

import base64
import contextlib
import logging
import socket
import threading
from collections.abc import Generator
from typing import Any

import pytest
import requests
from twilio.rest import Client
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)

from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.client import ANSWERS_WITHIN_SEC, NobodyCalled, TwilioClient
from personaplex_ui.errors import PhoneUnavailable
from tests.support.twilio_rest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    PHONE_NUMBER,
    TwilioRest,
    client_of,
)

ACCOUNT = PhoneAccount(ACCOUNT_SID, AUTH_TOKEN, PHONE_NUMBER)
TO = "+15551234567"
URLS = ("https://example.org/answered?key=k", "https://example.org/status")
CALL_SID = "CA" + "1" * 32


@pytest.fixture
def twilio_client(client: Client) -> TwilioClient:
    return TwilioClient(ACCOUNT, client)


async def is_nobody_called(twilio_client: TwilioClient, sentence: str = "could not be reached") -> bool:
    """Dialling fails; whether it is certain that nobody was called."""
    with pytest.raises(PhoneUnavailable, match=sentence) as caught:
        await twilio_client.dial(TO, *URLS)
    assert caught.value.__cause__ is None
    assert not any(secret in str(caught.value) for secret in (AUTH_TOKEN, ACCOUNT_SID, TO, TO[-7:]))
    return isinstance(caught.value, NobodyCalled)


async def test_it_asks_twilio_for_a_call(twilio_client: TwilioClient, rest: TwilioRest) -> None:
    assert (await twilio_client.dial(TO, *URLS)).startswith("CA")
    (asked,) = rest.asked
    assert asked.path == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    keys = base64.b64decode(asked.authorization.removeprefix("Basic ")).decode()
    assert keys == f"{ACCOUNT_SID}:{AUTH_TOKEN}"
    expected = {"To": [TO], "From": [PHONE_NUMBER], "Url": [URLS[0]], "StatusCallback": [URLS[1]]}
    assert expected.items() <= asked.form.items()
    assert asked.form["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]


async def test_it_ends_a_call(twilio_client: TwilioClient, rest: TwilioRest) -> None:
    assert await twilio_client.hang_up(CALL_SID) == "completed"
    (asked,) = rest.asked
    assert asked.path == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}.json"
    assert asked.form == {"Status": ["completed"]}


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


@pytest.mark.parametrize("code", [21220, 20404])
async def test_a_call_that_is_over_needs_no_end(
    twilio_client: TwilioClient, rest: TwilioRest, code: int
) -> None:
    rest.refuse = (400, code)
    assert await twilio_client.hang_up(CALL_SID) == ""


@pytest.mark.parametrize(
    ("status", "code", "sentence", "is_certain"),
    [
        (401, 20003, "TWILIO_AUTH_TOKEN", True),
        (403, 99999, "TWILIO_AUTH_TOKEN", True),
        (400, 21211, "check that it is right", True),
        (400, 21219, "trial account", True),
        (400, 21215, "Geographic permissions", True),
        (400, 21210, "TWILIO_PHONE_NUMBER", True),
        (429, 20429, "no more calls", True),
        (400, 12345, "error 12345", True),
        (503, 20500, "a problem at the moment", False),
    ],
)
async def test_a_refusal_is_a_sentence(
    twilio_client: TwilioClient,
    rest: TwilioRest,
    status: int,
    code: int,
    sentence: str,
    is_certain: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rest.refuse = (status, code)
    with caplog.at_level(logging.DEBUG, "personaplex_ui"):
        assert await is_nobody_called(twilio_client, sentence) is is_certain
    assert not any(secret in caplog.text for secret in (AUTH_TOKEN, ACCOUNT_SID, TO, TO[-7:]))


@pytest.mark.parametrize("answer", [b"<html>", b"[]", None])
async def test_of_an_answer_that_is_not_understood_or_never_came_nothing_is_certain(
    twilio_client: TwilioClient, rest: TwilioRest, answer: bytes | None
) -> None:
    rest.garbage = answer
    rest.silent_sec = 0.0 if answer else 1.0
    assert not await is_nobody_called(twilio_client)


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


async def test_what_never_left_called_nobody_and_what_was_sent_and_broke_off_may_have(
    rest: TwilioRest,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and it does not listen
        rest.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with client_of(rest) as client:
            assert await is_nobody_called(TwilioClient(ACCOUNT, client))
    with hanging_up() as rest.url, client_of(rest) as client:
        assert not await is_nobody_called(TwilioClient(ACCOUNT, client))
    assert rest.asked == []


TRIED: Any = None
TUNNEL = OSError("Tunnel connection failed: 502 Bad Gateway")


def failed(reason: Exception, error: type[requests.ConnectionError] = requests.ConnectionError) -> Exception:
    return error(MaxRetryError(TRIED, "/Calls.json", reason))


@pytest.mark.parametrize(
    ("error", "is_certain"),
    [
        (failed(NameResolutionError("api.twilio.com", TRIED, socket.gaierror(-2, "unknown"))), True),
        (failed(ConnectTimeoutError(), requests.ConnectTimeout), True),
        (failed(ProxyError("no proxy", ConnectTimeoutError()), requests.exceptions.ProxyError), True),
        (failed(ProxyError("no tunnel", TUNNEL), requests.exceptions.ProxyError), True),
        (failed(ProxyError("broken", ConnectionResetError()), requests.exceptions.ProxyError), False),
        (failed(ReadTimeoutError(TRIED, "/", "slow")), False),
        (requests.ConnectionError(ProtocolError("broken", ConnectionResetError())), False),
        (requests.ReadTimeout(), False),
        (requests.ConnectionError(), False),
    ],
)
async def test_only_what_cannot_have_arrived_is_certain(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, is_certain: bool
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(client.http_client, "request", fail)
    assert await is_nobody_called(TwilioClient(ACCOUNT, client)) is is_certain


async def test_its_own_client_shows_no_request_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    client = TwilioClient(ACCOUNT)._client  # pyright: ignore[reportPrivateUsage]
    assert client.http_client.timeout == ANSWERS_WITHIN_SEC
    with caplog.at_level(logging.DEBUG):
        client.http_client.log_request({"method": "POST", "url": ACCOUNT_SID, "params": {}, "headers": {}})
    assert ACCOUNT_SID not in caplog.text

"""The password, or the API key, as HTTP Basic: what clients send that are told ``ws://user:password@host``."""

import base64
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from personaplex_ui.web.security.login_throttle import MOST
from personaplex_ui.web.security.refusals import NO_PASSWORD, WRONG
from tests.support.loopback_server import serving
from tests.support.protected_app import (
    API_KEY,
    PASSWORD,
    ProtectedApp,
    ask,
    basic,
    cookie,
    open_websocket,
)


def credentials(raw: bytes, scheme: str = "Basic") -> dict[bytes, bytes]:
    return {b"Authorization": scheme.encode() + b" " + base64.b64encode(raw)}


@pytest.mark.parametrize("user", ["", "visitor", "Zoë", "a b"])
@pytest.mark.parametrize("secret", [PASSWORD, API_KEY])
async def test_any_user_with_the_password_or_the_key_comes_in(user: str, secret: str):
    protected = ProtectedApp()
    for path in ("/page", "/voices", "/"):
        assert (await ask(protected, path, headers=basic(user, secret))).json() == "in: "
    accepted, _ = await open_websocket(protected.app, "/api/chat", basic(user, secret))
    assert accepted["type"] == "websocket.accept"


@pytest.mark.parametrize(
    ("password", "headers"),
    [
        *[
            (PASSWORD, credentials(f"x:{PASSWORD}".encode(), s))
            for s in ("basic", "BASIC", "bAsIc", "Basic  ")
        ],
        (PASSWORD, credentials(b"x:" + PASSWORD.encode("latin-1"))),
        (PASSWORD, {b"Authorization": b"Basic " + base64.b64encode(f"xy:{PASSWORD}".encode()).rstrip(b"=")}),
        ("a:b:c", basic("x", "a:b:c")),
        (None, {"Authorization": "Basic %%%"}),  # without a password nobody looks at it
    ],
)
async def test_it_is_understood_however_it_is_written(password: str | None, headers: Any):
    assert (await ask(ProtectedApp(password), headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("password", "user", "secret", "is_machine"),
    [
        (PASSWORD, "x", API_KEY, True),
        (PASSWORD, "x", PASSWORD, False),
        (None, "x", API_KEY, True),
        (None, API_KEY, "x", False),
    ],
)
async def test_only_the_key_has_the_keys_rights(
    password: str | None, user: str, secret: str, is_machine: bool
):
    answer = await ask(ProtectedApp(password), "/machine", headers=basic(user, secret))
    assert answer.json() is is_machine


WRONG_ONES: dict[str, Any] = {
    "wrong password": basic("x", "wrong"),
    "in the user's place": basic(PASSWORD, "x"),
    "no colon": credentials(PASSWORD.encode()),
    "no base64": {"Authorization": "Basic %%%"},
    "the key as it is": {"Authorization": f"Basic {API_KEY}"},
    "cut base64": {"Authorization": "Basic eDp5e"},
    "no UTF-8": credentials(b"x:\xff\xfe\x80"),
    "zeros": credentials(b"x:\0\0"),
    "one zero": credentials(b"x:\0"),
    "only zeros": credentials(b"\0"),
    "with a line break": credentials(f"x:{PASSWORD}\n".encode()),
    "huge": credentials(b"x:" + b"a" * 40_000),
    "two words": {"Authorization": "Basic eDp5 eDp5"},
}


@pytest.mark.parametrize("name", WRONG_ONES)
async def test_what_is_wrong_is_refused_and_counted(name: str):
    protected = ProtectedApp()
    for _ in range(MOST):
        answer = await ask(protected, headers=WRONG_ONES[name])
        assert (answer.status_code, answer.json()) == (401, {"detail": WRONG})
        # ``Basic`` among the challenges would open the browser's own window, over the page.
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await ask(protected, headers=basic("x", PASSWORD))).status_code == 429
    assert protected.seen == []


@pytest.mark.parametrize("sent", [{"Authorization": "Basic"}, {"Authorization": "Basic  "}, basic("x", "")])
async def test_who_gives_no_password_is_told_what_to_do(sent: dict[str, str]):
    protected = ProtectedApp()
    for _ in range(MOST + 1):
        answer = await ask(protected, headers=sent)
        assert (answer.status_code, answer.json()) == (401, {"detail": NO_PASSWORD})


async def test_a_header_meant_for_another_does_not_lock_out_who_is_logged_in():
    protected = ProtectedApp()
    inside = await cookie(protected)
    for _ in range(MOST + 1):
        assert (await ask(protected, headers=inside | basic("x", "for a proxy"))).status_code == 200


async def test_a_url_with_user_and_password_opens_a_websocket_and_http():
    async with (
        serving(ProtectedApp(password="open-sesame").app) as url,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        host = url.removeprefix("http://")
        async with connect(f"ws://visitor:open-sesame@{host}/api/chat", proxy=None) as websocket:
            await websocket.wait_closed()
            assert websocket.close_code == 1000
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://visitor:sesame@{host}/api/chat", proxy=None)
        assert refused.value.response.status_code == 401
        assert (await http.get(f"http://visitor:open-sesame@{host}/page")).json() == "in: "
        assert (await http.get(f"http://visitor:sesame@{host}/page")).status_code == 401

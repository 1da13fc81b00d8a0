"""The password, or the API key, as HTTP Basic: what clients send that are told ``ws://user:password@host``."""

import base64

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from personaplex_ui.web.security.auth import NO_PASSWORD, WRONG
from personaplex_ui.web.security.login_throttle import MOST
from tests.support.loopback_server import serving
from tests.support.protected_app import API_KEY, PASSWORD, ProtectedApp, ask, basic, cookie, open_websocket

HTTP_PATHS = ("/page", "/voices", "/")


def credentials(raw: bytes, scheme: str = "Basic") -> dict[bytes, bytes]:
    return {b"Authorization": scheme.encode() + b" " + base64.b64encode(raw)}


@pytest.mark.parametrize("user", ["", "visitor", "Zoë", "a b"])
@pytest.mark.parametrize("secret", [PASSWORD, API_KEY])
async def test_any_user_with_the_password_or_the_key_comes_in(user: str, secret: str):
    protected = ProtectedApp()
    for path in HTTP_PATHS:
        assert (await ask(protected, path, headers=basic(user, secret))).json() == "in: "
    accepted, _ = await open_websocket(protected.app, "/api/chat", basic(user, secret))
    assert accepted["type"] == "websocket.accept"


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc", "Basic  "])
async def test_the_scheme_is_written_in_any_way(scheme: str):
    answer = await ask(ProtectedApp(), headers=credentials(f"x:{PASSWORD}".encode(), scheme))
    assert answer.status_code == 200


async def test_a_password_may_hold_colons():
    answer = await ask(ProtectedApp(password="a:b:c"), headers=basic("x", "a:b:c"))
    assert answer.status_code == 200


async def test_a_password_in_latin_1_is_understood_too():
    answer = await ask(ProtectedApp(), headers=credentials(b"x:" + PASSWORD.encode("latin-1")))
    assert answer.status_code == 200


async def test_base64_without_its_padding_is_understood_too():
    raw = base64.b64encode(f"xy:{PASSWORD}".encode()).rstrip(b"=")
    assert (await ask(ProtectedApp(), headers={b"Authorization": b"Basic " + raw})).status_code == 200


async def test_only_the_key_has_the_keys_rights():
    protected = ProtectedApp()
    assert (await ask(protected, "/machine", headers=basic("x", API_KEY))).json() is True
    assert (await ask(protected, "/machine", headers=basic("x", PASSWORD))).json() is False
    assert (await ask(ProtectedApp(None), "/machine", headers=basic("x", API_KEY))).json() is True
    assert (await ask(ProtectedApp(None), "/machine", headers=basic(API_KEY, "x"))).json() is False


WRONG_ONES = {
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
    answer = await ask(protected, headers=basic("x", PASSWORD))
    assert answer.status_code == 429
    assert protected.seen == []


@pytest.mark.parametrize("sent", [{"Authorization": "Basic"}, {"Authorization": "Basic  "}, basic("x", "")])
async def test_who_gives_no_password_is_told_what_to_do(sent: dict[str, str]):
    protected = ProtectedApp()
    for _ in range(MOST + 1):
        answer = await ask(protected, headers=sent)
        assert (answer.status_code, answer.json()) == (401, {"detail": NO_PASSWORD})


async def test_no_browser_is_made_to_ask_for_a_name_and_a_password():
    """``Basic`` among the challenges opens the browser's own window, over the page."""
    protected = ProtectedApp()
    for headers in ({}, basic("x", "wrong"), {"Authorization": "Basic %"}):
        answer = await ask(protected, headers=headers)
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_header_meant_for_another_does_not_lock_out_who_is_logged_in():
    protected = ProtectedApp()
    inside = await cookie(protected)
    for _ in range(MOST + 1):
        assert (await ask(protected, headers=inside | basic("x", "for a proxy"))).status_code == 200


async def test_without_a_password_nobody_looks_at_it():
    answer = await ask(ProtectedApp(None, None), headers={"Authorization": "Basic %%%"})
    assert answer.status_code == 200


async def test_a_url_with_user_and_password_opens_a_websocket_and_http():
    protected = ProtectedApp(password="open-sesame")
    async with serving(protected.app) as url:
        host = url.removeprefix("http://")
        async with connect(f"ws://visitor:open-sesame@{host}/api/chat", proxy=None) as websocket:
            await websocket.wait_closed()
            assert websocket.close_code == 1000
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://visitor:sesame@{host}/api/chat", proxy=None)
        assert refused.value.response.status_code == 401
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://visitor:open-sesame@{host}/page")).json() == "in: "
            assert (await client.get(f"http://visitor:sesame@{host}/page")).status_code == 401

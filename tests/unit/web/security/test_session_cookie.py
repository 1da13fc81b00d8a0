"""The visitor's cookie and the page's HTML, behind the middleware alone."""

from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.requests import HTTPConnection
from starlette.responses import Response as Answer
from starlette.types import Receive, Scope, Send

from personaplex_ui.web.security.session_cookie import COOKIE, SessionCookieMiddleware, session_key

KEY = "A1b2_C3d4-" * 4 + "xyz"
PAGE = "<!doctype html><html><head></head><body>Grüße</body></html>"
REWRITTEN = "<!doctype html><html><head></head><body>Grüße, localhost€</body></html>"
ALWAYS = {"Path=/", "HttpOnly", "Max-Age=31536000"}
PARTITIONED = {"SameSite=None", "Secure", "Partitioned"}


def rewrite(html: bytes, connection: HTTPConnection) -> bytes:
    """Longer by a letter of three bytes, and by who asks."""
    return html.replace("Grüße".encode(), f"Grüße, {connection.headers['host']}€".encode())


async def ask(
    path: str = "/",
    method: str = "GET",
    base_url: str = "http://localhost",
    cookies: str = "",
    chunk_bytes: int = 1_000_000,
    **headers: str,
) -> Response:
    """The page's answer, which comes in chunks. ``type`` and ``status`` in ``headers`` are the page's."""
    media_type, status = headers.pop("type", "text/html; charset=utf-8"), int(headers.pop("status", "200"))

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        body = PAGE.encode()
        start = Answer(status_code=status, media_type=media_type, headers={"Set-Cookie": "theirs=1"})
        start.headers["content-length"] = str(len(body))
        await send({"type": "http.response.start", "status": status, "headers": start.raw_headers})
        for at in range(0, len(body), chunk_bytes):
            part = body[at : at + chunk_bytes]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    transport = ASGITransport(SessionCookieMiddleware(page, rewrite))
    sent = {"Accept-Encoding": "identity", "Cookie": cookies}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with AsyncClient(transport=transport, base_url=base_url) as client:
        return await client.request(method, path, headers=sent)


def given(response: Response) -> tuple[str, set[str]] | None:
    """The key that is set, and the cookie's attributes; None when no key is set."""
    theirs, *ours = response.headers.get_list("set-cookie")
    assert theirs == "theirs=1"
    if not ours:
        return None
    key, *attributes = ours[0].removeprefix(f"{COOKIE}=").split("; ")
    return key, set(attributes)


async def test_each_visitor_gets_a_key_of_their_own():
    found = [given(await ask(path)) for path in ("/", "/", "/?__theme=dark")]
    keys = {cookie[0] for cookie in found if cookie}
    assert len(keys) == 3
    assert all(session_key({COOKIE: key}) == key for key in keys)


@pytest.mark.parametrize(
    ("asked", "attributes"),
    [
        ({}, {"SameSite=Lax"}),
        ({"base_url": "https://space.example"}, PARTITIONED),
        *[({"X_Forwarded_Proto": said}, PARTITIONED) for said in ("https", "https,http", "https, https")],
    ],
)
async def test_behind_https_the_cookie_is_kept_in_a_frame_of_another_site(
    asked: dict[str, Any], attributes: set[str]
):
    cookie = given(await ask(**asked))
    assert cookie
    assert cookie[1] == ALWAYS | attributes


@pytest.mark.parametrize(
    "before", ["", "other=1; ", 'layout={"columns": [1, 2]}; ', "odd name=1; ", "alone; "]
)
async def test_who_has_a_key_keeps_it(before: str):
    assert given(await ask(cookies=f"{before}{COOKIE}={KEY}; more=2")) is None


@pytest.mark.parametrize("key", ["", "forged", f"{KEY}x", KEY[:-1], f"{KEY[:-1]}.", "../" * 14 + "x"])
async def test_a_forged_key_makes_nobody_an_owner_and_is_replaced(key: str):
    assert session_key({COOKIE: key}) == session_key({COOKIE: f"{KEY}\n"}) == session_key({}) == ""
    for cookies in (f"{COOKIE}={key}", f"not_{COOKIE}={KEY}"):
        cookie = given(await ask(cookies=cookies))
        assert cookie
        assert cookie[0] not in cookies.split("=")


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 1_000_000])
async def test_the_page_is_rewritten_for_who_asks(chunk_bytes: int):
    response = await ask(chunk_bytes=chunk_bytes, status="429")
    assert (response.status_code, response.content.decode()) == (429, REWRITTEN)
    assert response.headers["content-length"] == str(len(REWRITTEN.encode()))


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip, deflate, br", True), ("gzip;q=0.5", True), ("gzip;q=0, br", False), ("br", False), ("", False)],
)
async def test_the_page_is_compressed_for_who_can_read_it(accepted: str, zipped: bool):
    response = await ask(Accept_Encoding=accepted)
    assert response.content.decode() == REWRITTEN  # httpx unpacks it
    assert (response.headers.get("content-encoding") == "gzip") is zipped
    assert response.headers["vary"] == "Accept-Encoding"
    assert (int(response.headers["content-length"]) == len(REWRITTEN.encode())) is not zipped


@pytest.mark.parametrize(
    "asked",
    [
        *[{"path": "/config"}, {"path": "/index.html"}, {"method": "HEAD"}, {"method": "POST"}],
        *[{"type": media_type} for media_type in ("application/json", "image/svg+xml", "text/plain")],
    ],
)
async def test_everything_else_is_left_alone(asked: dict[str, Any]):
    response = await ask(**asked)
    assert response.content.decode() == ("" if asked.get("method") == "HEAD" else PAGE)  # httpx drops it
    assert response.headers["content-length"] == str(len(PAGE.encode()))
    assert "type" in asked or given(response) is None

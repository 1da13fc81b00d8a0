"""Who counts as the operator: by the link in the log or by the key, and by nothing else."""

import logging
import re
from typing import Any

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient
from starlette.types import Message, Scope

from personaplex_ui.logs.formats import JsonFormat, TextFormat
from personaplex_ui.web.operator_routes import build_operator_router
from personaplex_ui.web.security.credentials import Credentials
from personaplex_ui.web.security.operator import COOKIE, LINK_LOGGED_EVERY_SEC, VALID_SEC, OperatorAccess
from personaplex_ui.web.security.origin_check import OriginCheck
from personaplex_ui.web.security.proxy_headers import ProxyHeaders
from tests.support.clock import Clock

KEY = "a long key of the operator's"
VISITOR = "203.0.113.5"


class Rig:
    def __init__(self, api_key: str | None = None) -> None:
        self.clock = Clock()
        origins = OriginCheck(None, ())
        credentials = Credentials("a password of visitors", api_key, self.clock)
        self.access = OperatorAccess(credentials, origins, "http://localhost:7860", self.clock)
        app = FastAPI()
        app.include_router(build_operator_router(self.access, origins))

        @app.get("/am-i")
        async def am_i(request: Request) -> bool:  # pyright: ignore[reportUnusedFunction]
            return self.access.is_operator(request)

        self.app = ProxyHeaders(app, None, ["127.0.0.1"])

    def browser(self, address: str = VISITOR, **options: Any) -> AsyncClient:
        transport = ASGITransport(self.app, client=(address, 1))
        return AsyncClient(transport=transport, base_url="http://localhost:7860", **options)


async def is_operator(browser: AsyncClient, **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await browser.get("/am-i", headers=named)).json()


async def test_the_link_works_once_and_leads_to_the_page_without_the_token():
    rig = Rig()
    link = rig.access.link()
    async with rig.browser() as first, rig.browser() as second:
        answer = await first.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "./")
        assert answer.headers["referrer-policy"] == "strict-origin"
        assert answer.headers["cache-control"] == "no-store"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert f"Max-Age={VALID_SEC}" in cookie
        assert await is_operator(first)
        again = await second.get(link)
        assert again.status_code == 403
        assert "has been used" in again.text
        assert "set-cookie" not in again.headers
        assert not await is_operator(second)
    assert rig.access.link() != link


async def test_over_https_the_cookie_is_for_https_alone():
    rig = Rig()
    async with rig.browser("127.0.0.1", headers={"X-Forwarded-Proto": "https"}) as browser:
        answer = await browser.get(rig.access.link())
    assert "; SameSite=None; Secure; Partitioned" in answer.headers["set-cookie"]


async def test_a_wrong_link_is_none_and_a_right_one_is_never_shut_out():
    rig = Rig()
    link = rig.access.link()
    async with rig.browser() as browser:
        tries = [(await browser.get("/operator?token=guess")).status_code for _ in range(12)]
        assert tries == [403] * 10 + [429] * 2
        assert not await is_operator(browser)
        assert (await browser.get(link)).status_code == 303


async def test_an_old_link_is_none():
    rig = Rig()
    link = rig.access.link()
    rig.clock.now += VALID_SEC
    async with rig.browser() as browser:
        assert (await browser.get(link)).status_code == 403
        assert not await is_operator(browser)


async def test_to_look_at_the_link_does_not_use_it_up():
    rig = Rig()
    async with rig.browser() as browser:
        assert (await browser.head(rig.access.link())).status_code == 200
        assert not await is_operator(browser)
        assert (await browser.get(rig.access.link())).status_code == 303


async def test_the_cookie_ends_after_some_hours_and_when_its_owner_leaves():
    rig = Rig()
    async with rig.browser() as browser:
        await browser.get(rig.access.link())
        rig.clock.now += VALID_SEC - 1
        assert await is_operator(browser)
        rig.clock.now += 1
        assert not await is_operator(browser)
        await browser.get(rig.access.link())
        copied = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
        assert (await browser.post("/operator", data={"leave": "yes"})).status_code == 303
        assert COOKIE not in browser.cookies
        async with rig.browser(headers=copied) as other:
            assert not await is_operator(other)


@pytest.mark.parametrize("value", ["", "forged", "x" * 43, "\xe9"])
async def test_a_forged_cookie_is_none(value: str):
    rig = Rig()
    async with rig.browser() as operator, rig.browser() as browser:
        await operator.get(rig.access.link())
        forged = [(b"Cookie", f"{COOKIE}={value}".encode("latin-1"))]
        assert not (await browser.get("/am-i", headers=forged)).json()


async def test_other_sites_pages_cannot_use_the_cookie():
    rig = Rig()
    async with rig.browser() as browser:
        await browser.get(rig.access.link())
        assert await is_operator(browser, Origin="http://localhost:7860")
        assert not await is_operator(browser, Origin="https://evil.example")
        assert not await is_operator(browser, Sec_Fetch_Site="cross-site")
        foreign = await browser.post(
            "/operator", data={"leave": "yes"}, headers={"Origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
        assert await is_operator(browser)


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "127.0.0.1"}])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", VISITOR])
async def test_where_a_request_comes_from_proves_nothing(address: str, headers: dict[str, str]):
    rig = Rig()
    async with rig.browser(address, headers=headers) as browser:
        assert not await is_operator(browser)


async def test_with_a_key_the_form_asks_for_it_and_there_is_no_link(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    rig = Rig(KEY)
    rig.access.log_link()
    assert "token=" not in caplog.text
    async with rig.browser() as browser:
        assert "API_KEY" in (await browser.get("/operator")).text
        assert (await browser.get(rig.access.link())).status_code == 403
        for wrong in ("", "a guess", "a password of visitors"):
            answer = await browser.post("/operator", data={"key": wrong})
            assert (answer.status_code, "not the API_KEY" in answer.text) == (403, True)
        assert not await is_operator(browser)
        assert (await browser.post("/operator", data={"key": f" {KEY}\n"})).status_code == 303
        assert await is_operator(browser)


async def test_wrong_keys_are_throttled():
    rig = Rig(KEY)
    async with rig.browser() as browser:
        for _ in range(10):
            await browser.post("/operator", data={"key": "a guess"})
        answer = await browser.post("/operator", data={"key": KEY})
    assert answer.status_code == 429
    assert "Too many wrong" in answer.text


async def test_a_new_link_is_written_to_the_log_and_only_there(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    rig = Rig()
    rig.access.log_link()
    async with rig.browser() as browser:
        for _ in range(3):
            answer = await browser.post("/operator", data={"link": "new"})
            assert rig.access.link() not in answer.text
        assert caplog.text.count(rig.access.link()) == 1
        rig.clock.now += LINK_LOGGED_EVERY_SEC
        await browser.post("/operator", data={"link": "new"})
        assert caplog.text.count(rig.access.link()) == 2


@pytest.mark.parametrize("layout", [TextFormat(), JsonFormat()])
def test_the_log_shows_this_token_whole(layout: logging.Formatter, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    rig = Rig()
    rig.access.log_link()
    told = [layout.format(record) for record in caplog.records]
    assert re.search(re.escape(rig.access.link()), "".join(told))


async def test_the_token_is_gone_from_the_scope_that_a_server_logs():
    rig = Rig()
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/operator",
        "query_string": b"token=guess&other=1",
        "headers": [(b"host", b"localhost")],
        "client": (VISITOR, 1),
        "server": ("localhost", 80),
        "scheme": "http",
        "root_path": "",
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        assert b"token" not in scope["query_string"]

    await rig.app(scope, receive, send)
    assert scope["query_string"] == b"other=1"

"""A program without the password is refused in the handshake, so that it need not come again; browsers cannot
read that answer, and are told by a close code."""

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from personaplex_ui.web.security.login_throttle import MOST
from personaplex_ui.web.security.refusals import FOREIGN, NO_PASSWORD, WRONG
from tests.support.loopback_server import serving
from tests.support.protected_app import (
    IN_QUERY,
    ProtectedApp,
    basic,
    bearer,
    close_of,
    cookie,
    open_websocket,
    refusal_of,
)

PATHS = (
    "/api/chat",
    "/ws/chat",
    "/api",
    "/gradio_api/stream/x",
    "/telephone/handler",
    "/twilio/media-stream/",
)


@pytest.mark.parametrize("path", PATHS)
async def test_a_program_is_refused_with_401_and_a_browser_is_told_by_the_code(path: str):
    protected = ProtectedApp()
    status, sentence, headers = await refusal_of(protected, path)
    assert (status, sentence) == (401, NO_PASSWORD)
    assert (headers["www-authenticate"], headers["cache-control"]) == ("Bearer", "no-store")
    for query, shown in (
        ("password=wrong", {}),
        *[("", wrong) for wrong in (bearer("wrong"), basic("x", "wrong"), {"X-App-Password": "wrong"})],
    ):
        assert (await refusal_of(protected, path, query, **shown))[:2] == (401, WRONG)
    own = "http://localhost"
    assert await close_of(protected, path, Origin=own) == (4001, NO_PASSWORD)
    assert await close_of(protected, path, "password=wrong", Origin=own) == (4001, WRONG)
    assert await close_of(protected, path, Origin="https://evil.example") == (4003, FOREIGN)
    assert protected.seen == []


async def test_too_many_wrong_ones_are_429_and_say_when_to_come_again():
    protected = ProtectedApp()
    for _ in range(MOST):
        await refusal_of(protected, query="password=wrong")
    status, sentence, headers = await refusal_of(protected, query=IN_QUERY)
    assert (status, headers["retry-after"], "300 seconds" in sentence) == (429, "300", True)


async def test_a_cookie_that_another_site_sends_along_is_403():
    protected = ProtectedApp()
    inside = (await cookie(protected))["Cookie"]
    status, sentence, _ = await refusal_of(protected, Cookie=inside, Sec_Fetch_Site="cross-site")
    assert (status, sentence) == (403, FOREIGN)


async def test_a_server_that_cannot_answer_before_the_handshake_refuses_all_the_same():
    protected = ProtectedApp()

    async def without_extension(scope: Scope, receive: Receive, send: Send) -> None:
        del scope["extensions"]
        await protected.app(scope, receive, send)

    (closed,) = await open_websocket(without_extension, "/api/chat")
    assert closed["type"] == "websocket.close"


async def test_over_the_network_too():
    async with serving(ProtectedApp(password="open-sesame").app) as url:
        url = url.replace("http", "ws")
        for attempt in ("/api/chat", "/api/chat?password=wrong"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url + attempt, proxy=None)
            answer = refused.value.response
            assert (answer.status_code, b"password" in answer.body) == (401, True)
        for query, origin, code in (
            ("", url.replace("ws", "http"), 4001),
            ("?password=open-sesame", None, 1000),
        ):
            async with connect(f"{url}/api/chat{query}", origin=origin, proxy=None) as websocket:  # type: ignore[arg-type]
                await websocket.wait_closed()
                assert websocket.close_code == code

"""The wall before a small app: who comes in with what, what strangers get, and pages of other sites.

What the passes are and how often one may be wrong: ``test_keys.py``.
"""

from typing import Any
from urllib.parse import quote_plus

import pytest

from personaplex_ui.web.security.auth import FOREIGN, NO_PASS, WRONG
from personaplex_ui.web.security.login_throttle import MOST
from tests.support.doors import (
    API_KEY,
    IN_QUERY,
    PASSWORD,
    Walled,
    ask,
    bearer,
    close_of,
    cookie,
    open_websocket,
    refusal_of,
)


@pytest.fixture
def walled() -> Walled:
    return Walled()


# Who comes in -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_without_a_pass_every_door_is_closed(walled: Walled, method: str):
    for path in ("/page", "/docs", "/%2F", "/login/x", "/gradio_api/upload", "/twilio/outbound", "/assets"):
        answer = await ask(walled, path, method)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert method == "HEAD" or answer.json() == {"detail": NO_PASS}
    assert walled.seen == walled.let_in == []


@pytest.mark.parametrize(
    "headers",
    [
        bearer(API_KEY),
        {b"Authorization": b"bearer   " + PASSWORD.encode()},
        {b"X-App-Password": PASSWORD.encode()},
        {b"X-App-Password": PASSWORD.encode("latin-1")},
        {b"X-App-Password": PASSWORD.encode(), b"Authorization": b"Bearer hf_somebody"},
    ],
)
async def test_a_header_opens_them(walled: Walled, headers: Any):
    answer = await ask(walled, headers=headers)
    assert answer.json() == "in: "
    assert walled.let_in == walled.seen


async def test_the_query_opens_them_and_nobody_sees_it_after(walled: Walled):
    answer = await ask(walled, f"/page?voice=NATF2&{IN_QUERY}&text=a%20b+c&p%61ssword={quote_plus(PASSWORD)}")
    assert answer.json() == "in: voice=NATF2&text=a%20b+c"
    assert walled.seen[0]["query_string"] == b"voice=NATF2&text=a%20b+c"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Digest x"}, {"Authorization": "Bearer"}, {"X-App-Password": ""}]
)
async def test_who_shows_nothing_is_told_what_to_do(walled: Walled, headers: dict[str, str]):
    for _ in range(MOST + 1):
        answer = await ask(walled, "/page?password=&x", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"detail": NO_PASS})


@pytest.mark.parametrize(
    "shown",
    [
        {"headers": bearer("a-key-for-machine")},
        {"headers": bearer(PASSWORD[:-1].encode().decode("latin-1") + "x")},
        {"headers": {"X-App-Password": API_KEY}},
        {"params": {"password": API_KEY}},
        {"params": {"password": PASSWORD.lower()}},
        {"params": {"password": "\0"}},
    ],
)
async def test_who_shows_something_wrong_is_told_so(walled: Walled, shown: dict[str, Any]):
    if "headers" in shown:
        shown = {
            "headers": {name: value.encode("latin-1", "replace") for name, value in shown["headers"].items()}
        }
    answer = await ask(walled, **shown)
    assert (answer.status_code, answer.json()) == (401, {"detail": WRONG})
    assert walled.seen == []


async def test_without_a_password_all_is_open_and_the_query_is_clean():
    walled = Walled(password=None)
    answer = await ask(walled, "/page?password=meant+for+another&x=1", headers=bearer("wrong"))
    assert answer.json() == "in: x=1"
    assert await close_of(walled, query="password=x") == (1000, "Welcome.")
    assert (await ask(walled, "/health")).json()["device"] == "a GPU"
    assert (await ask(walled, "/login", "POST")).json() == "in: "
    assert walled.let_in == []


@pytest.mark.parametrize("host", ["[::1", "a b", "x" * 300, "a/b"])
async def test_a_host_that_is_none_is_refused_before_anything_else(walled: Walled, host: str):
    assert (await ask(walled, "/health", headers={"Host": host})).status_code == 400
    assert not walled.seen
    messages = await open_websocket(walled.app, "/api/chat", {"Host": host})
    assert [message["type"] for message in messages] == ["websocket.close"]


# What strangers may see ------------------------------------------------------------------------------


async def test_strangers_are_told_of_our_health_and_no_more(walled: Walled):
    answer = await ask(walled, "/health")
    assert answer.json() == {"status": "healthy"}
    assert answer.headers["content-length"] == str(len(answer.content))
    assert (await ask(walled, "/health", headers=bearer(API_KEY))).json()["device"] == "a GPU"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("GET", path) for path in ("/", "/assets/a/b.js", "/static/x.svg", "/theme.css", "/favicon.ico")],
        *[("POST", f"/twilio/{path}") for path in ("inbound", "ended", "status", "outbound/answered")],
    ],
)
async def test_these_doors_are_open(walled: Walled, method: str, path: str):
    answer = await ask(walled, path, method)
    assert answer.status_code == 200
    assert len(walled.seen) == 1
    assert walled.let_in == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[
            ("GET", path)
            for path in ("/login", "/config", "/assets", "/assets/", "/theme.css/", "/theme.css\n", "/%2F")
        ],
        *[("GET", path) for path in ("/twilio/status/CA1", "/metrics", "/x/assets/a.js")],
        *[("POST", f"/twilio/{path}") for path in ("outbound", "hangup/CA1", "inbound/", "statusx")],
    ],
)
async def test_their_neighbours_are_not(walled: Walled, method: str, path: str):
    assert (await ask(walled, path.replace("\n", "%0A"), method)).status_code == 401
    assert walled.seen == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET, HEAD"),
        ("POST", "/assets/a.js", "GET, HEAD"),
        ("DELETE", "/health", "GET, HEAD"),
        ("GET", "/twilio/inbound", "POST"),
    ],
)
async def test_they_are_not_opened_by_another_method(walled: Walled, method: str, path: str, allowed: str):
    answer = await ask(walled, path, method)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert walled.seen == []


# Websockets and pages of other sites -----------------------------------------------------------------


async def test_a_websocket_without_a_pass_is_told_in_words(walled: Walled):
    for path in ("/api/chat", "/gradio_api/stream/x", "/twilio/media-stream/"):
        assert (await refusal_of(walled, path))[:2] == (401, NO_PASS)
        assert await close_of(walled, path, Origin="http://localhost") == (4001, NO_PASS)
    assert (await refusal_of(walled, query="password=wrong"))[:2] == (401, WRONG)
    assert await close_of(walled, query="password=wrong", Origin="http://localhost") == (4001, WRONG)
    assert walled.seen == []


async def test_what_is_open_to_all_uses_up_no_guesses(walled: Walled):
    for _ in range(MOST + 1):
        assert (await ask(walled, "/assets/a.js", headers=bearer("for a proxy"))).status_code == 200
    assert (await ask(walled, headers=bearer(API_KEY))).status_code == 200


async def test_a_websocket_with_a_pass_comes_in(walled: Walled):
    inside = (await cookie(walled))["Cookie"]
    welcome = (1000, "Welcome.")
    assert await close_of(walled, query=f"voice=x&{IN_QUERY}") == welcome
    assert await close_of(walled, Authorization=f"Bearer {API_KEY}") == welcome
    assert await close_of(walled, X_App_Password=PASSWORD) == welcome
    assert await close_of(walled, Cookie=inside) == welcome
    assert await close_of(walled, Cookie=inside, Origin="http://localhost") == welcome
    assert await close_of(walled, "/twilio/media-stream") == welcome
    assert [scope["query_string"] for scope in walled.seen] == [b"voice=x", *[b""] * 5]
    assert walled.let_in == walled.seen[:-1]


@pytest.mark.parametrize("password", [PASSWORD, None])
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://localhost:81",
        "localhost",
        "x://localhost",
    ],
)
async def test_pages_of_other_sites_may_not_open_websockets(password: str | None, origin: str):
    walled = Walled(password)
    for path in ("/api/chat", "/twilio/media-stream"):
        assert await close_of(walled, path, IN_QUERY, Origin=origin) == (4003, FOREIGN)
    assert walled.seen == []


@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        ("http://localhost", {}),
        ("http://LOCALHOST:80", {}),
        ("https://talk.example.org", {"Host": "talk.example.org"}),
        ("https://talk.example.org", {"Host": "talk.example.org:443"}),
        ("http://[::1]:7860", {"Host": "[::1]:7860"}),
        ("https://app.example.org", {"Host": "10.0.0.2:7860"}),  # SERVER_URL
        ("https://friend.example", {}),  # ALLOWED_ORIGINS
        ("https://behind.example", {"Host": "10.0.0.2:7860", "Sec-Fetch-Site": "same-origin"}),
    ],
)
async def test_our_own_pages_and_friends_may(origin: str, headers: dict[str, str]):
    walled = Walled(None, server_url="https://app.example.org", allowed_origins=["https://friend.example"])
    accepted, closed = await open_websocket(walled.app, "/x", {**headers, "Origin": origin})
    assert (accepted["type"], closed["code"]) == ("websocket.accept", 1000)


async def test_the_host_that_a_trusted_proxy_was_asked_for_is_ours():
    said = {"Host": "10.0.0.2", "Origin": "https://talk.example.org", "X-Forwarded-Host": "talk.example.org"}
    for peer, code in (("127.0.0.1", 1000), ("203.0.113.5", 4003)):
        _, closed = await open_websocket(Walled(None).app, "/x", said, address=peer)
        assert closed["code"] == code


async def test_a_star_allows_all():
    walled = Walled(None, allowed_origins=["*"])
    for origin in ("https://evil.example", "null"):
        assert (await close_of(walled, Origin=origin))[0] == 1000


async def test_another_site_cannot_use_a_visitors_cookie(walled: Walled):
    inside = await cookie(walled)
    for origin in ("https://evil.example", "null"):
        answer = await ask(walled, "/page", "POST", headers=inside | {"Origin": origin})
        assert (answer.status_code, answer.json()) == (403, {"detail": FOREIGN})
        assert (await close_of(walled, Cookie=inside["Cookie"], Origin=origin))[0] == 4003
    assert walled.seen == []
    own = inside | {"Origin": "http://localhost"}
    assert (await ask(walled, "/page", "POST", headers=own)).status_code == 200
    with_key = bearer(API_KEY) | {"Origin": "https://evil.example"}
    assert (await ask(walled, "/page", "POST", headers=with_key)).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_nor_by_what_it_loads_without_an_origin(walled: Walled, site: str, method: str):
    inside = await cookie(walled) | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    for path in ("/metrics", "/voices/NATM2/preview.wav"):
        answer = await ask(walled, path, method, headers=inside)
        assert answer.status_code == 403
        assert method == "HEAD" or answer.json() == {"detail": FOREIGN}
    del inside["Sec-Fetch-Mode"]
    assert (await ask(walled, headers=inside)).status_code == 403
    refused = await ask(walled, "/logout", headers=inside)
    assert (refused.status_code, refused.headers.get("set-cookie")) == (403, None)
    assert walled.seen == []
    assert (await ask(walled, headers={"Cookie": inside["Cookie"]})).status_code == 200
    assert (await ask(walled, headers=inside | bearer(API_KEY))).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_link_on_another_site_shows_our_page_to_who_is_logged_in(walled: Walled, site: str):
    followed = await cookie(walled) | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    assert (await ask(walled, "/", headers=followed | {"Sec-Fetch-Dest": "document"})).json() == "in: "
    assert (await ask(walled, "/", headers=followed | {"Sec-Fetch-Dest": "iframe"})).json() == "in: "
    assert len(walled.let_in) == 2
    # A form of theirs is no link; what a browser sends of one has an Origin too.
    assert (await ask(walled, "/page", "POST", headers=followed)).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_what_our_page_or_the_visitor_asks_for_comes_in(walled: Walled, site: str):
    inside = await cookie(walled) | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    assert (await ask(walled, "/metrics", headers=inside)).status_code == 200


async def test_allowed_origins_are_named_or_all():
    loaded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    friends, everybody = Walled(allowed_origins=["https://friend.example"]), Walled(allowed_origins=["*"])
    assert (await ask(friends, headers=await cookie(friends) | loaded)).status_code == 403
    named = await cookie(friends) | loaded | {"Origin": "https://friend.example"}
    assert (await ask(friends, headers=named)).status_code == 200
    assert (await ask(everybody, headers=await cookie(everybody) | loaded)).status_code == 200


async def test_a_client_that_has_left_does_not_matter(walled: Walled):
    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        raise OSError  # as servers do

    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/x",
        "query_string": b"",
        "scheme": "ws",
        "headers": [],
        "client": None,
    }
    await walled.app(scope, receive, send)
    assert walled.seen == []


async def test_lifespan_passes(walled: Walled):
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await walled.app({"type": "lifespan", "app": None, "state": {}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

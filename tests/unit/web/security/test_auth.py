"""The auth middleware before a small app: who comes in with what, what strangers get, pages of other sites.

What is shown and how often one may be wrong: ``test_credentials.py``; HTTP Basic: field case A5; refused
handshakes: field case A6.
"""

from typing import Any
from urllib.parse import quote_plus

import pytest
from starlette.types import Scope

from personaplex_ui.web.security.login_throttle import MOST
from personaplex_ui.web.security.refusals import FOREIGN, NO_PASSWORD, WRONG
from personaplex_ui.web.twilio_paths import WEBHOOKS
from tests.support.protected_app import (
    API_KEY,
    IN_QUERY,
    PASSWORD,
    ProtectedApp,
    ask,
    bearer,
    close_of,
    cookie,
    open_websocket,
)


@pytest.fixture
def protected() -> ProtectedApp:
    return ProtectedApp()


# Who comes in -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_without_a_password_nobody_comes_in(protected: ProtectedApp, method: str):
    for path in ("/page", "/docs", "/%2F", "/login/x", "/gradio_api/upload", "/twilio/outbound", "/assets/x"):
        answer = await ask(protected, path, method)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert method == "HEAD" or answer.json() == {"detail": NO_PASSWORD}
    assert protected.seen == []


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
async def test_a_header_lets_in(protected: ProtectedApp, headers: Any):
    assert (await ask(protected, headers=headers)).json() == "in: "


async def test_the_query_lets_in_and_nobody_sees_the_password_after(protected: ProtectedApp):
    shown = f"{IN_QUERY}&text=a%20b+c&p%61ssword={quote_plus(PASSWORD)}"
    assert (await ask(protected, f"/page?voice=NATF2&{shown}")).json() == "in: voice=NATF2&text=a%20b+c"
    assert protected.seen[0]["query_string"] == b"voice=NATF2&text=a%20b+c"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Digest x"}, {"Authorization": "Bearer"}, {"X-App-Password": ""}]
)
async def test_who_shows_nothing_is_told_what_to_do(protected: ProtectedApp, headers: dict[str, str]):
    for _ in range(MOST + 1):
        answer = await ask(protected, "/page?password=&x", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"detail": NO_PASSWORD})


@pytest.mark.parametrize(
    "shown",
    [
        {"headers": bearer("a-key-for-machine")},
        {"headers": {b"Authorization": b"Bearer " + PASSWORD[:-1].encode() + b"x"}},
        {"headers": {"X-App-Password": API_KEY}},
        {"params": {"password": API_KEY}},
        {"params": {"password": PASSWORD.lower()}},
        {"params": {"password": "\0"}},
    ],
)
async def test_who_shows_something_wrong_is_told_so(protected: ProtectedApp, shown: dict[str, Any]):
    answer = await ask(protected, **shown)
    assert (answer.status_code, answer.json()) == (401, {"detail": WRONG})
    assert protected.seen == []


async def test_where_no_password_is_set_everybody_comes_in_and_the_query_is_clean():
    open_app = ProtectedApp(password=None)
    answer = await ask(open_app, "/page?password=meant+for+another&x=1", headers=bearer("wrong"))
    assert answer.json() == "in: x=1"
    assert await close_of(open_app, query="password=x") == (1000, "Welcome.")
    assert (await ask(open_app, "/health")).json() == {"device": "a GPU"}
    assert (await ask(open_app, "/login", "POST")).json() == "in: "


@pytest.mark.parametrize("host", ["[::1", "a b", "x" * 300, "a/b"])
async def test_a_host_that_is_none_is_refused_before_anything_else(protected: ProtectedApp, host: str):
    assert (await ask(protected, "/health", headers={"Host": host})).status_code == 400
    messages = await open_websocket(protected.app, "/api/chat", {"Host": host})
    assert [message["type"] for message in messages] == ["websocket.close"]
    assert not protected.seen


# What strangers may see ------------------------------------------------------------------------------


async def test_strangers_are_told_of_our_health_and_no_more(protected: ProtectedApp):
    for shown in ({}, bearer("wrong")):
        assert (await ask(protected, "/health", headers=shown)).json() == {"status": "healthy"}
    assert (await ask(protected, "/health", headers=bearer(API_KEY))).json() == {"device": "a GPU"}


async def test_strangers_are_given_the_login_page_which_keeps_the_query_and_escapes_it(
    protected: ProtectedApp,
):
    answer = await ask(protected, '/?next=docs&"><script>=1')
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "www-authenticate" not in answer.headers
    assert 'action="login?next=docs&amp;' in answer.text
    assert "<script" not in answer.text
    assert WRONG.partition(".")[0] not in answer.text
    assert WRONG.partition(".")[0] in (await ask(protected, "/", headers=bearer("wrong"))).text
    assert protected.seen == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("GET", path) for path in ("/favicon.ico", "/robots.txt")],
        *[("POST", path) for path in WEBHOOKS],
    ],
)
async def test_public_routes_need_nothing_and_use_up_no_guesses(
    protected: ProtectedApp, method: str, path: str
):
    for _ in range(MOST + 1):
        assert (await ask(protected, path, method, headers=bearer("for a proxy"))).status_code == 200
    assert (await ask(protected, headers=bearer(API_KEY))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("GET", path) for path in ("/login", "/config", "/assets/a.js", "/theme.css", "/%2F", "/health/")],
        *[("GET", path) for path in ("/favicon.ico/", "/favicon.ico%0A", "/x/favicon.ico", "/faviconxico")],
        *[("GET", path) for path in ("/twilio/status/CA1", "/metrics")],
        *[("POST", f"/twilio/{path}") for path in ("outbound", "hangup/CA1", "inbound/", "statusx")],
    ],
)
async def test_their_neighbours_are_not_public(protected: ProtectedApp, method: str, path: str):
    assert (await ask(protected, path, method)).status_code == 401
    assert protected.seen == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/health", "GET, HEAD"),
        ("POST", "/robots.txt", "GET, HEAD"),
        ("GET", "/twilio/inbound", "POST"),
    ],
)
async def test_another_method_opens_nothing(protected: ProtectedApp, method: str, path: str, allowed: str):
    answer = await ask(protected, path, method)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert protected.seen == []


# Websockets and pages of other sites -----------------------------------------------------------------


async def test_a_websocket_that_shows_the_password_comes_in(protected: ProtectedApp):
    inside = (await cookie(protected))["Cookie"]
    welcome = (1000, "Welcome.")
    assert await close_of(protected, query=f"voice=x&{IN_QUERY}") == welcome
    assert await close_of(protected, Authorization=f"Bearer {API_KEY}") == welcome
    assert await close_of(protected, X_App_Password=PASSWORD) == welcome
    assert await close_of(protected, Cookie=inside) == welcome
    assert await close_of(protected, Cookie=inside, Origin="http://localhost") == welcome
    assert await close_of(protected, "/twilio/media-stream") == welcome
    assert [scope["query_string"] for scope in protected.seen] == [b"voice=x", *[b""] * 5]


@pytest.mark.parametrize("password", [PASSWORD, None])
@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "localhost", "x://localhost", "http://evil.example"),
        *("http://localhost.evil.example", "http://localhost:81"),
    ],
)
async def test_pages_of_other_sites_may_not_open_websockets(password: str | None, origin: str):
    protected = ProtectedApp(password)
    for path in ("/api/chat", "/twilio/media-stream"):
        assert await close_of(protected, path, IN_QUERY, Origin=origin) == (4003, FOREIGN)
    assert protected.seen == []


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
    app = ProtectedApp(None, server_url="https://app.example.org", allowed_origins=["https://friend.example"])
    accepted, closed = await open_websocket(app.app, "/x", {**headers, "Origin": origin})
    assert (accepted["type"], closed["code"]) == ("websocket.accept", 1000)


async def test_the_host_that_a_trusted_proxy_was_asked_for_is_ours():
    said = {"Host": "10.0.0.2", "Origin": "https://talk.example.org", "X-Forwarded-Host": "talk.example.org"}
    for peer, code in (("127.0.0.1", 1000), ("203.0.113.5", 4003)):
        _, closed = await open_websocket(ProtectedApp(None).app, "/x", said, address=peer)
        assert closed["code"] == code


async def test_another_site_cannot_use_a_visitors_cookie(protected: ProtectedApp):
    inside = await cookie(protected)
    for origin in ("https://evil.example", "null"):
        answer = await ask(protected, "/page", "POST", headers=inside | {"Origin": origin})
        assert (answer.status_code, answer.json()) == (403, {"detail": FOREIGN})
        assert (await close_of(protected, Cookie=inside["Cookie"], Origin=origin))[0] == 4003
    assert protected.seen == []
    own = inside | {"Origin": "http://localhost"}
    assert (await ask(protected, "/page", "POST", headers=own)).status_code == 200
    with_key = bearer(API_KEY) | {"Origin": "https://evil.example"}
    assert (await ask(protected, "/page", "POST", headers=with_key)).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_nor_by_what_it_loads_without_an_origin(protected: ProtectedApp, site: str, method: str):
    inside = await cookie(protected) | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    for path in ("/metrics", "/voices/NATM2/preview.wav"):
        answer = await ask(protected, path, method, headers=inside)
        assert answer.status_code == 403
        assert method == "HEAD" or answer.json() == {"detail": FOREIGN}
    del inside["Sec-Fetch-Mode"]
    assert (await ask(protected, headers=inside)).status_code == 403
    assert protected.seen == []
    assert (await ask(protected, headers={"Cookie": inside["Cookie"]})).status_code == 200
    assert (await ask(protected, headers=inside | bearer(API_KEY))).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_link_on_another_site_shows_our_page_to_who_is_logged_in(protected: ProtectedApp, site: str):
    followed = await cookie(protected) | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    for shown_in in ("document", "iframe"):
        assert (await ask(protected, "/", headers=followed | {"Sec-Fetch-Dest": shown_in})).json() == "in: "
    # A form of theirs is no link; what a browser sends of one has an Origin too.
    assert (await ask(protected, "/page", "POST", headers=followed)).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_what_our_page_or_the_visitor_asks_for_comes_in(protected: ProtectedApp, site: str):
    inside = await cookie(protected) | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    assert (await ask(protected, "/metrics", headers=inside)).status_code == 200


async def test_allowed_origins_are_named_or_all():
    loaded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    friends, everybody = (ProtectedApp(allowed_origins=[o]) for o in ("https://friend.example", "*"))
    assert (await ask(friends, headers=await cookie(friends) | loaded)).status_code == 403
    named = await cookie(friends) | loaded | {"Origin": "https://friend.example"}
    assert (await ask(friends, headers=named)).status_code == 200
    assert (await ask(everybody, headers=await cookie(everybody) | loaded)).status_code == 200
    for origin in ("https://evil.example", "null"):
        assert (await close_of(everybody, query=IN_QUERY, Origin=origin))[0] == 1000


async def test_a_client_that_has_left_does_not_matter(protected: ProtectedApp):
    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        raise OSError  # as servers do

    scope: Scope = {"type": "websocket", "path": "/x", "query_string": b"", "scheme": "ws", "headers": []}
    await protected.app({**scope, "client": None}, receive, send)
    assert protected.seen == []

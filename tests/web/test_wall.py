"""The wall before a small app: who comes in with what, what strangers get, how often one may be wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.web.failure_limit import MOST, WITHIN_SEC, FailureLimit
from personaplex_ui.web.keys import COOKIE, COOKIE_SEC, Keys, take_shown
from personaplex_ui.web.wall import FOREIGN, NO_PASS, WRONG
from tests.web.doors import API_KEY, PASSWORD, Clock, Walled, open_websocket

LOCKED = "Too many wrong passwords or keys came from your network. Please try again in 300 seconds."
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OTHER_NAMES = ("voice", "Password", "pass word", "password2", "", "ä=&")
HEADER_NAMES = st.sampled_from([b"authorization", b"x-app-password", b"cookie"])
IN_QUERY = f"password={quote_plus(PASSWORD)}"


@pytest.fixture
def walled() -> Walled:
    return Walled()


async def ask(walled: Walled, path: str = "/page", method: str = "GET", **options: Any) -> Response:
    async with walled.client() as client:
        return await client.request(method, path, **options)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def log_in(walled: Walled, password: str = PASSWORD, **headers: str) -> Response:
    return await ask(walled, "/login", "POST", data={"username": "x", "password": password}, headers=headers)


async def cookie(walled: Walled) -> dict[str, str]:
    value = (await log_in(walled)).cookies[COOKIE]
    return {"Cookie": f"other=1; {COOKIE}={value}"}


async def close_of(
    walled: Walled, path: str = "/api/chat", query: str = "", **headers: str
) -> tuple[int, str]:
    """Code and reason, after an accept."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    accepted, closed = await open_websocket(walled.app, path, named, query)
    assert accepted["type"] == "websocket.accept"
    assert len(closed["reason"].encode()) <= 123
    return closed["code"], closed["reason"]


# Who comes in ----------------------------------------------------------------------------------------


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


@given(st.lists(st.tuples(st.sampled_from([*OTHER_NAMES, "password"]), st.text(max_size=20)), max_size=8))
def test_of_any_query_all_but_the_password_stays(parts: list[tuple[str, str]]):
    scope: dict[str, Any] = {"query_string": urlencode(parts).encode(), "headers": []}
    shown = take_shown(scope)
    kept = [part for part in parts if part[0] != "password"]
    assert scope["query_string"] == urlencode(kept).encode()
    assert shown.password.decode() == next(
        (value for name, value in reversed(parts) if name == "password"), ""
    )


@given(st.binary(max_size=60), st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=30)), max_size=4))
def test_nothing_a_client_shows_ends_in_an_error(query: bytes, headers: list[tuple[bytes, bytes]]):
    keys = Keys(PASSWORD, API_KEY, FailureLimit(Clock()), Clock())
    shown = take_shown({"query_string": query, "headers": headers})
    assert not keys.admits(shown, "")
    assert not keys.admits_machine(shown, "")
    assert not keys.is_cookie(query.decode("latin-1"))


def test_gradio_would_take_any_name():
    keys = Keys(PASSWORD, API_KEY, FailureLimit(Clock()), Clock())
    assert keys.login("anybody", PASSWORD)
    assert keys.login("", PASSWORD)
    assert not keys.login("anybody", API_KEY)
    assert not Keys(None, None, FailureLimit(Clock()), Clock()).login("", "")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}, {"X-App-Password": ""}]
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


# Machines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [PASSWORD, None])
async def test_only_the_api_key_makes_a_machine(password: str | None):
    walled = Walled(password)
    assert (await ask(walled, "/machine", headers=bearer(API_KEY))).json() is True
    if password is None:
        assert (await ask(walled, "/machine")).json() is False
        assert (await ask(walled, "/machine", headers=bearer("wrong"))).json() is False
    else:
        assert (await ask(walled, f"/machine?{IN_QUERY}")).json() is False
        for _ in range(MOST + 1):
            answer = await ask(walled, "/machine", headers={b"Authorization": b"Bearer " + PASSWORD.encode()})
            assert answer.json() is False


async def test_without_an_api_key_nobody_is_a_machine():
    for key in ("", "None", "x"):
        assert (await ask(Walled(None, None), "/machine", headers=bearer(key))).json() is False


async def test_guessing_the_api_key_is_slow_too():
    walled = Walled(password=None)
    for _ in range(MOST):
        assert (await ask(walled, "/machine", headers=bearer("wrong"))).json() is False
    refused = await ask(walled, "/machine", headers=bearer(API_KEY))
    assert (refused.status_code, refused.json()) == (429, {"detail": LOCKED})
    assert refused.headers["retry-after"] == "300"
    assert (await ask(walled, headers=bearer(API_KEY))).status_code == 200


async def test_a_visitor_may_not_guess_the_api_key_either(walled: Walled):
    inside = await cookie(walled)
    for _ in range(MOST):
        assert (await ask(walled, "/machine", headers=inside | bearer("wrong"))).json() is False
    assert (await ask(walled, "/machine", headers=inside | bearer(API_KEY))).status_code == 429


# Logging in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["data", "files"])
@pytest.mark.parametrize("name", ["x", ""])
async def test_logging_in_gives_a_cookie_that_opens_them(walled: Walled, form: str, name: str):
    fields = {"username": name, "password": PASSWORD}
    sent = fields if form == "data" else {key: (None, value) for key, value in fields.items()}
    async with walled.client() as client:
        answer = await client.post("/login", **{form: sent})  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        assert (await client.get("/page")).json() == "in: "
        assert (await client.post("/page")).json() == "in: "
        gone = await client.get("/logout")
        assert (gone.status_code, gone.headers["location"]) == (303, "./")
        assert (await client.get("/page")).status_code == 401


@pytest.mark.parametrize(
    ("base_url", "headers", "attributes"),
    [
        ("http://localhost", {}, {"SameSite=Lax"}),
        ("https://localhost", {}, {"SameSite=None", "Secure", "Partitioned"}),
        ("http://localhost", {"X-Forwarded-Proto": "https"}, {"SameSite=None", "Secure", "Partitioned"}),
    ],
)
async def test_the_cookie_tells_nothing_and_scripts_cannot_read_it(
    walled: Walled, base_url: str, headers: dict[str, str], attributes: set[str]
):
    async with walled.client(base_url=base_url) as client:
        form = {"username": "x", "password": PASSWORD}
        answers = [await client.post("/login", data=form, headers=headers) for _ in range(2)]
    first, second = (answer.headers["set-cookie"] for answer in answers)
    assert first != second
    assert set(first.split("; ")[1:]) == {"Path=/", "HttpOnly", f"Max-Age={COOKIE_SEC}", *attributes}
    assert answers[0].headers["cache-control"] == "no-store"


async def test_a_cookie_is_good_for_a_week_and_for_one_server(walled: Walled):
    inside = await cookie(walled)
    assert (await ask(Walled(), headers=inside)).status_code == 401
    walled.clock.now += COOKIE_SEC - 1
    assert (await ask(walled, headers=inside)).status_code == 200
    walled.clock.now += 1
    assert (await ask(walled, headers=inside)).status_code == 401


async def test_a_forged_cookie_is_none(walled: Walled):
    expiry, nonce, signature = (await cookie(walled))["Cookie"].rpartition("=")[2].split(".")
    later = str(int(expiry) + 1)
    forged = [
        *("", ".", "..", "x", f"{expiry}.{nonce}", f"{expiry}.{nonce}.", f"{later}.{nonce}.{signature}"),
        *(f"{expiry}.{nonce}.{signature[:-1]}", f"{expiry}.{nonce}.{signature}0", f".{signature}", PASSWORD),
    ]
    for value in forged * 2:
        answer = await ask(walled, headers={b"Cookie": f"{COOKIE}={value}".encode()})  # type: ignore[dict-item]
        assert (answer.status_code, answer.json()) == (401, {"detail": NO_PASS})


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": {"username": "x"}}, 400),
        ({"data": {"username": "x", "password": ""}}, 400),
        ({"files": {"password": ("p.txt", PASSWORD)}}, 400),
        ({"json": {"password": PASSWORD}}, 400),
        ({}, 400),
        ({"content": b"x" * 70_000}, 422),
        ({"content": b"--", "headers": {"Content-Type": "multipart/form-data"}}, 422),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 422),
        ({"files": [("password", (None, "x"))] * 20}, 422),
    ],
)
async def test_what_is_no_login_is_refused(walled: Walled, options: dict[str, Any], status: int):
    answer = await ask(walled, "/login", "POST", **options)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert walled.seen == []


async def test_a_browser_with_the_password_in_its_address_goes_on_without_it(walled: Walled):
    async with walled.client(headers=BROWSER) as client:
        answer = await client.get(f"/moshi/?{IN_QUERY}&__theme=dark")
        assert (answer.status_code, answer.headers["location"]) == (303, "./?__theme=dark")
        assert PASSWORD not in answer.headers["set-cookie"]
        assert (await client.get("/moshi/?__theme=dark")).json() == "in: __theme=dark"
        for path in ("/", "/page", "/a%20b/%C3%A9%3F"):
            arrived = await client.get(f"{path}?{IN_QUERY}", follow_redirects=True)
            assert (arrived.json(), str(arrived.url)) == ("in: ", f"http://localhost{path}")
    assert (await ask(walled, "/page?password=wrong", headers=BROWSER)).status_code == 401


# How often one may be wrong --------------------------------------------------------------------------


async def test_after_ten_wrong_ones_the_right_one_is_refused_too(walled: Walled):
    inside = await cookie(walled)
    for _ in range(MOST - 4):
        assert (await log_in(walled, "wrong")).status_code == 400
    assert (await ask(walled, "/page?password=wrong")).status_code == 401
    assert (await close_of(walled, query="password=wrong"))[0] == 4001
    answer = await ask(walled, headers={"X-App-Password": "wrong", **bearer("wrong")})  # two at once
    assert answer.status_code == 401

    tried = [
        await log_in(walled),
        await ask(walled, f"/page?{IN_QUERY}"),
        await ask(walled, headers=bearer(API_KEY)),
    ]
    for refused in tried:
        assert (refused.status_code, refused.json()) == (429, {"detail": LOCKED})
        assert refused.headers["retry-after"] == "300"
    assert await close_of(walled, query=IN_QUERY) == (4001, LOCKED)

    assert (await ask(walled, headers=inside)).status_code == 200  # who is inside stays inside
    assert (await ask(walled, "/health?password=x")).status_code == 200
    async with walled.client("203.0.113.6") as neighbour:
        assert (await neighbour.get(f"/page?{IN_QUERY}")).status_code == 200
    walled.clock.now += WITHIN_SEC
    assert (await log_in(walled)).status_code == 200


async def test_guesses_that_are_begun_together_and_completed_later_are_counted_too(walled: Walled):
    guesses = MOST + 5
    begun = asyncio.Semaphore(0)
    complete = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"username=x&"
        begun.release()
        await complete.wait()
        yield b"password=wrong"

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with asyncio.TaskGroup() as group:
        logins = [
            group.create_task(ask(walled, "/login", "POST", content=slowly(), headers=form))
            for _ in range(guesses)
        ]
        for _ in range(guesses):
            await begun.acquire()
        complete.set()
    statuses = sorted(login.result().status_code for login in logins)
    assert statuses == [400] * MOST + [429] * 5


async def test_the_log_names_neither_address_nor_password(walled: Walled, caplog: pytest.LogCaptureFixture):
    for _ in range(MOST + 3):
        await log_in(walled, "a wrong one")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "Too many wrong passwords from one network: it is refused for a while."
    ]
    assert "a wrong one" not in caplog.text
    assert "203.0.113.5" not in caplog.text


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
        *[("POST", path) for path in ("/", "/assets/a.js", "/health")],
        *[
            ("GET", path)
            for path in ("/login", "/config", "/assets", "/assets/", "/theme.css/", "/theme.css\n", "/%2F")
        ],
        *[("GET", path) for path in ("/twilio/inbound", "/twilio/status/CA1", "/metrics", "/x/assets/a.js")],
        *[("POST", f"/twilio/{path}") for path in ("outbound", "hangup/CA1", "inbound/", "statusx")],
    ],
)
async def test_their_neighbours_are_not(walled: Walled, method: str, path: str):
    assert (await ask(walled, path.replace("\n", "%0A"), method)).status_code == 401
    assert walled.seen == []


# Websockets and pages of other sites -----------------------------------------------------------------


async def test_a_websocket_without_a_pass_is_told_in_words(walled: Walled):
    assert await close_of(walled) == (4001, NO_PASS)
    assert await close_of(walled, query="password=wrong") == (4001, WRONG)
    assert await close_of(walled, "/gradio_api/stream/x") == (4001, NO_PASS)
    assert await close_of(walled, "/twilio/media-stream/") == (4001, NO_PASS)
    assert walled.seen == []


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


# What a second reading found -------------------------------------------------------------------------


async def test_a_copied_cookie_is_worthless_after_the_logout(walled: Walled):
    copied = await cookie(walled)
    assert (await ask(walled, headers=copied)).status_code == 200
    foreign = {**copied, "Origin": "https://evil.example"}
    await ask(walled, "/logout", headers=foreign)
    assert (await ask(walled, headers=copied)).status_code == 200
    await ask(walled, "/logout", headers=copied)
    assert (await ask(walled, headers=copied)).status_code == 401


async def test_machines_are_not_shut_out_by_strangers_whose_address_is_not_known(walled: Walled):
    async with walled.client(address="127.0.0.1") as client:
        for _ in range(101):
            await client.get("/page", headers=bearer("a guess"))
        assert (await client.get("/page", headers=bearer("a guess"))).status_code == 429
        assert (await client.get("/page", headers=bearer(API_KEY))).status_code == 200


async def test_a_locked_out_login_is_not_even_read(walled: Walled):
    for _ in range(MOST):
        await log_in(walled, "a guess")
    answer = await ask(walled, "/login", "POST", content=b"no form at all", headers={"Content-Type": "x/y"})
    assert answer.status_code == 429


async def test_a_login_in_a_charset_of_its_own_is_none(walled: Walled):
    kind = "multipart/form-data; boundary=x; charset=punycode"
    body = b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nabc\r\n--x--\r\n'
    answer = await ask(walled, "/login", "POST", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422


@pytest.mark.parametrize("host", ["[::1", "a b", "x" * 300, "a/b"])
async def test_a_host_that_is_none_is_refused_before_anything_else(walled: Walled, host: str):
    assert (await ask(walled, "/health", headers={"Host": host})).status_code == 400
    assert not walled.seen
    messages = await open_websocket(walled.app, "/api/chat", {"Host": host})
    assert [message["type"] for message in messages] == ["websocket.close"]

"""Password, API key, the login and its cookie, and how often one may be wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from personaplex_ui.web.security.credentials import (
    COOKIE,
    COOKIE_SEC,
    Credentials,
    shows_bearer,
    take_shown,
)
from personaplex_ui.web.security.login_throttle import MOST, WITHIN_SEC
from personaplex_ui.web.security.refusals import NO_PASSWORD, WRONG
from tests.support.clock import Clock
from tests.support.protected_app import (
    API_KEY,
    IN_QUERY,
    PASSWORD,
    ProtectedApp,
    ask,
    bearer,
    close_of,
    cookie,
    log_in,
    refusal_of,
)

LOCKED = "Too many wrong passwords or keys came from your network. Please try again in 300 seconds."
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OTHER_NAMES = ("voice", "Password", "pass word", "password2", "", "ä=&")
HEADER_NAMES = st.sampled_from([b"authorization", b"x-app-password", b"cookie"])


@pytest.fixture
def protected() -> ProtectedApp:
    return ProtectedApp()


# What a client shows ----------------------------------------------------------------------------------


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
    credentials = Credentials(PASSWORD, API_KEY, Clock())
    shown = take_shown({"query_string": query, "headers": headers})
    assert not credentials.admits(shown, "")
    assert not credentials.admits_machine(shown, "")
    assert not credentials.is_cookie(query.decode("latin-1"))


# Machines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [PASSWORD, None])
async def test_only_the_api_key_makes_a_machine(password: str | None):
    protected = ProtectedApp(password)
    assert (await ask(protected, "/machine", headers=bearer(API_KEY))).json() is True
    if password is None:
        assert (await ask(protected, "/machine")).json() is False
        assert (await ask(protected, "/machine", headers=bearer("wrong"))).json() is False
    else:
        assert (await ask(protected, f"/machine?{IN_QUERY}")).json() is False
        for _ in range(MOST + 1):
            answer = await ask(
                protected, "/machine", headers={b"Authorization": b"Bearer " + PASSWORD.encode()}
            )
            assert answer.json() is False


async def test_without_an_api_key_nobody_is_a_machine():
    for key in ("", "None", "x"):
        assert (await ask(ProtectedApp(None, None), "/machine", headers=bearer(key))).json() is False


# Logging in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["data", "files"])
@pytest.mark.parametrize("name", ["x", ""])
async def test_logging_in_gives_a_cookie_that_opens_them(protected: ProtectedApp, form: str, name: str):
    fields = {"username": name, "password": PASSWORD}
    sent = fields if form == "data" else {key: (None, value) for key, value in fields.items()}
    async with protected.client() as client:
        answer = await client.post("/login", **{form: sent})  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        assert (await client.get("/page")).json() == "in: "
        assert (await client.post("/page")).json() == "in: "
        gone = await client.get("/logout")
        assert (gone.status_code, gone.headers["location"]) == (303, "./")
        assert (await client.get("/page")).status_code == 401


async def test_the_cookie_tells_nothing_and_scripts_cannot_read_it(protected: ProtectedApp):
    answers = [await log_in(protected, X_Forwarded_Proto=scheme) for scheme in ("http", "https")]
    (first, *plain), (second, *secure) = (answer.headers["set-cookie"].split("; ") for answer in answers)
    assert first != second
    always = ["Path=/", "HttpOnly", f"Max-Age={COOKIE_SEC}"]
    assert plain == [*always, "SameSite=Lax"]
    assert secure == [*always, "SameSite=None", "Secure", "Partitioned"]
    assert answers[0].headers["cache-control"] == "no-store"


async def test_a_cookie_is_good_for_a_week_and_for_one_server(protected: ProtectedApp):
    inside = await cookie(protected)
    assert (await ask(ProtectedApp(), headers=inside)).status_code == 401
    protected.clock.now += COOKIE_SEC - 1
    assert (await ask(protected, headers=inside)).status_code == 200
    protected.clock.now += 1
    assert (await ask(protected, headers=inside)).status_code == 401


async def test_a_copied_cookie_is_worthless_after_the_logout(protected: ProtectedApp):
    copied = await cookie(protected)
    assert (await ask(protected, headers=copied)).status_code == 200
    foreign = {**copied, "Origin": "https://evil.example"}
    await ask(protected, "/logout", headers=foreign)
    assert (await ask(protected, headers=copied)).status_code == 200
    await ask(protected, "/logout", headers=copied)
    assert (await ask(protected, headers=copied)).status_code == 401


async def test_a_forged_cookie_is_none(protected: ProtectedApp):
    value = (await cookie(protected))["Cookie"].rpartition("=")[2]
    for forged in ("", ".", "x", value[:-1], f"{value}0", f".{value}", value.swapcase(), PASSWORD):
        answer = await ask(protected, headers={b"Cookie": f"{COOKIE}={forged}".encode()})  # type: ignore[dict-item]
        assert (answer.status_code, answer.json()) == (401, {"detail": NO_PASSWORD})


def test_only_so_many_logins_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("personaplex_ui.web.security.credentials.MOST_LOGINS", 3)
    clock = Clock()
    credentials = Credentials(PASSWORD, None, clock)
    given = [credentials.new_cookie() for _ in range(4)]
    assert [credentials.is_cookie(value) for value in given] == [False, True, True, True]
    clock.now += COOKIE_SEC
    given.append(credentials.new_cookie())
    assert [value for value in given if credentials.is_cookie(value)] == given[-1:]
    assert len(vars(credentials)["_logins"]) == 1


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
        (
            {
                "content": b"x",
                "headers": {"Content-Type": "multipart/form-data; boundary=x; charset=punycode"},
            },
            422,
        ),
    ],
)
async def test_what_is_not_a_login_is_refused(protected: ProtectedApp, options: dict[str, Any], status: int):
    answer = await ask(protected, "/login", "POST", **options)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert protected.seen == []


async def test_a_form_in_a_browser_leads_to_the_page_or_back_to_the_form(protected: ProtectedApp):
    async with protected.client(headers=BROWSER) as client:
        wrong = await client.post("/login?next=docs&x=1", data={"username": "x", "password": "wrong"})
        assert (wrong.status_code, WRONG in wrong.text) == (400, True)
        assert 'action="login?next=docs&amp;x=1"' in wrong.text
        right = await client.post("/login?next=docs&x=1", data={"username": "x", "password": PASSWORD})
        assert (right.status_code, right.headers["location"]) == (303, "./?next=docs&x=1")
        assert (await client.get("/page")).json() == "in: "


async def test_a_browser_with_the_password_in_its_address_goes_on_without_it(protected: ProtectedApp):
    async with protected.client(headers=BROWSER) as client:
        answer = await client.get(f"/moshi/?{IN_QUERY}&__theme=dark")
        assert (answer.status_code, answer.headers["location"]) == (303, "./?__theme=dark")
        assert PASSWORD not in answer.headers["set-cookie"]
        assert (await client.get("/moshi/?__theme=dark")).json() == "in: __theme=dark"
        for path in ("/", "/page", "/a%20b/%C3%A9%3F"):
            arrived = await client.get(f"{path}?{IN_QUERY}", follow_redirects=True)
            assert (arrived.json(), str(arrived.url)) == ("in: ", f"http://localhost{path}")
    assert (await ask(protected, "/page?password=wrong", headers=BROWSER)).status_code == 401


# How often one may be wrong --------------------------------------------------------------------------


async def test_after_ten_wrong_ones_the_right_one_is_refused_too(protected: ProtectedApp):
    inside = await cookie(protected)
    for _ in range(MOST - 4):
        assert (await log_in(protected, "wrong")).status_code == 400
    assert (await ask(protected, "/page?password=wrong")).status_code == 401
    assert (await refusal_of(protected, query="password=wrong"))[0] == 401
    answer = await ask(protected, headers={"X-App-Password": "wrong", **bearer("wrong")})  # two at once
    assert answer.status_code == 401

    tried = [
        await log_in(protected),
        await ask(protected, f"/page?{IN_QUERY}"),
        await ask(protected, headers=bearer(API_KEY)),
    ]
    for refused in tried:
        assert (refused.status_code, refused.json()) == (429, {"detail": LOCKED})
        assert refused.headers["retry-after"] == "300"
    assert (await refusal_of(protected, query=IN_QUERY))[:2] == (429, LOCKED)
    assert await close_of(protected, query=IN_QUERY, Origin="http://localhost") == (4001, LOCKED)

    assert (await ask(protected, headers=inside)).status_code == 200  # who is inside stays inside
    assert (await ask(protected, "/health?password=x")).status_code == 200
    async with protected.client("203.0.113.6") as neighbour:
        assert (await neighbour.get(f"/page?{IN_QUERY}")).status_code == 200
    protected.clock.now += WITHIN_SEC
    assert (await log_in(protected)).status_code == 200


async def test_guesses_that_are_begun_together_and_completed_later_are_counted_too(protected: ProtectedApp):
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
            group.create_task(ask(protected, "/login", "POST", content=slowly(), headers=form))
            for _ in range(guesses)
        ]
        for _ in range(guesses):
            await begun.acquire()
        complete.set()
    statuses = sorted(login.result().status_code for login in logins)
    assert statuses == [400] * MOST + [429] * 5


async def test_a_locked_out_login_is_not_even_read_and_the_log_names_nobody(
    protected: ProtectedApp, caplog: pytest.LogCaptureFixture
):
    for _ in range(MOST + 3):
        await log_in(protected, "a wrong one")
    answer = await ask(protected, "/login", "POST", content=b"not a form", headers={"Content-Type": "x/y"})
    assert answer.status_code == 429
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "Too many wrong passwords from one network: it is refused for a while."
    ]
    assert "a wrong one" not in caplog.text
    assert "203.0.113.5" not in caplog.text


@pytest.mark.parametrize("password", [PASSWORD, None])
async def test_guessing_the_api_key_is_slow_too_also_for_who_is_logged_in(password: str | None):
    protected = ProtectedApp(password)
    inside = await cookie(protected) if password else {}
    for _ in range(MOST):
        assert (await ask(protected, "/machine", headers=inside | bearer("wrong"))).json() is False
    refused = await ask(protected, "/machine", headers=inside | bearer(API_KEY))
    assert (refused.status_code, refused.json()) == (429, {"detail": LOCKED})
    assert refused.headers["retry-after"] == "300"
    assert (await ask(protected, headers=inside | bearer(API_KEY))).status_code == 200


async def test_machines_are_not_shut_out_by_strangers_whose_address_is_not_known(protected: ProtectedApp):
    async with protected.client(address="127.0.0.1") as client:
        for _ in range(101):
            await client.get("/page", headers=bearer("a guess"))
        assert (await client.get("/page", headers=bearer("a guess"))).status_code == 429
        assert (await client.get("/page", headers=bearer(API_KEY))).status_code == 200


# Among the subprotocols -------------------------------------------------------------------------------


def websocket_scope(*protocols: str) -> dict[str, Any]:
    offered = ", ".join(protocols).encode()
    return {
        "type": "websocket",
        "query_string": b"",
        "headers": [(b"sec-websocket-protocol", offered)],
        "subprotocols": list(protocols),
    }


def test_a_browsers_websocket_shows_its_key_among_the_subprotocols_and_it_is_taken_out():
    scope = websocket_scope("realtime", f"openai-insecure-api-key.{API_KEY}", "openai-beta.realtime-v1")
    shown = take_shown(scope)
    assert Credentials(PASSWORD, API_KEY, Clock()).admits_machine(shown, "")
    assert scope["subprotocols"] == ["realtime", "openai-beta.realtime-v1"]
    assert API_KEY not in str(scope)
    assert shows_bearer(HTTPConnection(scope))


def test_a_header_is_shown_before_a_subprotocol_and_without_either_there_is_nothing():
    scope = websocket_scope("realtime", "openai-insecure-api-key.wrong")
    scope["headers"].append((b"authorization", f"Bearer {API_KEY}".encode()))
    assert take_shown(scope).bearer == API_KEY.encode()
    plain = websocket_scope("realtime")
    assert not take_shown(plain)
    assert plain["subprotocols"] == ["realtime"]
    assert not shows_bearer(HTTPConnection(plain))

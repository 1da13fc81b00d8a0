"""Which ICE servers calls get, how long credentials are kept, what is said without any. No network."""

import asyncio
import functools
import logging
from collections.abc import Callable

import httpx
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtcicetransport import connection_kwargs
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.channels.browser import ice_servers as turn
from personaplex_ui.channels.browser.ice_servers import (
    FETCH_WITHIN_SEC,
    KEPT_SEC,
    LIFETIME_SEC,
    NO_TOKEN,
    RETRY_AFTER_SEC,
    TOKEN_REFUSED,
    UNREACHABLE,
    USABLE_SEC,
    Fixed,
    FromCloudflare,
    IceServer,
    IceServers,
    Missing,
    RelayUnavailable,
    choose_source,
    servers_in,
)

TOKEN = "hf_secretsecret"
OWN: list[IceServer] = [{"urls": ["turn:turn.example:3478"], "username": "ann", "credential": "hunter2"}]
STUN = {"urls": ["stun:stun.cloudflare.com:3478"]}
RELAY = {
    "urls": ["turn:turn.cloudflare.com:3478?transport=udp", "turns:turn.cloudflare.com:443?transport=tcp"],
    "username": "u",
    "credential": "c",
}
ANSWER = {"iceServers": [STUN, RELAY]}


class Service:
    """A TURN service of the test's own, and the clock beside it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[tuple[str, int]] = []
        self.answer: object = ANSWER
        self.down: Exception | None = None

    async def fetch(self, hf_token: str, lifetime_sec: int) -> object:
        self.asked.append((hf_token, lifetime_sec))
        await asyncio.sleep(0)
        if self.down:
            raise self.down
        return self.answer

    def servers(self) -> IceServers:
        return IceServers(FromCloudflare(TOKEN), self.fetch, lambda: self.now)


@pytest.fixture
def service() -> Service:
    return Service()


# Where they come from --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_servers", "space_id", "hf_token", "source"),
    [
        ([], None, None, Fixed(())),
        ([], None, TOKEN, Fixed(())),  # a token is for the model's weights, too
        ([], "", TOKEN, Fixed(())),
        ([], "ann/talk", TOKEN, FromCloudflare(TOKEN)),
        ([], "ann/talk", None, Missing()),
        ([], "ann/talk", "", Missing()),
        (OWN, None, None, Fixed(tuple(OWN))),
        (OWN, "ann/talk", TOKEN, Fixed(tuple(OWN))),
        (OWN, "ann/talk", None, Fixed(tuple(OWN))),
    ],
)
def test_the_source(
    given_servers: list[IceServer], space_id: str | None, hf_token: str | None, source: turn.Source
) -> None:
    assert choose_source(given_servers, space_id, hf_token) == source


def test_a_source_keeps_its_secrets_when_printed() -> None:
    assert TOKEN not in repr(FromCloudflare(TOKEN))
    assert "hunter2" not in repr(Fixed(tuple(OWN)))


async def test_at_home_there_are_none_and_nobody_is_asked(service: Service) -> None:
    servers = IceServers(Fixed(()), service.fetch)
    assert await servers.for_page() == {}
    assert (await servers.for_server()).iceServers == []  # and not None, which would mean Google's
    assert service.asked == []


async def test_given_servers_go_to_both_ends(service: Service) -> None:
    servers = IceServers(Fixed(tuple(OWN)), service.fetch)
    assert await servers.for_page() == {"iceServers": OWN}
    used = connection_kwargs((await servers.for_server()).iceServers or [])
    assert (used["turn_server"], used["turn_username"], used["turn_password"]) == (
        ("turn.example", 3478),
        "ann",
        "hunter2",
    )
    assert service.asked == []


async def test_a_space_without_token_says_what_it_needs() -> None:
    servers = IceServers(Missing())
    for ask in (servers.for_page, servers.for_server):
        with pytest.raises(RelayUnavailable, match="secret HF_TOKEN") as refused:
            await ask()
        assert str(refused.value) == NO_TOKEN


# Fetched and kept ------------------------------------------------------------------------------------


async def test_a_fetch_asks_for_long_calls_and_serves_both_ends(service: Service) -> None:
    servers = service.servers()
    assert await servers.for_page() == ANSWER
    configuration = await servers.for_server()
    assert service.asked == [(TOKEN, LIFETIME_SEC)]
    used = connection_kwargs(configuration.iceServers or [])
    assert used["stun_server"] == ("stun.cloudflare.com", 3478)
    assert (used["turn_server"], used["turn_transport"]) == (("turn.cloudflare.com", 3478), "udp")
    await RTCPeerConnection(configuration).close()


async def test_credentials_are_kept_for_a_part_of_their_lifetime(service: Service) -> None:
    servers = service.servers()
    await servers.for_page()
    service.now += KEPT_SEC - 1
    await servers.for_page()
    assert len(service.asked) == 1
    service.answer = {"iceServers": [RELAY | {"credential": "newer"}]}
    service.now += 1
    assert (await servers.for_page())["iceServers"][0]["credential"] == "newer"
    assert len(service.asked) == 2


async def test_many_pages_at_once_share_one_fetch(service: Service) -> None:
    servers = service.servers()
    pages = await asyncio.gather(*(servers.for_page() for _ in range(20)))
    assert all(page == ANSWER for page in pages)
    assert len(service.asked) == 1


async def test_a_page_that_leaves_in_the_middle_hinders_nobody(service: Service) -> None:
    servers = service.servers()
    first = asyncio.create_task(servers.for_page())
    second = asyncio.create_task(servers.for_page())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ANSWER
    assert first.cancelled()


async def test_what_a_page_does_with_its_list_stays_there(service: Service) -> None:
    servers = service.servers()
    (await servers.for_page())["iceServers"].clear()
    assert await servers.for_page() == ANSWER


# When it fails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Exception(f"Failed to get TURN credentials: 401 {TOKEN}"), TOKEN_REFUSED),
        (Exception("Failed to get TURN credentials: 403 Forbidden"), TOKEN_REFUSED),
        (Exception(f"Failed to get TURN credentials: 500 oops {TOKEN}"), UNREACHABLE),
        (httpx.ConnectError(f"no route, Bearer {TOKEN}"), UNREACHABLE),
        (ValueError("no JSON"), UNREACHABLE),
    ],
)
async def test_a_failure_is_words_without_the_token(
    service: Service, error: Exception, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.down = error
    servers = service.servers()
    for ask in (servers.for_page, servers.for_server):
        with pytest.raises(RelayUnavailable) as refused:
            await ask()
        assert str(refused.value) == sentence
    assert len(service.asked) == 1  # the page's offer follows at once
    assert type(error).__name__ in caplog.text
    assert TOKEN not in caplog.text


async def test_a_failure_is_tried_again_after_a_while(service: Service) -> None:
    service.down = OSError()
    servers = service.servers()
    with pytest.raises(RelayUnavailable):
        await servers.for_page()
    service.down = None
    service.now += RETRY_AFTER_SEC - 1
    with pytest.raises(RelayUnavailable):
        await servers.for_page()
    service.now += 1
    assert await servers.for_page() == ANSWER


async def test_older_credentials_bridge_a_failure(service: Service) -> None:
    servers = service.servers()
    await servers.for_page()
    service.down = OSError()
    service.now += KEPT_SEC
    assert await servers.for_page() == ANSWER
    assert await servers.for_page() == ANSWER
    assert len(service.asked) == 2  # the second within RETRY_AFTER_SEC
    service.now += USABLE_SEC
    with pytest.raises(RelayUnavailable, match="try again"):
        await servers.for_page()


async def test_a_silent_service_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FETCH_WITHIN_SEC < 12, "page.js gives up after 12 s"
    monkeypatch.setattr(turn, "FETCH_WITHIN_SEC", 0.01)

    async def silence(_token: str, _lifetime_sec: int) -> object:
        return await asyncio.Event().wait()

    with pytest.raises(RelayUnavailable, match="cannot be reached now"):
        await IceServers(FromCloudflare(TOKEN), silence).for_page()


# What a service answers ------------------------------------------------------------------------------


def test_answers_of_both_shapes_are_taken() -> None:
    assert servers_in(ANSWER) == [STUN, RELAY]
    assert servers_in({"iceServers": RELAY}) == [RELAY]
    assert servers_in({"iceServers": [RELAY | {"urls": "turn:a.example"}]})[0]["urls"] == ["turn:a.example"]


def test_of_an_answer_only_what_browsers_take_is_used() -> None:
    odd: list[object] = [
        None,
        "turn:a.example",
        {},
        {"urls": []},
        {"urls": [7]},
        {"urls": "https://a.example"},
        {"urls": "turn:no.credential"},
        {"urls": "turn:no.credential", "username": "u", "credential": None},
    ]
    more = RELAY | {"urls": ["http://a.example", *RELAY["urls"]], "password": "p"}
    assert servers_in({"iceServers": [*odd, more]}) == [RELAY]


@pytest.mark.parametrize(
    "answer",
    [None, [], "", {}, {"iceServers": None}, {"iceServers": []}, {"iceServers": [STUN]}, {"error": "no"}],
)
def test_an_answer_without_a_relay_is_none(answer: object) -> None:
    with pytest.raises(ValueError, match=r"in the answer|validation error"):
        servers_in(answer)


_leaves = st.none() | st.booleans() | st.integers() | st.text() | st.just("turn:a.example") | st.just("u")
_keys = st.sampled_from(["iceServers", "urls", "username", "credential"])
_json = st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(_keys, inner), max_leaves=12)


@given(_json)
def test_any_json_gives_servers_or_a_value_error(answer: object) -> None:
    try:
        servers = servers_in(answer)
    except ValueError:
        return
    assert servers
    assert all(url.startswith("turn") for server in servers for url in server["urls"])


# FastRTC's own helper, against a service in this process ----------------------------------------------


@pytest.fixture
def cloudflare(monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx.Response], list[httpx.Request]]:
    def answer_with(response: httpx.Response) -> list[httpx.Request]:
        requests: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return response

        client = functools.partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
        monkeypatch.setattr(httpx, "AsyncClient", client)
        return requests

    return answer_with


async def test_the_real_helper_is_asked_as_it_wants(
    cloudflare: Callable[[httpx.Response], list[httpx.Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "of someone else")
    requests = cloudflare(httpx.Response(200, json=ANSWER))
    assert await IceServers(FromCloudflare(TOKEN)).for_page() == ANSWER
    assert requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert requests[0].url.params["ttl"] == str(LIFETIME_SEC)


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (httpx.Response(401, text=f"bad token {TOKEN}"), TOKEN_REFUSED),
        (httpx.Response(503, text="later"), UNREACHABLE),
        (httpx.Response(200, text="<html>"), UNREACHABLE),
        (httpx.Response(200, json={"error": "quota"}), UNREACHABLE),
    ],
)
async def test_the_real_helpers_failures_are_told_apart(
    cloudflare: Callable[[httpx.Response], list[httpx.Request]], response: httpx.Response, sentence: str
) -> None:
    cloudflare(response)
    with pytest.raises(RelayUnavailable) as refused:
        await IceServers(FromCloudflare(TOKEN)).for_page()
    assert str(refused.value) == sentence

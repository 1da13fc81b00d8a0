"""Which ICE servers calls get, how long credentials are kept, what is said without any. No network."""

import asyncio
import contextlib
import functools
import logging

import httpx
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtcicetransport import connection_kwargs

from personaplex_ui.channels.browser import ice_servers
from personaplex_ui.channels.browser.ice_servers import (
    FETCH_WITHIN_SEC,
    KEPT_SEC,
    LIFETIME_SEC,
    NO_TOKEN,
    RETRY_AFTER_SEC,
    TOKEN_REFUSED,
    UNREACHABLE,
    USABLE_SEC,
    CloudflareIceServers,
    IceServer,
    IceServers,
    NoIceServers,
    RelayUnavailable,
    choose_ice_servers,
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
    """A TURN service of the test's own, the clock beside it, and the servers that it gives."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[tuple[str, int]] = []
        self.answer: object = ANSWER
        self.down: Exception | None = None
        self.servers = CloudflareIceServers(TOKEN, self.fetch, lambda: self.now)

    async def fetch(self, hf_token: str, lifetime_sec: int) -> object:
        self.asked.append((hf_token, lifetime_sec))
        await asyncio.sleep(0)
        if self.down:
            raise self.down
        return self.answer


@pytest.fixture
def service() -> Service:
    return Service()


async def refusal_of(servers: IceServers) -> str:
    """The sentence that both ends of a call are refused with."""
    with pytest.raises(RelayUnavailable) as at_the_page:
        await servers.for_page()
    with pytest.raises(RelayUnavailable) as at_the_server:
        await servers.for_server()
    assert str(at_the_page.value) == str(at_the_server.value)
    return str(at_the_page.value)


# Where they come from --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_servers", "space_id", "hf_token", "kind"),
    [
        ([], None, None, IceServers),
        ([], "", TOKEN, IceServers),  # a token is for the model's weights, too
        ([], "ann/talk", TOKEN, CloudflareIceServers),
        ([], "ann/talk", None, NoIceServers),
        ([], "ann/talk", "", NoIceServers),
        (OWN, None, None, IceServers),
        (OWN, "ann/talk", TOKEN, IceServers),
        (OWN, "ann/talk", None, IceServers),
    ],
)
def test_the_source(
    given_servers: list[IceServer], space_id: str | None, hf_token: str | None, kind: type[IceServers]
) -> None:
    assert type(choose_ice_servers(given_servers, space_id, hf_token)) is kind


async def test_at_home_there_are_none() -> None:
    assert await IceServers().for_page() == {}
    assert (await IceServers().for_server()).iceServers == []  # and not None, which would mean Google's


async def test_given_servers_go_to_both_ends() -> None:
    servers = IceServers(OWN)
    assert await servers.for_page() == {"iceServers": OWN}
    used = connection_kwargs((await servers.for_server()).iceServers or [])
    assert (used["turn_server"], used["turn_username"], used["turn_password"]) == (
        ("turn.example", 3478),
        "ann",
        "hunter2",
    )


async def test_a_space_without_token_says_what_it_needs() -> None:
    assert await refusal_of(NoIceServers()) == NO_TOKEN
    assert "secret HF_TOKEN" in NO_TOKEN


# Fetched and kept ------------------------------------------------------------------------------------


async def test_a_fetch_asks_for_long_calls_and_serves_both_ends(service: Service) -> None:
    servers = service.servers
    assert await servers.for_page() == ANSWER
    configuration = await servers.for_server()
    assert service.asked == [(TOKEN, LIFETIME_SEC)]
    used = connection_kwargs(configuration.iceServers or [])
    assert used["stun_server"] == ("stun.cloudflare.com", 3478)
    assert (used["turn_server"], used["turn_transport"]) == (("turn.cloudflare.com", 3478), "udp")
    await RTCPeerConnection(configuration).close()


async def test_credentials_are_kept_for_a_part_of_their_lifetime(service: Service) -> None:
    servers = service.servers
    await servers.for_page()
    service.now += KEPT_SEC - 1
    await servers.for_page()
    assert len(service.asked) == 1
    service.answer = {"iceServers": [RELAY | {"credential": "newer"}]}
    service.now += 1
    assert (await servers.for_page())["iceServers"][0]["credential"] == "newer"
    assert len(service.asked) == 2


async def test_many_pages_at_once_share_one_fetch_and_no_list(service: Service) -> None:
    pages = await asyncio.gather(*(service.servers.for_page() for _ in range(20)))
    assert len(service.asked) == 1
    pages[0]["iceServers"].clear()
    assert pages[1:] == [ANSWER] * 19


async def test_a_page_that_leaves_in_the_middle_hinders_nobody(service: Service) -> None:
    servers = service.servers
    first = asyncio.create_task(servers.for_page())
    second = asyncio.create_task(servers.for_page())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ANSWER
    assert first.cancelled()


# When it fails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Exception(f"Failed to get TURN credentials: 403 {TOKEN}"), TOKEN_REFUSED),
        (httpx.ConnectError(f"no route, Bearer {TOKEN}"), UNREACHABLE),
    ],
)
async def test_a_failure_is_words_without_the_token(
    service: Service, error: Exception, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.down = error
    assert await refusal_of(service.servers) == sentence
    assert len(service.asked) == 1  # the page's offer follows at once
    assert type(error).__name__ in caplog.text
    assert TOKEN not in caplog.text


async def test_a_failure_is_tried_again_later_and_bridged_by_older_credentials(
    service: Service,
) -> None:
    for after_sec, is_down, has_servers, asked in (
        (0.0, True, False, 1),
        (RETRY_AFTER_SEC - 1, False, False, 1),
        (1.0, False, True, 2),
        (KEPT_SEC, True, True, 3),  # with what was fetched before
        (1.0, True, True, 3),
        (USABLE_SEC, True, False, 4),
    ):
        service.now += after_sec
        service.down = OSError() if is_down else None
        given: object = None
        with contextlib.suppress(RelayUnavailable):
            given = await service.servers.for_page()
        assert (given, len(service.asked)) == (ANSWER if has_servers else None, asked)


async def test_a_silent_service_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FETCH_WITHIN_SEC < 12, "page.js gives up after 12 s"
    monkeypatch.setattr(ice_servers, "FETCH_WITHIN_SEC", 0.01)

    async def silence(_token: str, _lifetime_sec: int) -> object:
        return await asyncio.Event().wait()

    with pytest.raises(RelayUnavailable, match="cannot be reached now"):
        await CloudflareIceServers(TOKEN, silence).for_page()


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


# FastRTC's own helper, against a service in this process ----------------------------------------------


async def test_the_real_helper_is_asked_as_it_wants_and_its_failures_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "of someone else")
    requests: list[httpx.Request] = []

    async def told(response: httpx.Response) -> str | dict[str, object]:
        def answer(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return response

        with monkeypatch.context() as patch:
            transport = httpx.MockTransport(answer)
            patch.setattr(httpx, "AsyncClient", functools.partial(httpx.AsyncClient, transport=transport))
            try:
                return await CloudflareIceServers(TOKEN).for_page()
            except RelayUnavailable as refused:
                return str(refused)

    assert await told(httpx.Response(200, json=ANSWER)) == ANSWER
    assert requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert requests[0].url.params["ttl"] == str(LIFETIME_SEC)
    assert await told(httpx.Response(401, text=f"bad token {TOKEN}")) == TOKEN_REFUSED
    for useless in (
        httpx.Response(503, text="later"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"error": "quota"}),
    ):
        assert await told(useless) == UNREACHABLE

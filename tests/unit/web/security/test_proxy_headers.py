"""Where requests come from: headers of proxies, believed and not, and what limits and links are made of."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.security.proxy_headers import (
    ProxyHeaders,
    client_address,
    cookie_site,
    forwarded_host,
    group,
    parse_ip,
    parse_networks,
    public_url,
    trace,
)

PROXIES = ("127.0.0.1", "::1", "10.0.0.0/8", "fd00::/8")
TRUSTED = parse_networks(PROXIES)
CALLER = "203.0.113.5"
HEADER_TEXT = st.text(st.characters(max_codepoint=255), max_size=60)
ADDRESSES = st.ip_addresses().map(str)


async def never(*_: object) -> Any:
    raise AssertionError("nothing is to be received or sent")


def noting(seen: list[Scope]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    return app


def scope_of(peer: str | None, headers: dict[str, str], kind: str = "http") -> Scope:
    return {
        "type": kind,
        "path": "/",
        "query_string": b"",
        "scheme": "http" if kind == "http" else "ws",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": (peer, 40_000) if peer is not None else None,
    }


async def connection_of(
    peer: str | None = "127.0.0.1",
    headers: dict[str, str] | None = None,
    server_url: str | None = None,
    kind: str = "http",
) -> HTTPConnection:
    """What the app is given of a request."""
    seen: list[Scope] = []
    await ProxyHeaders(noting(seen), server_url, PROXIES)(scope_of(peer, headers or {}, kind), never, never)
    return HTTPConnection(seen[0])


def forwarded_for(*lines: str) -> Headers:
    return Headers(raw=[(b"x-forwarded-for", line.encode("latin-1")) for line in lines])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *[
            (written, "203.0.113.5")
            for written in ("203.0.113.5", " 203.0.113.5:8443 ", "::ffff:203.0.113.5")
        ],
        *[(written, "2001:db8::1") for written in ("2001:db8::1", "[2001:db8::1]", '"[2001:db8::1]:443"')],
        ("[::ffff:203.0.113.5]:80", "203.0.113.5"),
        ("fe80::1%eth0", "fe80::1"),
        *[
            (junk, "None")
            for junk in ("", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "[", "[]:1", "0x7f", "é")
        ],
    ],
)
def test_addresses_are_read_as_proxies_write_them(text: str, address: str):
    assert str(parse_ip(text)) == address


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ((CALLER,), CALLER),
        (("1.1.1.1, 203.0.113.5",), CALLER),  # the caller wrote the first one
        (("1.1.1.1, 203.0.113.5, 10.1.2.3",), CALLER),
        (("1.1.1.1", "203.0.113.5,10.1.2.3", "10.9.9.9"), CALLER),
        ((" , 203.0.113.5 , ,10.1.2.3:80,",), CALLER),
        (("10.0.0.7",), "10.0.0.7"),  # a proxy that asks for itself
        (("10.0.0.7, 10.0.0.8",), "10.0.0.7"),
        (("203.0.113.5, nonsense",), "None"),
        (("",), "None"),
        ((), "None"),
    ],
)
def test_of_a_trusted_chain_the_first_stranger_from_the_right_is_the_client(
    lines: tuple[str, ...], client: str
):
    assert str(trace("10.0.0.1", forwarded_for(*lines), TRUSTED).client) == client


@given(ADDRESSES, st.lists(HEADER_TEXT, max_size=4), st.integers(0, 3))
def test_what_a_caller_writes_itself_never_counts(caller: str, written: list[str], proxies: int):
    known = parse_ip(caller)
    assert known is not None
    if any(known in network for network in TRUSTED):
        return
    chain = ", ".join([*written, caller, *["10.0.0.9"] * proxies])
    assert trace("127.0.0.1", forwarded_for(chain), TRUSTED).client == known
    assert trace(caller, forwarded_for(chain), TRUSTED).client in (known, None)


@given(
    HEADER_TEXT,
    st.dictionaries(
        st.sampled_from(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]), HEADER_TEXT
    ),
)
def test_no_header_ends_in_an_error_or_in_a_strange_host(peer: str, headers: dict[str, str]):
    for asking in (peer, "127.0.0.1"):
        found = trace(asking, Headers(headers), TRUSTED)
        assert found.scheme in ("", "http", "https")
        assert not set(found.host) & set("/\\@?# \"'<>,%")
        group(found.client)


@pytest.mark.parametrize(
    ("addresses", "key"),
    [
        (("203.0.113.5", "::ffff:203.0.113.5"), "203.0.113.5"),
        (("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9"), "2001:db8:1:2::/64"),
        (("192.168.1.20",), "192.168.1.20"),
        (("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "unknown"), ""),
    ],
)
def test_limits_count_by_address_or_network(addresses: tuple[str, ...], key: str):
    assert {group(parse_ip(address)) for address in addresses} == {key}


async def test_a_client_of_the_open_internet_is_itself_whatever_it_says():
    said = {
        "X-Forwarded-For": "1.1.1.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Host": "evil.example",
    }
    connection = await connection_of(CALLER, said)
    assert client_address(connection) == CALLER
    assert connection.scope["client"] == (CALLER, 40_000)
    assert connection.scope["scheme"] == "http"
    assert public_url(connection) is None
    assert forwarded_host(connection) == ""


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", None, "testclient"])
async def test_what_comes_from_here_has_no_address(peer: str | None):
    connection = await connection_of(peer)
    assert client_address(connection) == ""
    assert (connection.scope["client"] or (None,))[0] == peer


async def test_a_neighbour_in_the_network_is_its_own_address():
    assert client_address(await connection_of("192.168.1.20")) == "192.168.1.20"


@pytest.mark.parametrize("peer", ["192.168.1.1", "172.17.0.1", "169.254.1.1", "100.64.0.1", "fe80::1"])
async def test_an_unknown_proxy_is_told_of_once_and_is_nobody(peer: str, caplog: pytest.LogCaptureFixture):
    seen: list[Scope] = []
    middleware = ProxyHeaders(noting(seen), None, PROXIES)
    for _ in range(3):
        await middleware(scope_of(peer, {"X-Forwarded-For": CALLER}), never, never)
    assert [client_address(HTTPConnection(scope)) for scope in seen] == ["", "", ""]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "Requests come through a proxy at a private address; set TRUSTED_PROXIES.")
    ]


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
async def test_a_trusted_proxy_tells_client_scheme_and_host(kind: str, scheme: str):
    said = {
        "X-Forwarded-For": CALLER,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "Talk.Example.org",
        "Host": "10.0.0.2:7860",
    }
    connection = await connection_of("127.0.0.1", said, kind=kind)
    assert client_address(connection) == CALLER
    assert connection.scope["client"] == (CALLER, 0)
    assert connection.scope["scheme"] == scheme
    assert public_url(connection) == "https://talk.example.org"
    assert forwarded_host(connection) == "talk.example.org"
    assert "Secure" in cookie_site(connection)


@pytest.mark.parametrize(
    ("proto", "host", "chain", "url"),
    [
        ("https", None, CALLER, None),
        (None, "talk.example.org", CALLER, None),
        ("ftp", "talk.example.org", CALLER, None),
        *[("https", host, CALLER, None) for host in ("a/b", "u@host", 'a"b')],
        ("WSS", "[2001:db8::1]:8443", CALLER, "https://[2001:db8::1]:8443"),
        # One proxy is trusted: what it appended counts.
        ("https,http", "evil.example, talk.example.org", CALLER, "http://talk.example.org"),
        # Two are: what the outer one said.
        ("http, https, http", "talk.example.org", f"{CALLER}, 10.0.0.3", "https://talk.example.org"),
    ],
)
async def test_the_public_address_is_what_trusted_proxies_say(
    proto: str | None, host: str | None, chain: str, url: str | None
):
    said = {"X-Forwarded-Proto": proto, "X-Forwarded-Host": host, "X-Forwarded-For": chain}
    headers = {"Host": "evil.example"} | {name: value for name, value in said.items() if value is not None}
    assert public_url(await connection_of("10.0.0.1", headers)) == url


async def test_the_configured_address_wins():
    said = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "inner.example", "Host": "evil.example"}
    for peer in ("127.0.0.1", CALLER):
        connection = await connection_of(peer, said, server_url="https://talk.example.org/app/")
        assert public_url(connection) == "https://talk.example.org/app"


async def test_without_the_middleware_nothing_is_known():
    connection = HTTPConnection({"type": "http", "scheme": "http", "headers": [], "client": (CALLER, 1)})
    assert (client_address(connection), public_url(connection), forwarded_host(connection)) == ("", None, "")


def test_a_proxy_that_is_not_an_address_is_refused_at_once():
    with pytest.raises(ValueError, match="proxy"):
        ProxyHeaders(noting([]), None, ["proxy.example.org"])

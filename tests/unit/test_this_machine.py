"""The tests' own guard: nothing in them reaches another host unnoticed."""

import socket

import httpx
import pytest

from tests.support.this_machine import refused


@pytest.mark.parametrize("url", ["http://example.org", "http://192.0.2.1", "http://[2001:db8::1]"])
def test_another_host_is_refused_and_remembered(url: str) -> None:
    with pytest.raises(httpx.ConnectError, match="stay on this machine"):
        httpx.get(url)
    assert refused.pop() in url


def test_this_machine_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    assert refused == []

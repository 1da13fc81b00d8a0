"""A network of its own for a browser: TCP reaches this machine, UDP is dropped on the way, without a word.

Linux network namespaces, so it needs root: the browser's, and a router's between it and this machine, which
drops what is UDP in both directions.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

NETWORK = 2 * (os.getpid() % 120)
SERVER, ROUTER_OUT = f"10.213.{NETWORK}.1", f"10.213.{NETWORK}.2"
ROUTER_IN, CLIENT = f"10.213.{NETWORK + 1}.1", f"10.213.{NETWORK + 1}.2"


@dataclass(frozen=True, slots=True)
class BlockedNetwork:
    """``server``: this machine's address as the browser sees it."""

    server: str
    _client: str
    _router: str

    def wrapped(self, program: str, folder: Path) -> Path:
        """A script that runs ``program`` in the browser's network."""
        script = folder / f"{Path(program).name}-in-{self._client}"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self._client} {program} "$@"\n')
        script.chmod(0o755)
        return script

    def block_udp(self) -> None:
        """From now on UDP is dropped by the router. Before, everything passes."""
        _ip("-n", self._router, "rule", "add", "pref", "1", "ipproto", "udp", "blackhole")


@contextlib.contextmanager
def network_of_a_browser() -> Generator[BlockedNetwork]:
    """Skips the test where no network can be made."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("A network that drops UDP needs root and the program ip (Debian: iproute2).")
    client, router = f"client{os.getpid()}", f"router{os.getpid()}"
    outside = f"out{os.getpid()}"
    try:
        _build(client, router, outside)
        yield BlockedNetwork(SERVER, client, router)
    finally:
        for namespace in (client, router):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", outside], check=False, capture_output=True)


def _build(client: str, router: str, outside: str) -> None:
    try:
        _ip("netns", "add", client)
        _ip("netns", "add", router)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "out", "netns", router)
        _ip("-n", router, "link", "add", "in", "type", "veth", "peer", "name", "in", "netns", client)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"Network namespaces cannot be made here: {error.stderr.strip()}")
    # An IPv6 address that is there a second later would be a change of the network, at which Chromium drops
    # the requests it is making.
    _set(client, "ipv6/conf/all/disable_ipv6", "1")
    _set(router, "ipv4/ip_forward", "1")
    _ip("address", "add", f"{SERVER}/30", "dev", outside)
    _ip("link", "set", outside, "up")
    _ip("route", "add", f"{CLIENT}/32", "via", ROUTER_OUT)
    for namespace, name, address in (
        (router, "out", ROUTER_OUT),
        (router, "in", ROUTER_IN),
        (client, "in", CLIENT),
    ):
        _ip("-n", namespace, "address", "add", f"{address}/30", "dev", name)
        _ip("-n", namespace, "link", "set", name, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
    _ip("-n", client, "route", "add", "default", "via", ROUTER_IN)


def _set(namespace: str, name: str, value: str) -> None:
    """In the namespace's /proc/sys/net."""
    command = f"[ ! -e /proc/sys/net/{name} ] || echo {value} > /proc/sys/net/{name}"
    _ip("netns", "exec", namespace, "sh", "-c", command)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

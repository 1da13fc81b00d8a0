"""The tunnel with shell scripts in the place of frpc, and a relay's address from a server on loopback."""

import asyncio
import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from gradio import networking, tunneling

from personaplex_ui.channels.fastrtc_phone import frpc, tunnel
from personaplex_ui.channels.fastrtc_phone.tunnel import GradioTunnel, Relay, host_of, relay_at
from personaplex_ui.errors import PhoneUnavailable
from tests.support.answering_machine import AnsweringMachine, answering_machine
from tests.support.running import until

RELAY = [{"host": "relay.example.org", "port": "7000", "root_ca": "-----BEGIN CERTIFICATE-----"}]
OPENS = 'echo "2025/01/01 [I] start proxy success: https://abc123.gradio.live"\n'
STAYS = "exec sleep 60\n"


class Program:
    """The script that is run instead of frpc."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "frpc"
        self._pid = folder / "pid"
        self.arguments = folder / "arguments"

    def write(self, script: str) -> None:
        self.path.write_text(f'#!/bin/sh\necho $$ > {self._pid}\necho "$@" > {self.arguments}\n{script}')
        self.path.chmod(0o755)

    @property
    def started(self) -> bool:
        return self._pid.exists() and bool(self._pid.read_text().strip())

    @property
    def running(self) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self._pid.read_text()), 0)
            return True
        return False


def keep_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tunnel.tempfile, "TemporaryDirectory", functools.partial(TemporaryDirectory[str], dir=folder)
    )


def text_of(path: str) -> str:
    return Path(path).read_text()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tunnel")]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    program = Program(tmp_path)
    program.write(OPENS + STAYS)
    monkeypatch.setattr(tunneling, "BINARY_PATH", str(program.path))
    monkeypatch.setattr(tunneling, "BINARY_FOLDER", tmp_path)
    return program


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringMachine]:
    with answering_machine() as api:
        api.answers["/tunnel"] = (200, RELAY)
        monkeypatch.setattr(networking, "GRADIO_API_SERVER", f"{api.url}/tunnel")
        monkeypatch.setattr(networking, "GRADIO_SHARE_SERVER_ADDRESS", None)
        yield api


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an empty folder for temporary files in it."""
    folder = tmp_path / "work"
    (folder / "tmp").mkdir(parents=True)
    monkeypatch.chdir(folder)
    keep_in(folder / "tmp", monkeypatch)
    return folder


@pytest.fixture
async def opened(api: AnsweringMachine, program: Program, work: Path) -> GradioTunnel:
    return GradioTunnel(lambda: httpx.AsyncClient(trust_env=False))


@pytest.fixture(autouse=True)
def nothing_left(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert tunneling.CURRENT_TUNNELS == []
    assert threads() == []
    assert capfd.readouterr() == ("", "")


async def fails(opened: GradioTunnel, sentence: str) -> None:
    with pytest.raises(PhoneUnavailable) as caught:
        await opened.open(4321)
    assert str(caught.value) == sentence
    await until(lambda: not threads())


# Open ------------------------------------------------------------------------------------------------


async def test_the_public_host_leads_to_the_port_until_it_is_closed(
    opened: GradioTunnel, program: Program, work: Path
):
    assert await opened.open(4321) == "abc123.gradio.live"
    arguments = program.arguments.read_text().split()
    assert arguments[arguments.index("-l") + 1] == "4321"
    assert arguments[arguments.index("-i") + 1] == "127.0.0.1"
    assert arguments[arguments.index("--server_addr") + 1] == "relay.example.org:7000"
    assert text_of(arguments[arguments.index("--tls_trusted_ca_file") + 1]) == RELAY[0]["root_ca"]
    assert program.running
    assert tunneling.CURRENT_TUNNELS == []
    await opened.close()
    assert not program.running
    assert names_in(work) == ["tmp"]
    await opened.close()


async def test_a_closed_tunnel_can_be_opened_again(opened: GradioTunnel, program: Program):
    for _ in range(2):
        assert await opened.open(4321) == "abc123.gradio.live"
        await opened.close()


async def test_a_program_that_will_not_end_is_killed(
    opened: GradioTunnel, program: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(frpc, "ENDS_WITHIN_SEC", 0.1)
    program.write(OPENS + "trap '' TERM\nwhile :; do sleep 0.02; done\n")
    await opened.open(4321)
    await opened.close()
    await until(lambda: not program.running and not threads())


async def test_a_relay_of_ones_own_is_used_as_gradio_does(
    opened: GradioTunnel, program: Program, api: AnsweringMachine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(networking, "GRADIO_SHARE_SERVER_ADDRESS", "own.example.org:7001")
    await opened.open(4321)
    assert "own.example.org:7001" in program.arguments.read_text()
    assert "--tls_enable" not in program.arguments.read_text()
    assert api.asked == []
    await opened.close()


async def test_what_the_program_says_later_is_read_on(opened: GradioTunnel, program: Program, tmp_path: Path):
    noise = "head -c 300000 /dev/zero | tr '\\0' '\\n'"
    program.write(f"{OPENS}{noise}\n{noise} >&2\ntouch {tmp_path}/said\n{STAYS}")
    await opened.open(4321)
    await until((tmp_path / "said").exists)
    await opened.close()


@pytest.mark.parametrize(
    "break_off",
    ["exit 1\n", OPENS.replace("abc123", "other") + STAYS, "echo login to server failed\n" + STAYS],
)
async def test_a_tunnel_that_leads_here_no_more_is_told(
    opened: GradioTunnel, program: Program, tmp_path: Path, break_off: str
):
    program.write(f"{OPENS}while [ ! -e {tmp_path}/break ]; do sleep 0.01; done\n{break_off}")
    await opened.open(4321)
    lost = asyncio.create_task(opened.lost())
    await asyncio.sleep(0.05)
    assert not lost.done()
    (tmp_path / "break").touch()
    assert await lost == tunnel.LOST
    await opened.close()


# Not opened ------------------------------------------------------------------------------------------


async def test_a_program_that_hangs_is_given_up(opened: GradioTunnel, program: Program):
    program.write(STAYS)
    opened._within_sec = 0.4  # pyright: ignore[reportPrivateUsage]
    await fails(opened, tunnel.TOO_LATE)
    assert not program.running


async def test_a_cancelled_opening_leaves_nothing(opened: GradioTunnel, program: Program, work: Path):
    program.write(STAYS)
    opening = asyncio.create_task(opened.open(4321))
    await until(lambda: program.started)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not program.running
    assert names_in(work) == ["tmp"]
    await until(lambda: not threads())


@pytest.mark.parametrize(
    "script", ["exit 1\n", "echo dial failed\nexit 1\n", "echo login to server failed\n" + STAYS]
)
async def test_a_program_that_gives_up_is_not_waited_for(opened: GradioTunnel, program: Program, script: str):
    program.write(script)
    await fails(opened, frpc.REFUSED)
    assert not program.running


async def test_an_address_that_is_none_is_not_used(opened: GradioTunnel, program: Program):
    program.write("echo 'start proxy success: https://[x'\n" + STAYS)
    await fails(opened, frpc.REFUSED)
    assert not program.running


async def test_a_program_that_cannot_be_run(opened: GradioTunnel, program: Program):
    program.path.chmod(0o644)
    await fails(opened, frpc.NOT_RUNNING)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (200, b"<html>"),
        (200, b"[" * 60_000),
        (200, b" " * 70_000),
        (200, []),
        (200, {}),
        (200, [1]),
        (200, [{"host": "-evil", "port": 1, "root_ca": ""}]),
        (200, [{"host": "h", "port": "1 --x", "root_ca": ""}]),
        (200, [{"host": "h", "port": 1}]),
    ],
)
async def test_a_relay_that_is_not_told(
    opened: GradioTunnel, program: Program, api: AnsweringMachine, answer: tuple[int, object]
):
    api.answers["/tunnel"] = answer
    await fails(opened, tunnel.NO_RELAY)
    assert not program.started


async def test_nobody_who_tells_the_relay(opened: GradioTunnel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(networking, "GRADIO_API_SERVER", "http://127.0.0.1:1/")
    await fails(opened, tunnel.NO_RELAY)


async def test_nowhere_to_keep_the_certificate(
    opened: GradioTunnel, work: Path, monkeypatch: pytest.MonkeyPatch
):
    keep_in(work / "missing", monkeypatch)
    await fails(opened, tunnel.NO_FOLDER)


@pytest.mark.parametrize(("status", "content"), [(403, b""), (500, b""), (200, b"not the program")])
async def test_a_program_that_cannot_be_fetched(
    opened: GradioTunnel,
    program: Program,
    api: AnsweringMachine,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    content: bytes,
):
    program.path.unlink()
    url = f"{api.url}/frpc"
    api.answers["/frpc"] = (status, content)
    monkeypatch.setattr(tunneling, "BINARY_URL", url)
    monkeypatch.setitem(tunneling.CHECKSUMS, url, "0" * 64)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    await fails(opened, frpc.NO_PROGRAM if status != 200 else frpc.WRONG_PROGRAM)
    assert not program.path.exists()


async def test_a_download_that_hangs_is_given_up(
    opened: GradioTunnel, program: Program, api: AnsweringMachine, monkeypatch: pytest.MonkeyPatch
):
    fetching, going = threading.Event(), threading.Event()

    def download() -> None:
        fetching.set()
        going.wait(10.0)

    monkeypatch.setattr(tunneling.Tunnel, "download_binary", staticmethod(download))
    opened._within_sec = 0.3  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(PhoneUnavailable) as caught:
        await opened.open(4321)
    assert str(caught.value) == tunnel.TOO_LATE
    assert fetching.is_set()
    going.set()
    await until(lambda: not threads())
    assert not program.started


# Addresses -------------------------------------------------------------------------------------------


def test_hosts_of_urls():
    assert host_of("https://abc.gradio.live") == "abc.gradio.live"
    assert host_of("http://127.0.0.1:8080/x") == "127.0.0.1:8080"
    for url in ("", "abc.gradio.live", "https://", "https://a b", 'https://a"/', "https://a@b", "ftp://a"):
        with pytest.raises(PhoneUnavailable):
            host_of(url)


def test_a_relay_of_ones_own():
    assert relay_at("a.org:7000") == Relay("a.org", 7000)
    for address in ("", "a.org", "a.org:", ":7000", "a.org:x", "-a:1"):
        with pytest.raises(PhoneUnavailable, match="GRADIO_SHARE_SERVER_ADDRESS"):
            relay_at(address)

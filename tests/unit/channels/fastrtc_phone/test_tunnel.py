"""The tunnel: Gradio's own in a real child process with a shell script in frpc's place, and what can fail."""

import asyncio
import contextlib
import functools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from gradio import tunneling

from personaplex_ui.channels.fastrtc_phone import tunnel, tunnel_process
from personaplex_ui.channels.fastrtc_phone.tunnel import Tunnel, gradio_tunnel
from personaplex_ui.errors import PhoneUnavailable
from tests.support.running import until

URL = "https://abc123.gradio.live"
OPENS = f'echo "2025/01/01 [I] start proxy success: {URL}"\n'
STAYS = "exec sleep 60\n"


def is_running(pid_file: Path) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
        return True
    return False


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which tunnels make theirs, of which nothing is left."""
    folder = tmp_path / "work"
    folder.mkdir()
    made = functools.partial(tempfile.TemporaryDirectory[str], dir=folder)
    monkeypatch.setattr(tunnel.tempfile, "TemporaryDirectory", made)
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def frpc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a script in frpc's place, for child processes; returns the file with its arguments and its pid."""
    folder = tmp_path / "hub/gradio/frpc"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("GRADIO_SHARE_SERVER_ADDRESS", "relay.example.org:7000")

    def write(script: str) -> Path:
        path = folder / tunneling.BINARY_FILENAME
        path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho $$ > {tmp_path}/pid\n{script}')
        path.chmod(0o755)
        return tmp_path / "arguments"

    return write


# Gradio's own tunnel ----------------------------------------------------------------------------------


async def test_the_public_host_leads_to_the_port_until_it_is_closed(
    frpc: Callable[[str], Path], work: Path, tmp_path: Path
) -> None:
    arguments = frpc(OPENS + "trap '' TERM\nwhile :; do sleep 0.02; done\n")
    async with gradio_tunnel(4321) as opened:
        assert opened.host == "abc123.gradio.live"
        given = arguments.read_text().split()
        assert given[given.index("-l") + 1] == "4321"
        assert given[given.index("-i") + 1] == "127.0.0.1"
        assert given[given.index("--server_addr") + 1] == "relay.example.org:7000"
        assert is_running(tmp_path / "pid")
        assert not opened.lost.done()
    await until(lambda: not is_running(tmp_path / "pid"))


async def test_a_tunnel_that_ends_is_told(frpc: Callable[[str], Path], work: Path, tmp_path: Path) -> None:
    frpc(f"{OPENS}while [ ! -e {tmp_path}/break ]; do sleep 0.01; done\n")
    async with gradio_tunnel(4321) as opened:
        (tmp_path / "break").touch()
        assert await opened.lost == tunnel.LOST


def opened_by_one_that_is_gone(folder: Path) -> str:
    command, pipe = [sys.executable, "-P", tunnel_process.__file__, "4321"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=folder, start_new_session=True) as child:
        assert child.stdout is not None
        return child.stdout.readline().decode().strip()
        # On leaving, its input is closed, as the system does when the process that has it is gone.


async def test_the_tunnel_dies_with_whoever_opened_it(frpc: Callable[[str], Path], tmp_path: Path) -> None:
    frpc(OPENS + STAYS)
    assert await asyncio.to_thread(opened_by_one_that_is_gone, tmp_path) == URL
    await until(lambda: not is_running(tmp_path / "pid"))


@pytest.mark.parametrize("script", ["echo login to server failed\n" + STAYS, "chmod"])
async def test_why_gradio_opened_none_is_told(frpc: Callable[[str], Path], work: Path, script: str) -> None:
    arguments = frpc(script)
    if script == "chmod":
        (arguments.parent / "hub/gradio/frpc" / tunneling.BINARY_FILENAME).chmod(0o644)
    sentence = tunnel.NO_PROGRAM if script == "chmod" else tunnel.REFUSED
    assert await refusal(gradio_tunnel(4321)) == sentence


@pytest.mark.parametrize(
    "break_off",
    ["exit 1\n", OPENS.replace("abc123", "other") + STAYS, "echo login to server failed\n" + STAYS],
)
def test_a_tunnel_that_leads_here_no_more_is_noticed_behind_any_noise(break_off: str) -> None:
    noise = "head -c 300000 /dev/zero | tr '\\0' '\\n'"
    script = f"{noise}\n{noise} >&2\n{OPENS}{break_off}"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        tunnel_process.wait_until_lost(process, URL)
        assert "sleep" not in break_off or process.poll() is None, "noticed while frpc goes on"
        process.kill()
        for drain in [thread for thread in threading.enumerate() if thread.name == "frpc's errors"]:
            drain.join()


# What a child can say -----------------------------------------------------------------------------------


def stub(script: str, within_sec: float = 20.0) -> AbstractAsyncContextManager[Tunnel]:
    return gradio_tunnel(4321, ("sh", "-c", script), within_sec)


async def refusal(opening: AbstractAsyncContextManager[Tunnel]) -> str:
    with pytest.raises(PhoneUnavailable) as caught:
        async with opening:
            pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "host"), [(URL, "abc123.gradio.live"), ("http://127.0.0.1:8080/x", "127.0.0.1:8080")]
)
async def test_the_host_is_taken(work: Path, line: str, host: str) -> None:
    async with stub(f"echo '{line}'; {STAYS}") as opened:
        assert opened.host == host


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo RuntimeError: no relay", tunnel.NO_RELAY),
        ("echo ChecksumMismatchError:", tunnel.WRONG_PROGRAM),
        ("echo ValueError: login failed", tunnel.REFUSED),
        ("echo ConnectError: no network", tunnel.NO_PROGRAM),
        ("exit 1", tunnel.NO_PROGRAM),
        ("head -c 300000 /dev/zero; sleep 60", tunnel.NO_PROGRAM),
        *[
            (f"echo '{url}'", tunnel.REFUSED)
            for url in ("https://", "https://a b", 'https://a"/', "https://a@b")
        ],
    ],
)
async def test_what_failed_is_told(
    work: Path, script: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await refusal(stub(script)) == sentence
    assert "The tunnel's process said" in caplog.text


async def test_one_that_hangs_is_given_up(work: Path, tmp_path: Path) -> None:
    assert await refusal(stub(f"echo $$ > {tmp_path}/pid; {STAYS}", 0.4)) == tunnel.TOO_LATE
    assert not is_running(tmp_path / "pid")


async def test_a_cancelled_opening_leaves_nothing(work: Path, tmp_path: Path) -> None:
    opening = asyncio.create_task(refusal(stub(f"echo $$ > {tmp_path}/pid; {STAYS}")))
    await until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not is_running(tmp_path / "pid")


async def test_no_process_at_all(work: Path) -> None:
    assert await refusal(gradio_tunnel(4321, (str(work / "nothing"),))) == tunnel.NO_PROCESS

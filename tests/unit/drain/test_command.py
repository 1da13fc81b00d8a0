"""The command, with a server that only tells its capacity, and processes that it must not end."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from personaplex_ui.drain import command
from personaplex_ui.drain.command import CannotDrain, ask_to_drain, wait_for_calls
from personaplex_ui.drain.own_server import OF_A_CAPACITY
from tests.support.told_capacity import Told, answering


@pytest.fixture
def told() -> Told:
    """What the server tells, one after the other; the last one again and again."""
    return []


@pytest.fixture
def url(told: Told) -> Iterator[str]:
    with answering(told) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ASK_EVERY_SEC", 0.01)


def draining(calls: int) -> dict[str, Any]:
    return capacity(calls) | {"draining": True}


def capacity(calls: int) -> dict[str, Any]:
    return dict.fromkeys(OF_A_CAPACITY, 0) | {"draining": False, "live_calls": calls}


def test_it_waits_until_no_call_goes_on(told: Told, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    told += [capacity(2), draining(2), draining(2), draining(1), draining(0)]
    assert wait_for_calls(url, float("inf")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "No new calls are taken; 2 go on.",
        "No new calls are taken; 1 go on.",
        "No call goes on any more.",
    ]


def test_it_waits_no_longer_than_told(told: Told, url: str) -> None:
    told.append(draining(3))
    assert wait_for_calls(url, 0.05) == 3


def test_a_server_that_has_ended_has_no_calls(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert wait_for_calls(f"http://127.0.0.1:{port}", 60.0) == 0
    assert "has ended" in capsys.readouterr().out


def test_a_server_that_does_not_drain(told: Told, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BEGINS_WITHIN_SEC", 0.05)
    told.append(capacity(0))
    with pytest.raises(CannotDrain, match="does not say"):
        wait_for_calls(url, 60.0)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("", "is not this app"),
        ("# personaplex_ui, which is just starting", "no server that can be drained"),
        ("signal.signal(signal.SIGUSR1, end)", "is not this app"),
        ("signal.signal(signal.SIGUSR1, end)  # names personaplex_ui", "does not tell its calls"),
    ],
)
def test_what_is_not_this_app_gets_no_signal(
    program: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last two handle the signal as HAProxy does."""
    script = "import signal, socket\ndef end(*_): raise SystemExit(9)\n"
    script += f"s = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n{program}\n"
    script += "print(s.getsockname()[1], flush=True)\ninput()"
    monkeypatch.setattr(command, "ANSWER_WITHIN_SEC", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        monkeypatch.setenv("PORT", other.stdout.readline().strip())
        monkeypatch.setenv("ENV_FILE", "/dev/null")
        assert command.main(["--wait"]) == 1
        assert words in capsys.readouterr().err
        assert other.poll() is None
        other.communicate("\n", timeout=20)
    assert other.returncode == 0


def test_a_proxy_that_passes_the_answer_on_gets_no_signal(told: Told, url: str) -> None:
    """This process: what it answers is the app's, but it is another program."""
    got: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: got.append(number))
    told.append(capacity(1))
    try:
        with pytest.raises(CannotDrain, match="is not this app"):
            ask_to_drain(int(url.rpartition(":")[2]), url)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == []


def test_the_app_itself_gets_the_signal(told: Told, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "is_this_app", os.getpid().__eq__)
    sent: list[tuple[int, int]] = []

    def catches(pid: int, number: int) -> bool:
        return True

    def kill(pid: int, number: int) -> None:
        sent.append((pid, number))

    monkeypatch.setattr(command, "catches", catches)
    monkeypatch.setattr(os, "kill", kill)
    told.append(capacity(1))
    ask_to_drain(int(url.rpartition(":")[2]), url)
    assert sent == [(os.getpid(), signal.SIGUSR1)]


def test_nobody_listens_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PORT", str(probe.getsockname()[1]))
        assert command.main([]) == 1
    assert "Set PORT to its port" in capsys.readouterr().err

"""Which processes are this app, in a /proc of the test's own, and which answers are its."""

from pathlib import Path

import httpx
import pytest

from personaplex_ui.drain.own_server import OF_A_CAPACITY, capacity_at, is_this_app, local_url
from tests.support.told_capacity import answering


@pytest.mark.parametrize(
    ("program", "arguments", "is_ours"),
    [
        ("python3.11", "-m personaplex_ui serve", True),
        ("python3", "-X dev -Im personaplex_ui serve", True),
        ("python3.11", "/usr/bin/personaplex-ui serve", True),
        ("python3.11", "-u app.py", True),
        ("python3.11", "other.py", False),
        ("python3.11", "other.py -m personaplex_ui", False),
        ("python3.11", "missing.py", False),
        ("python3.11", "-m http.server", False),
        ("python3.11", "", False),
        ("haproxy", "-f personaplex_ui/haproxy.cfg", False),
        ("nginx", "app.py", False),
    ],
)
def test_a_process_is_this_app(tmp_path: Path, program: str, arguments: str, is_ours: bool) -> None:
    process, scripts = tmp_path / "41", tmp_path / "folder"
    (process / "root" / "usr/bin").mkdir(parents=True)
    (process / "root" / "usr/bin/personaplex-ui").write_text("from personaplex_ui.cli import main")
    scripts.mkdir()
    (scripts / "app.py").write_text("from personaplex_ui.cli import serve")
    (scripts / "other.py").write_text("import http.server")
    (process / "cwd").symlink_to(scripts)
    (process / "exe").symlink_to(f"/usr/bin/{program}")
    (process / "cmdline").write_bytes("\0".join([program, *arguments.split(), ""]).encode())
    assert is_this_app(41, tmp_path) is is_ours


def test_a_process_of_another_user_or_that_has_ended_is_not(tmp_path: Path) -> None:
    assert not is_this_app(41, tmp_path)


def test_where_it_answers() -> None:
    assert local_url("0.0.0.0", 80) == local_url("", 80) == "http://127.0.0.1:80"
    assert local_url("::1", 80) == local_url("[::1]", 80) == "http://[::1]:80"


def test_only_a_whole_capacity_is_its_answer() -> None:
    whole = dict.fromkeys(OF_A_CAPACITY, 0)
    with httpx.Client(trust_env=False) as client:
        for told, ours in ((whole, True), ({"draining": True, "live_calls": 0}, False)):
            with answering(told) as port:
                assert bool(capacity_at(client, local_url("", port))) is ours
        assert capacity_at(client, local_url("", port)) is None

"""``deploy/cloudrun/setup.sh``: what is not its own stays; signals, logs and odd values do not trip it."""

import os
import select
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.cloudrun import (
    ALL,
    LEAST,
    PROJECT,
    ROOT,
    SETUP,
    TWILIO,
    WITHIN_SEC,
    CloudRun,
    deployed_with,
    variables_of,
)

KEY = "personaplex-api-key"
BUILDER = "personaplex-build@my-project.iam.gserviceaccount.com"
DELETE = ("--delete", "--yes", "--with-bucket")


@pytest.fixture
def cloud(tmp_path: Path) -> CloudRun:
    return CloudRun(tmp_path)


# Where it writes, how it ends -----------------------------------------------------------------------


def test_a_log_is_added_to_and_may_be_a_socket(cloud: CloudRun, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("what stood there before\n")
    with log.open("a") as end:
        made = subprocess.run(
            [SETUP], env=cloud.environment(LEAST), stderr=end, stdout=end, timeout=WITHIN_SEC
        )
    assert made.returncode == 0
    lines = log.read_text().splitlines()
    assert lines[0] == "what stood there before"
    assert "Signed in as ann@example.org, project my-project, region europe-west4" in lines
    assert "Service [personaplex] has been deployed." in lines, "what gcloud says is shown as it comes"

    ours, its = socket.socketpair()
    changed = {**LEAST, "MAX_CALLS": "2"}
    with ours, its:
        again = subprocess.run(
            [SETUP],
            env=cloud.environment(changed),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=its.fileno(),
            timeout=WITHIN_SEC,
        )
        its.close()
        assert (again.returncode, ours.recv(65_536)) == (0, b"Service [personaplex] has been deployed.\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_it_alone_ends_it_and_the_build(cloud: CloudRun, number: signal.Signals) -> None:
    os.mkfifo(cloud.state / "building")
    running = subprocess.Popen(
        [SETUP],
        env=cloud.environment(LEAST),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    building = os.open(cloud.state / "building", os.O_WRONLY)  # as soon as the build reads
    try:
        running.send_signal(number)
        _, complained = running.communicate(timeout=WITHIN_SEC)
        assert running.returncode == 130
        assert b"Interrupted while building the image." in complained
        nobody_reads = select.poll()
        nobody_reads.register(building, 0)
        assert nobody_reads.poll(WITHIN_SEC * 1000) == [(building, select.POLLERR)]
    finally:
        os.close(building)


# What leaves this machine ---------------------------------------------------------------------------


def test_the_build_gets_neither_voices_nor_what_lies_about(tmp_path: Path) -> None:
    sent = {
        *(".dockerignore", "Dockerfile", "LICENSE", "app.py", "requirements.txt", "personaplex_ui/cli.py"),
        *("personaplex_ui/ui/static/page.css", "voices/README.md", "voices/catalogue.json"),
    }
    stay = {
        *("voices/mine.WAV", "voices/boss.mp3", "voices/old/me.pt", ".env", ".git/config", "README.md"),
        *("personaplex_ui/.env.production", "personaplex_ui/.cli.py.swp", "personaplex_ui/ui/.idea/a.xml"),
        *("personaplex_ui/calls.sqlite3-wal", "personaplex_ui/calls.sqlite3", "personaplex_ui/cli.py~"),
        *("personaplex_ui/__pycache__/cli.pyc", "tests/test_cli.py", "docs/notes of clients.txt"),
    }
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for path in sent | stay - {".git/config"}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    # gcloud reads it as git does.
    ignored = f"--exclude-from={SETUP.parent / 'source.ignore'}"
    listed = subprocess.run(
        ["git", "-C", tmp_path, "ls-files", "--others", "-z", ignored],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {*listed.stdout.split("\0")} - {""} == sent

    # Docker's rules have no names at any depth; else they are the same, and the last one that fits counts.
    def rules(path: Path) -> set[str]:
        lines = (line.strip().removeprefix("**/").strip("/") for line in path.read_text().splitlines())
        return {line.replace("!/", "!") for line in lines if line and not line.startswith("#")}

    only_here = {"!.dockerignore", "!Dockerfile"}  # Docker always has them
    assert rules(SETUP.parent / "source.ignore") - only_here == rules(ROOT / ".dockerignore")


# What is not its own --------------------------------------------------------------------------------


def test_what_others_made_is_not_deleted(cloud: CloudRun) -> None:
    others = {
        "service personaplex": ",,personaplex-00007,personaplex-00007\n",
        "repository personaplex": "\n",
        f"secret {KEY}": "1 \n",
        f"value {KEY} 1": "theirs",
        f"account {BUILDER}": "Builds the shop\n",
        "rights my-project": f"roles/logging.logWriter,serviceAccount:{BUILDER}\n",
        "bucket gs:__holiday-photos": "\n",
        "object gs:__holiday-photos_personaplex-7b-v1_beach.jpg": "no mark, so it is not ours",
        "object gs:__holiday-photos_sources_film.mov": "",
    }
    for name, content in others.items():
        (cloud.state / name).write_text(content)
    before = cloud.contents()
    ran = cloud.run(*DELETE, **PROJECT, BUCKET="holiday-photos")
    assert (ran.code, ran.changes) == (0, [])
    assert ran.said.count(": is not ours (no made_by=personaplex-setup): stays") == 5
    assert cloud.contents() == before

    ran = cloud.run(**LEAST)
    assert ran.code == 1
    assert "has a service personaplex that this script did not make" in ran.complained
    assert not any(words.startswith("builds") for words in ran.changes), "told before all that takes long"


def test_of_a_bucket_that_was_there_only_what_was_put_in_is_deleted(cloud: CloudRun) -> None:
    photos = {"bucket gs:__holiday-photos": "\n", "object gs:__holiday-photos_beach.jpg": "sand"}
    for name, content in photos.items():
        (cloud.state / name).write_text(content)
    assert cloud.run(**LEAST, BUCKET="holiday-photos").code == 0
    assert len([name for name in cloud.contents() if "holiday-photos" in name]) == 6
    ran = cloud.run(*DELETE, **PROJECT, BUCKET="holiday-photos")
    assert ran.code == 0
    left = {name: text for name, text in cloud.contents().items() if "holiday" in name}
    assert {name: text for name, text in left.items() if not name.startswith("rights")} == photos
    assert not any(
        name.startswith(("service ", "secret", "account", "repository")) for name in cloud.contents()
    )


# What an error means --------------------------------------------------------------------------------


def test_after_a_setup_that_broke_off_early_all_can_be_deleted(cloud: CloudRun) -> None:
    cloud.put(**{"not-enabled": "run\nartifacts\nsecrets\niam\n"})
    ran = cloud.run(*DELETE, **PROJECT)
    assert (ran.code, ran.changes) == (0, []), ran.complained
    assert ran.said.count("is not there") > 10


@pytest.mark.parametrize(
    "error", ["Python 3.12 was not found.", "/opt/personaplex/bin/gcloud: python3: command not found"]
)
def test_an_error_that_only_sounds_like_absence_stops_it(cloud: CloudRun, error: str) -> None:
    cloud.run(**LEAST)
    there = cloud.contents()
    failed = cloud.state / "failed"
    (failed / "auth list   ").write_text("")
    cloud.put(**{"fail-each-once": error})
    ran = cloud.run(*DELETE, **PROJECT)
    assert (ran.code, ran.changes) == (1, [])
    assert error in ran.complained
    assert cloud.contents() == there


def test_a_secret_that_was_disabled_gets_a_new_version(cloud: CloudRun) -> None:
    assert cloud.run(**ALL).code == 0
    (cloud.state / f"disabled {KEY}").write_text("")
    without = {name: value for name, value in ALL.items() if name != "API_KEY"}
    assert "has no value that can be read; set API_KEY." in cloud.run(**without).complained
    ran = cloud.run(**ALL)
    assert (ran.code, ran.changes) == (0, [f"secrets versions add {KEY}", "run deploy personaplex"])


def test_a_refusal_is_not_taken_for_a_secret_that_is_missing(cloud: CloudRun) -> None:
    (cloud.state / "signed-in").unlink()
    assert "run 'gcloud auth login'" in cloud.run(**PROJECT).complained
    cloud.put(**{"signed-in": "ann@example.org", "fail-each-once": "PERMISSION_DENIED: not for ann"})
    (cloud.state / "failed" / "auth list   ").write_text("")
    ran = cloud.run(**PROJECT)
    assert (ran.code, ran.changes) == (1, [])
    assert "Stopped while looking for the secret personaplex-hf-token: your account lacks a right" in (
        ran.complained
    )


# Odd values -----------------------------------------------------------------------------------------


def test_a_dry_run_needs_no_secret(cloud: CloudRun) -> None:
    dry = cloud.run("--dry-run", **PROJECT, **TWILIO, TURN_URLS="turn:turn.example.org", TURN_USERNAME="ann")
    assert (dry.code, dry.calls) == (0, []), dry.complained
    assert "gcloud run deploy" in dry.said


def test_line_ends_around_values_are_no_part_of_them(cloud: CloudRun) -> None:
    key = 'with "quotes" and \\ in it'
    odd = {"HF_TOKEN": "hf_FirstSecret\n", "API_KEY": f"{key}\r\n", "MAX_CALL_SECONDS": "0900"}
    given = variables_of(deployed_with(cloud, {**PROJECT, **odd, "SERVER_URL": "https://talk.example.org/"}))
    assert given["SERVER_URL"] == "https://talk.example.org"
    asked = [call.arguments[-1] for call in cloud.calls() if call.arguments[0] == "curl"]
    assert asked == ["https://talk.example.org/health"]
    kept = cloud.contents()
    assert (kept["value personaplex-hf-token 1"], kept[f"value {KEY} 1"]) == ("hf_FirstSecret", key)
    options = (cloud.state / "inputs").read_text()
    assert 'header = "Authorization: Bearer with \\"quotes\\" and \\\\ in it"\n' in options
    again = cloud.run(**PROJECT, **odd, SERVER_URL="https://talk.example.org/")
    assert (again.code, again.changes) == (0, [])

    ran = cloud.run(**PROJECT, **{**odd, "API_KEY": 'a"\nurl = "http://192.0.2.1'})
    assert (ran.code, ran.changes) == (2, [])
    assert "API_KEY has several lines" in ran.complained

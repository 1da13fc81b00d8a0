"""Finding a checkpoint's files, with the real client of the hub against a hub on loopback.

What breaks off, comes in parts or is left over from before: tests/field/test_c08_parallel_download.py.
"""

import errno
import json
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace

import pytest

from personaplex_ui.models.personaplex.hub import download
from personaplex_ui.models.personaplex.hub.cache import free_bytes
from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable, Config
from tests.support.hub_stub import (
    REPO,
    TINY,
    TOKEN,
    WEIGHTS,
    HubStub,
    Refusal,
    Reports,
    Request,
    find,
    keep_to_loopback,
    refusal,
    serving,
    tiny_files,
)

MIMI = "tokenizer-e351c8d8-checkpoint125.safetensors"
AWAY = HubStub(REPO, {}, url="http://127.0.0.1:9")
"""A hub that cannot be reached."""


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keep_to_loopback(monkeypatch, tmp_path)


@pytest.fixture
def stub() -> Generator[HubStub]:
    with serving(HubStub(REPO, tiny_files())) as hub:
        yield hub


def refusing(status: int, code: str = "", only: str = "", message: str = "") -> "Refuse":
    return Refuse((status, {"X-Error-Code": code, "X-Error-Message": message}), only)


class Refuse:
    """Refuses requests whose path holds ``only``."""

    def __init__(self, refusal: Refusal, only: str) -> None:
        self._refusal, self._only = refusal, only

    def __call__(self, request: Request) -> Refusal | None:
        return self._refusal if self._only in request.path else None


# What works


def test_all_files_are_fetched_and_the_second_time_none(stub: HubStub, tmp_path: Path) -> None:
    reports = Reports()
    files = find(stub, tmp_path, report=reports)
    assert files.weights.read_bytes() == stub.files[WEIGHTS]
    assert files.mimi.read_bytes() == stub.files[MIMI]
    assert files.tokenizer.read_bytes() == stub.files["tokenizer_spm_32k_3.model"]
    assert files.voices is not None
    assert files.voices.read_bytes() == stub.files["voices.tgz"]
    assert files.config == json.loads(stub.files["config.json"])
    assert files.mimi_config == json.loads(stub.files["mimi_config.json"])
    assert files.repo == REPO
    assert "NVIDIA Open Model License" in files.licence_note
    assert reports.told[0] == (f"Asking the hub for {REPO}.", 0.0)
    assert reports.told[-1] == (f"Downloading {REPO}: 7 of 7 MB.", 1.0)

    stub.requests.clear()
    assert find(stub, tmp_path) == files
    assert [request.path for request in stub.requests] == [f"/api/models/{REPO}/revision/main"]


def test_voices_may_be_missing_and_the_mimi_config_too(stub: HubStub, tmp_path: Path) -> None:
    stub.files["config.json"] = b'{"model_type": "personaplex", "version": "7b-v1"}'
    del stub.files["voices.tgz"], stub.files["mimi_config.json"]
    files = find(stub, tmp_path)
    assert files.voices is None
    assert files.mimi_config is None


def test_the_token_is_sent(stub: HubStub, tmp_path: Path) -> None:
    find(stub, tmp_path, TOKEN)
    assert all(request.authorization == f"Bearer {TOKEN}" for request in stub.requests)
    assert TOKEN not in repr(Hub(TOKEN))


def test_the_config_is_checked_before_anything_large_is_fetched(stub: HubStub, tmp_path: Path) -> None:
    def refuse(config: Config) -> None:
        assert config["model_type"] == "personaplex"
        raise CheckpointUnusable("No room on the GPU.")

    hub = Hub(None, stub.url, tmp_path / "cache")
    with pytest.raises(CheckpointUnusable, match="No room on the GPU"):
        find_checkpoint(REPO, None, hub, Reports(), refuse)
    assert not [path for path in stub.paths("GET") if "storage" in path]
    with pytest.raises(CheckpointUnusable, match="No room on the GPU"):
        find_checkpoint(str(TINY), None, hub, Reports(), refuse)


def test_a_licence_for_non_commercial_use_is_named(stub: HubStub, tmp_path: Path) -> None:
    stub.repo = "kyutai/personaplex-rl-seamless"
    assert "non-commercial" in find(stub, tmp_path, repo=stub.repo).licence_note
    stub.repo = "someone/else"
    assert "https://huggingface.co/someone/else" in find(stub, tmp_path, repo=stub.repo).licence_note


# Without the hub


@pytest.mark.parametrize(
    "refuse",
    [None, refusing(401), refusing(403, "GatedRepo"), refusing(503)],
    ids=["away", "401", "403", "503"],
)
def test_a_whole_cache_is_enough_where_the_hub_is_away_or_refuses(
    stub: HubStub, tmp_path: Path, refuse: "Refuse | None"
) -> None:
    files = find(stub, tmp_path)
    stub.refuse = refuse or stub.refuse
    assert find(stub if refuse else AWAY, tmp_path, TOKEN) == files


def test_a_pinned_commit_that_is_there_is_not_asked_for(stub: HubStub, tmp_path: Path) -> None:
    files = find(stub, tmp_path, revision=stub.commit)
    stub.requests.clear()
    assert find(stub, tmp_path, revision=stub.commit) == files
    assert not stub.requests


def test_a_part_of_a_new_commit_does_not_hide_the_whole_old_one(stub: HubStub, tmp_path: Path) -> None:
    old = find(stub, tmp_path)
    stub.commit = "b" * 40
    stub.files["tokenizer_spm_32k_3.model"] += b"new"
    stub.files[WEIGHTS] = bytes(2_000_000)
    stub.break_after = [0] * 100
    assert "broke off" in refusal(stub, tmp_path)
    assert find(AWAY, tmp_path) == old
    stub.break_after = []
    new = find(stub, tmp_path)
    assert new.weights.read_bytes() == bytes(2_000_000)
    assert find(AWAY, tmp_path) == new


def test_no_network(stub: HubStub, tmp_path: Path) -> None:
    sentence = refusal(AWAY, tmp_path)
    assert f"cannot be reached, and the cache {tmp_path}/cache does not hold all of it." in sentence
    assert "HF_REPO to a folder" in sentence
    find(stub, tmp_path).weights.unlink()
    assert f"lacks {WEIGHTS} of it" in refusal(AWAY, tmp_path)


def test_no_answer_in_time(stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "HUB_TIMEOUT_SEC", 0.2)
    stub.delay_sec = 0.5
    assert "did not answer in time" in refusal(stub, tmp_path)


def test_no_secure_connection(stub: HubStub, tmp_path: Path) -> None:
    stub.url = stub.url.replace("http:", "https:")
    assert "No secure connection" in refusal(stub, tmp_path)


def test_something_else_than_the_hub_answers(stub: HubStub, tmp_path: Path) -> None:
    stub.html = True
    assert "What answers is not the Hugging Face hub" in refusal(stub, tmp_path)


# What the hub refuses


@pytest.mark.parametrize(
    ("refuse", "token", "told"),
    [
        (
            refusing(401, "GatedRepo", "resolve"),
            None,
            "HF_TOKEN is not set. Accept the licence at https://hug",
        ),
        (
            refusing(403, "GatedRepo", "resolve"),
            TOKEN,
            "accepted its licence. Accept it at https://huggingface",
        ),
        (refusing(401, "", "", "Invalid credentials in Authorization header"), TOKEN, "mistyped, expired"),
        (refusing(401, "GatedRepo", "resolve"), TOKEN, "The hub does not accept HF_TOKEN"),
        (refusing(401, "RepoNotFound"), None, f"The hub has no public repository {REPO}"),
        (refusing(404, "RepoNotFound"), None, f"The hub has no public repository {REPO}"),
        (refusing(404, "RepoNotFound"), TOKEN, f"no repository {REPO} that HF_TOKEN may read"),
        (refusing(404, "RevisionNotFound"), None, "has no revision main. Set HF_REVISION"),
        (refusing(403, "", "resolve"), TOKEN, f"HF_TOKEN may not read {REPO}"),
        (refusing(403, "", "resolve"), None, "The hub asks for a token"),
        (refusing(404, "EntryNotFound", WEIGHTS), None, "lacks a file that the hub had listed"),
        (refusing(429), None, "asked too often from here"),
        (refusing(500), None, "a problem (error 500), and the cache"),
        (refusing(503, "", WEIGHTS), None, "(error 503), and the cache {tmp}/cache does not hold all"),
        (refusing(400), None, "refuses the request (error 400)"),
    ],
)
def test_each_refusal_has_its_sentence(
    stub: HubStub, tmp_path: Path, refuse: Refuse, token: str | None, told: str
) -> None:
    stub.refuse = refuse
    assert told.replace("{tmp}", str(tmp_path)) in refusal(stub, tmp_path, token)


def test_a_repository_of_something_else(stub: HubStub, tmp_path: Path) -> None:
    del stub.files[WEIGHTS], stub.files[MIMI]
    assert f"{REPO} lacks {MIMI} and {WEIGHTS}, so it is not a checkpoint" in refusal(stub, tmp_path)
    del stub.files["config.json"]
    assert "lacks config.json, so it is not a checkpoint" in refusal(stub, tmp_path)


def test_revision_and_names_that_cannot_be(stub: HubStub, tmp_path: Path) -> None:
    assert "has no revision v9. Set HF_REVISION" in refusal(stub, tmp_path, revision="v9")
    assert "it is not a repository's name" in refusal(stub, tmp_path, repo="a/b--c..d")
    assert "there is no such folder" in refusal(stub, tmp_path, repo="some/missing/folder")
    assert "there is no such folder" in refusal(stub, tmp_path, repo="../no-such-folder")


@pytest.mark.parametrize("name", ["../../secrets", "/etc/passwd", "hf://other/repo/file", "a\\b", 7])
def test_a_config_that_leads_elsewhere(stub: HubStub, tmp_path: Path, name: object) -> None:
    stub.files["config.json"] = json.dumps({"mimi_name": name}).encode()
    assert "which is not a file of the same checkpoint" in refusal(stub, tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{", "is not JSON"), (b"\xff\xfe\x00", "is not JSON"), (b"[1]", "but not an object")],
)
def test_a_broken_config(stub: HubStub, tmp_path: Path, content: bytes, told: str) -> None:
    stub.files["config.json"] = content
    assert told in refusal(stub, tmp_path)


# Damage


def test_a_cached_file_that_was_cut_short_is_fetched_again(stub: HubStub, tmp_path: Path) -> None:
    files = find(stub, tmp_path)
    with files.weights.open("r+b") as file:
        file.truncate(1000)
    assert find(stub, tmp_path).weights.read_bytes() == stub.files[WEIGHTS]


def test_a_pinned_file_that_was_removed_is_fetched_again(stub: HubStub, tmp_path: Path) -> None:
    """As the sentence for a truncated file says: remove what it names, then start again."""
    files = find(stub, tmp_path, revision=stub.commit)
    files.weights.resolve().unlink()
    assert find(stub, tmp_path, revision=stub.commit).weights.read_bytes() == stub.files[WEIGHTS]


# The disk


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how much the disk has left."""
    return lambda free: monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))  # pyright: ignore


def test_no_room_on_the_disk(stub: HubStub, tmp_path: Path, room: Callable[[int], None]) -> None:
    room(5_000_000)
    sentence = refusal(stub, tmp_path)
    assert f"needs 7.0 MB more on the disk of {tmp_path}/cache, which has 5.0 MB left" in sentence
    assert "HF_HOME to a folder on a larger disk" in sentence
    assert not [path for path in stub.paths("GET") if "storage" in path]


def test_what_is_there_already_needs_no_room(
    stub: HubStub, tmp_path: Path, room: Callable[[int], None]
) -> None:
    stub.leave_part(tmp_path / "cache", WEIGHTS, stub.files[WEIGHTS][:4_000_000])
    room(3_100_000)
    find(stub, tmp_path)
    room(0)
    find(stub, tmp_path)


def test_the_room_of_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full. Make room there"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written"),
        (OSError(errno.EIO, "I/O error"), "failed; the log says why"),
        (OSError("Consistency check failed: file should be of size 1"), "did not arrive as announced"),
    ],
)
def test_the_disk_fails(
    stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, told: str
) -> None:
    def fail(*args: object, **options: object) -> str:
        raise error

    monkeypatch.setattr(download, "hf_hub_download", fail)
    assert told in refusal(stub, tmp_path)


# A folder


def test_a_local_folder_needs_no_hub() -> None:
    files = find_checkpoint(str(TINY), None, Hub(endpoint="http://127.0.0.1:9"), Reports())
    assert files.weights == TINY / WEIGHTS
    assert files.voices == TINY / "voices.tgz"
    assert "licence" in files.licence_note


def test_a_local_folder_without_the_files(tmp_path: Path) -> None:
    hub = Hub()
    with pytest.raises(
        CheckpointUnusable, match=r"lacks config\.json\. Copy the files of the whole repository"
    ):
        find_checkpoint(str(tmp_path), None, hub, Reports())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        CheckpointUnusable, match=r"lacks tokenizer_spm_32k_3\.model, .* and model\.safetensors"
    ):
        find_checkpoint(str(tmp_path), None, hub, Reports())

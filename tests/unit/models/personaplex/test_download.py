"""Finding a checkpoint's files, with the real client of the hub against a hub on loopback."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from huggingface_hub import constants

from personaplex_ui.models.personaplex.hub import download
from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CheckpointFiles,
    CheckpointUnusable,
    Config,
)
from tests.support.hub_stub import HubStub, Refusal, Request, etag, keep_to_loopback, serving

ROOT = Path(__file__).parents[4]
TINY = ROOT / "tests/data/tiny"
REPO = "nvidia/personaplex-7b-v1"
TOKEN = "hf_averysecrettoken"
WEIGHTS = "model.safetensors"
MIMI = "tokenizer-e351c8d8-checkpoint125.safetensors"


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token of this machine, no proxy, small pieces, and no waiting between the client's attempts."""
    keep_to_loopback(monkeypatch, tmp_path)


@pytest.fixture
def stub() -> Generator[HubStub]:
    files = {path.name: path.read_bytes() for path in TINY.iterdir()}
    with serving(HubStub(REPO, files)) as hub:
        yield hub


class Reports:
    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def __call__(self, sentence: str, progress: float) -> None:
        self.told.append((sentence, progress))


def find(
    stub: HubStub,
    tmp_path: Path,
    token: str | None = None,
    revision: str | None = None,
    repo: str = REPO,
    report: Reports | None = None,
    free: int = 10**12,
) -> CheckpointFiles:
    hub = Hub(token, stub.url, tmp_path / "cache", lambda folder: free)
    return find_checkpoint(repo, revision, hub, report or Reports())


def sentence_of(
    stub: HubStub, tmp_path: Path, token: str | None = None, repo: str = REPO, revision: str = ""
) -> str:
    with pytest.raises(CheckpointUnusable) as caught:
        find(stub, tmp_path, token, revision or None, repo)
    sentence = str(caught.value)
    assert TOKEN not in sentence
    assert "signature" not in sentence
    assert sentence.endswith(".")
    return sentence


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


def test_progress_is_told_while_a_file_arrives(
    stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "REPORT_EVERY_SEC", 0.01)
    stub.chunk_delay_sec = 0.05
    reports = Reports()
    find(stub, tmp_path, report=reports)
    shares = [share for _, share in reports.told]
    assert shares == sorted(shares)
    assert len({share for share in shares if 0.4 < share < 1.0}) >= 3


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


def test_endpoint_and_cache_come_from_the_environment(stub: HubStub, tmp_path: Path) -> None:
    program = (
        "import sys; from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint\n"
        "files = find_checkpoint(sys.argv[1], None, Hub(), print)\n"
        "assert 'torch' not in sys.modules\n"
        "print(files.weights)"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": stub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
    }

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, REPO]
        return subprocess.run(
            command, cwd=ROOT, env=environment | more, capture_output=True, text=True, check=True
        )

    weights = Path(run().stdout.splitlines()[-1])
    assert weights.is_relative_to(tmp_path / "home" / "hub")
    assert weights.read_bytes() == stub.files[WEIGHTS]
    assert stub.requests[0].authorization == f"Bearer {TOKEN}"
    stub.requests.clear()
    assert Path(run(HF_HUB_OFFLINE="1").stdout.splitlines()[-1]) == weights
    assert not stub.requests


# Without the hub


def test_a_whole_cache_is_enough_without_the_hub(stub: HubStub, tmp_path: Path) -> None:
    files = find(stub, tmp_path)
    away = HubStub(REPO, {}, url="http://127.0.0.1:9")
    assert find(away, tmp_path) == files


@pytest.mark.parametrize("refuse", [refusing(401), refusing(403, "GatedRepo"), refusing(503)])
def test_a_whole_cache_is_enough_where_the_hub_refuses(stub: HubStub, tmp_path: Path, refuse: Refuse) -> None:
    files = find(stub, tmp_path)
    stub.refuse = refuse
    assert find(stub, tmp_path, TOKEN) == files


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
    stub.break_after = [0]
    assert "broke off" in sentence_of(stub, tmp_path)
    away = HubStub(REPO, {}, url="http://127.0.0.1:9")
    assert find(away, tmp_path) == old
    new = find(stub, tmp_path)
    assert new.weights.read_bytes() == bytes(2_000_000)
    assert find(away, tmp_path) == new


def test_no_network_and_nothing_in_the_cache(tmp_path: Path) -> None:
    sentence = sentence_of(HubStub(REPO, {}, url="http://127.0.0.1:9"), tmp_path)
    assert sentence.startswith(
        f"The hub cannot be reached, and the cache {tmp_path}/cache does not hold all of it."
    )
    assert "HF_REPO to a folder" in sentence


def test_no_network_and_a_part_in_the_cache(stub: HubStub, tmp_path: Path) -> None:
    files = find(stub, tmp_path)
    files.weights.unlink()
    sentence = sentence_of(HubStub(REPO, {}, url="http://127.0.0.1:9"), tmp_path)
    assert f"lacks {WEIGHTS} of it" in sentence


def test_offline_by_choice(stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set, but the cache" in sentence_of(stub, tmp_path)
    assert not stub.requests


def test_no_answer_in_time(stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "HUB_TIMEOUT_SEC", 0.2)
    stub.delay_sec = 0.5
    assert "did not answer in time" in sentence_of(stub, tmp_path)


def test_no_secure_connection(stub: HubStub, tmp_path: Path) -> None:
    stub.url = stub.url.replace("http:", "https:")
    assert "No secure connection" in sentence_of(stub, tmp_path)


def test_something_else_than_the_hub_answers(stub: HubStub, tmp_path: Path) -> None:
    stub.html = True
    assert "What answers is not the Hugging Face hub" in sentence_of(stub, tmp_path)


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
        (refusing(500), None, "trouble of its own (error 500), and the cache"),
        (refusing(503, "", WEIGHTS), None, "(error 503), and the cache {tmp}/cache does not hold all"),
        (refusing(400), None, "refuses what we ask (error 400)"),
    ],
)
def test_each_refusal_has_its_sentence(
    stub: HubStub, tmp_path: Path, refuse: Refuse, token: str | None, told: str
) -> None:
    stub.refuse = refuse
    assert told.replace("{tmp}", str(tmp_path)) in sentence_of(stub, tmp_path, token)


def test_a_repository_of_something_else(stub: HubStub, tmp_path: Path) -> None:
    del stub.files[WEIGHTS], stub.files[MIMI]
    assert f"{REPO} lacks {MIMI} and {WEIGHTS}, so it is no checkpoint" in sentence_of(stub, tmp_path)
    del stub.files["config.json"]
    assert "lacks config.json, so it is no checkpoint" in sentence_of(stub, tmp_path)


def test_revision_and_names_that_cannot_be(
    stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some of the names are relative paths
    assert "has no revision v9. Set HF_REVISION" in sentence_of(stub, tmp_path, revision="v9")
    assert "it is no repository's name" in sentence_of(stub, tmp_path, repo="a/b--c..d")
    assert "there is no such folder" in sentence_of(stub, tmp_path, repo="some/missing/folder")
    assert "there is no such folder" in sentence_of(stub, tmp_path, repo="../personaplex")


@pytest.mark.parametrize("name", ["../../secrets", "/etc/passwd", "hf://other/repo/file", "a\\b", 7])
def test_a_config_that_leads_elsewhere(stub: HubStub, tmp_path: Path, name: object) -> None:
    stub.files["config.json"] = json.dumps({"mimi_name": name}).encode()
    assert "which is no file of the same checkpoint" in sentence_of(stub, tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{", "holds no JSON"), (b"\xff\xfe\x00", "holds no JSON"), (b"[1]", "no object of names and values")],
)
def test_a_broken_config(stub: HubStub, tmp_path: Path, content: bytes, told: str) -> None:
    stub.files["config.json"] = content
    assert told in sentence_of(stub, tmp_path)


# Interruptions and damage


def test_a_download_that_breaks_off_goes_on_at_once(stub: HubStub, tmp_path: Path) -> None:
    stub.break_after = [300_000, 1_000_000, 1_000_000, 1_000_000]
    files = find(stub, tmp_path)
    assert files.weights.read_bytes() == stub.files[WEIGHTS]
    assert files.mimi.read_bytes() == stub.files[MIMI]
    starts = [request.range_start for request in stub.requests if request.path == f"/storage/{MIMI}"]
    assert starts[1:]
    assert all(start is None or start > 0 for start in starts)


def test_an_interrupted_download_goes_on_the_next_time(stub: HubStub, tmp_path: Path) -> None:
    stub.files["config.json"] = b"{}"
    stub.break_after = [len(stub.files[MIMI]), 1_500_000, 0, 0, 0, 0, 0, 0, 0]
    sentence = sentence_of(stub, tmp_path)
    assert "broke off. What has arrived is kept" in sentence
    stub.break_after, arrived = [], parts(tmp_path)[0].stat().st_size
    assert arrived >= 500_000
    stub.requests.clear()
    reports = Reports()
    files = find(stub, tmp_path, report=reports)
    assert files.weights.read_bytes() == stub.files[WEIGHTS]
    stored = [request for request in stub.requests if "storage" in request.path]
    assert [request.range_start for request in stored] == [arrived]
    assert reports.told[1][1] == pytest.approx(arrived / len(stub.files[WEIGHTS]))


def parts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").rglob("*.incomplete"))


def leave_part(stub: HubStub, tmp_path: Path, content: bytes) -> None:
    blobs = tmp_path / "cache" / f"models--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{etag(stub.files[WEIGHTS])}.incomplete").write_bytes(content)


def test_a_part_of_something_else_is_found_out(stub: HubStub, tmp_path: Path) -> None:
    leave_part(stub, tmp_path, b"from another program" * 1000)
    assert f"{WEIGHTS} of {REPO} arrived damaged and was removed" in sentence_of(stub, tmp_path)
    assert find(stub, tmp_path).weights.read_bytes() == stub.files[WEIGHTS]


def test_a_part_that_is_longer_than_the_file(stub: HubStub, tmp_path: Path) -> None:
    leave_part(stub, tmp_path, bytes(len(stub.files[WEIGHTS]) + 1))
    assert "did not fit and was removed" in sentence_of(stub, tmp_path)
    assert find(stub, tmp_path).weights.read_bytes() == stub.files[WEIGHTS]


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


def test_no_room_on_the_disk(stub: HubStub, tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnusable) as caught:
        find(stub, tmp_path, free=5_000_000)
    assert f"needs 7.0 MB more on the disk of {tmp_path}/cache, which has 5.0 MB left" in str(caught.value)
    assert "HF_HOME to a folder on a larger disk" in str(caught.value)
    assert not [path for path in stub.paths("GET") if "storage" in path]


def test_what_is_there_already_needs_no_room(stub: HubStub, tmp_path: Path) -> None:
    leave_part(stub, tmp_path, stub.files[WEIGHTS][:4_000_000])
    find(stub, tmp_path, free=3_100_000)
    find(stub, tmp_path, free=0)


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
    assert told in sentence_of(stub, tmp_path)


def test_the_room_of_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert download.free_bytes(tmp_path / "not" / "yet") == pytest.approx(
        shutil.disk_usage(tmp_path).free, rel=0.1
    )


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

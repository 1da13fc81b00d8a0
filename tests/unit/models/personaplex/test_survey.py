"""Whether a checkpoint could be had, asked of a hub on loopback; nothing is fetched for it."""

from collections.abc import Generator
from pathlib import Path

import pytest
from huggingface_hub import constants

from personaplex_ui.models.personaplex.hub import survey as survey_module
from personaplex_ui.models.personaplex.hub.download import Hub
from personaplex_ui.models.personaplex.hub.survey import Survey, survey
from tests.support.hub_stub import (
    REPO,
    TINY,
    TOKEN,
    HubStub,
    Refusal,
    Request,
    find,
    keep_to_loopback,
    serving,
    tiny_files,
)

REFUSED: Refusal = (401, {})
BUSY: Refusal = (429, {})


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keep_to_loopback(monkeypatch, tmp_path)
    monkeypatch.setattr(survey_module, "free_bytes", lambda folder: 10**9)  # pyright: ignore


@pytest.fixture
def stub() -> Generator[HubStub]:
    with serving(HubStub(REPO, tiny_files())) as hub:
        yield hub


def ask(stub: HubStub, tmp_path: Path, token: str | None = TOKEN, ask_hub: bool = True) -> Survey:
    found = survey(REPO, None, Hub(token, stub.url, tmp_path / "cache"), ask_hub)
    assert TOKEN not in str(found)
    return found


def gated(status: int) -> Refusal:
    return (status, {"X-Error-Code": "GatedRepo", "X-Error-Message": TOKEN})


def test_it_tells_what_is_still_to_be_fetched_and_fetches_nothing(stub: HubStub, tmp_path: Path) -> None:
    found = ask(stub, tmp_path)
    # That the tiny one has a file more is known only once its config.json is here.
    size = sum(len(content) for name, content in stub.files.items() if name != "mimi_config.json")
    assert found == Survey(size=size, to_come=size, free=10**9, folder=str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()
    assert {request.method for request in stub.requests if "/resolve/" in request.path} == {"HEAD"}


def test_nothing_is_to_come_of_a_whole_cache_with_or_without_the_hub(stub: HubStub, tmp_path: Path) -> None:
    find(stub, tmp_path)
    found = ask(stub, tmp_path)
    assert found.is_complete
    assert found.to_come == 0
    assert Path(found.config).is_file()
    stub.requests.clear()
    assert ask(stub, tmp_path, ask_hub=False).is_complete
    assert stub.requests == []
    stub.refuse = lambda request: (503, {})
    assert ask(stub, tmp_path).is_complete
    assert "a problem (error" in ask(stub, tmp_path).refusal


@pytest.mark.parametrize(
    ("token", "refusal", "only", "words"),
    [
        # The hub lists a gated repository to everybody.
        (TOKEN, gated(403), "/resolve/", ("accepted its licence", f"https://huggingface.co/{REPO}")),
        (None, gated(401), "/resolve/", ("HF_TOKEN is not set", f"https://huggingface.co/{REPO}")),
        (TOKEN, REFUSED, "", ("does not accept HF_TOKEN", "settings/tokens")),
        (TOKEN, BUSY, "", ("asked too often",)),
    ],
)
def test_a_refusal_is_the_sentence_of_the_download(
    stub: HubStub, tmp_path: Path, token: str | None, refusal: Refusal, only: str, words: tuple[str, ...]
) -> None:
    def refuse(request: Request) -> Refusal | None:
        return refusal if only in request.path else None

    stub.refuse = refuse
    found = ask(stub, tmp_path, token)
    assert found.size == 0
    assert all(word in found.refusal for word in words), found.refusal


def test_a_hub_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Hub(None, "http://127.0.0.1:9", tmp_path / "cache")
    assert "The hub cannot be reached" in survey(REPO, None, nowhere).refusal
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in survey(REPO, None, nowhere).refusal


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("no/such/name", "HF_REPO is no/such/name: there is no such folder"),
        (str(TINY.parent), "lacks config.json"),
        (str(TINY), ""),
    ],
)
def test_a_folder(tmp_path: Path, repo: str, words: str) -> None:
    found = survey(repo, None, Hub(cache=tmp_path))
    assert words in found.refusal
    assert found.is_complete == (repo == str(TINY))

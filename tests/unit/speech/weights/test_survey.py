"""What is known of weights before they are fetched."""

import shutil

import pytest

from personaplex_ui.speech.weights import survey as module
from personaplex_ui.speech.weights.registries import Registries
from personaplex_ui.speech.weights.survey import WeightSurvey, survey_weights
from tests.support.weight_places import NOWHERE, Places

EVERYTHING = ("model", "voice.bin")


def survey(places: Places, registries: Registries | None = None) -> WeightSurvey:
    return survey_weights(places.folder, EVERYTHING, registries, places.manifest)


def test_of_weights_that_are_here_nobody_is_asked(places: Places) -> None:
    for name in EVERYTHING:
        places.store().path_of(name)
    asked = len(places.hub.requests), len(places.index.requests)
    found = survey(places, places.http())
    assert found.is_complete
    assert (found.missing, found.altered, found.needed, found.trouble) == ((), (), 0, "")
    assert (len(places.hub.requests), len(places.index.requests)) == asked


def test_what_is_missing_and_who_has_it(places: Places) -> None:
    found = survey(places, places.http())
    assert found.missing == EVERYTHING
    assert set(found.reachable) == {"the hub", "the package index", "the npm registry"}
    assert 0 < found.needed < found.free
    assert places.index.downloads() == [], "they are asked, and nothing is fetched"
    assert not places.folder.exists(), "nothing is left behind"


def test_why_a_source_cannot_be_used(places: Places) -> None:
    absent = str(places.folder / "absent")
    nowhere = Registries(f"{NOWHERE}/simple/", NOWHERE, NOWHERE, python=absent, npm_client=absent)
    assert survey(places, nowhere).unreachable == (
        "the hub cannot be reached",
        "the package index cannot be reached",
        "the npm registry cannot be reached",
    )
    del places.index.files["tiny-voice-2.0.0.tgz"]
    assert "the npm registry does not have it" in survey(places, places.http()).unreachable


def test_without_registries_nobody_is_asked(places: Places) -> None:
    found = survey(places)
    assert (found.reachable, found.unreachable) == ((), ())
    assert places.hub.requests == places.index.requests == []


def test_the_registries_own_clients_are_asked_where_there_are_any(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{places.index.url}/simple/")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", places.index.url)
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", "/dev/null")
    found = survey(places, Registries(f"{NOWHERE}/simple/", NOWHERE, hub=NOWHERE))
    assert "the package index" in found.reachable
    if shutil.which("npm") is not None:
        assert "the npm registry" in found.reachable


def test_what_is_altered_is_named(places: Places) -> None:
    places.store().path_of("model")
    (places.folder / "model/words.txt").write_bytes(b"other")
    found = survey(places)
    assert (found.altered, found.missing) == (("model/words.txt",), ("voice.bin",))


def test_a_folder_that_cannot_be_written_to(places: Places) -> None:
    places.folder.write_text("a file")
    assert survey(places).trouble == "Not a directory"


def test_a_disk_that_cannot_be_read(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "is_whole", fails)
    found = survey(places)
    assert (found.trouble, found.is_complete) == ("Permission denied", False)

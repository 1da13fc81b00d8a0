"""What CAPTIONS asks of PersonaPlex."""

import pytest

from personaplex_ui.config.settings import Settings
from personaplex_ui.models.factory import personaplex_source
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue
from personaplex_ui.voices.library import VoiceLibrary


@pytest.mark.parametrize(
    ("choice", "wanted"), [("auto", None), ("kyutai", True), ("whisper", False), ("off", False)]
)
def test_captions_are_asked_of_personaplex_where_they_are_wanted(choice: str, wanted: bool | None):
    settings = Settings.from_mapping({"CAPTIONS": choice})
    assert personaplex_source(settings, VoiceLibrary(load_catalogue(CATALOGUE_PATH))).captions is wanted

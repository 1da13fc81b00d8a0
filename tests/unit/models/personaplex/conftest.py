"""The tiny checkpoint, loaded once by the very loader of the 7B; moshi must not compile on a CPU."""

import os

os.environ["NO_TORCH_COMPILE"] = "1"

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest
import torch

from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles
from personaplex_ui.models.personaplex.loading.load import Source, load_personaplex
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parity import DATA, TINY, unheard

SLOTS = 4


@pytest.fixture(scope="session")
def tiny() -> CheckpointFiles:
    torch.set_num_threads(1)  # the model is so small that more threads only wait for each other
    return find_checkpoint(str(TINY), None, Hub(), unheard)


@pytest.fixture(scope="session")
def own_voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recorded voice of a case, as somebody would drop it in."""
    folder = tmp_path_factory.mktemp("voices")
    copyfile(DATA / "cases" / "custom_voice_no_prompt" / "voice.wav", folder / "custom_voice_no_prompt.wav")
    return folder


@pytest.fixture(scope="session")
def loaded(own_voices: Path) -> PersonaPlexModel:
    torch.set_num_threads(1)
    voices = VoiceLibrary(folders=(own_voices,))
    # The reference forgets the persona first when a call is longer than the window.
    source = Source(str(TINY), device="cpu", slots=SLOTS, voices=voices, pin_persona=False)
    return load_personaplex(source, unheard)


@pytest.fixture
def model(loaded: PersonaPlexModel) -> Iterator[PersonaPlexModel]:
    yield loaded
    for slot in range(SLOTS):
        loaded.leave(slot)
    loaded.forget_personas()

"""Tiny checkpoints of both models, written once, and a model that hears words with them."""

from pathlib import Path

import pytest
import torch

from personaplex_ui.models.personaplex.loading.load import Source
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.captions_checkpoint import write_personaplex, write_recogniser


@pytest.fixture(scope="session")
def personaplex_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("personaplex")
    write_personaplex(folder)
    return folder


@pytest.fixture(scope="session")
def recogniser_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recogniser")
    write_recogniser(folder)
    return folder


@pytest.fixture
def source(personaplex_folder: Path, recogniser_folder: Path, own_voices: Path) -> Source:
    torch.set_num_threads(1)
    return Source(
        str(personaplex_folder),
        device="cpu",
        slots=4,
        voices=VoiceLibrary(folders=(own_voices,)),
        pin_persona=False,
        captions=True,
        captions_repo=str(recogniser_folder),
    )

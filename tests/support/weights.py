"""The weights that tests need: fetched once, into the folder where the app keeps them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_ui.speech.weights.store import WeightStore, default_folder

FETCH_LIMIT_SEC = 110


def weights_folder(name: str) -> Path:
    """The folder of the weights ``name``. The network is asked by a process of its own, as tests stay on this
    machine; fails with a sentence where that does not help."""
    folder = default_folder()
    environment = {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE"}
    fetched = subprocess.run(
        [sys.executable, "-m", "personaplex_ui.speech.weights", name],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=FETCH_LIMIT_SEC,
        check=False,
    )
    if fetched.returncode != 0:
        pytest.fail(f"This test needs the weights {name}. {fetched.stderr.strip()[-1_000:]}", pytrace=False)
    return WeightStore(folder, lambda sentence, fraction: None).path_of(name)

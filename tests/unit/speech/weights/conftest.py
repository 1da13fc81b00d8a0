"""Where weights come from in these tests."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.weight_places import Places, weight_places


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Places]:
    with weight_places(tmp_path, monkeypatch) as served:
        yield served

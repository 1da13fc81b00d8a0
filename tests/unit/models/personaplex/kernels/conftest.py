"""moshi's own functions are compared with as they are written: compiled, they round in other places."""

from collections.abc import Iterator

import pytest
from moshi.utils.compile import no_compile


@pytest.fixture(autouse=True)
def _as_written() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    with no_compile():
        yield

"""The app as a process, one for each module, and Gradio's client of it."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from gradio_client import Client

from tests.support.app_process import AppProcess, running_app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[AppProcess]:
    """With the module's ``VARIABLES``."""
    variables: dict[str, str] = cast(Any, request).module.VARIABLES
    with running_app(tmp_path_factory.mktemp("app"), **variables) as app:
        yield app


@pytest.fixture(scope="module")
def client(app: AppProcess, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(app.url, verbose=False, download_files=str(tmp_path_factory.mktemp("answers")))

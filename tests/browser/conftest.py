"""For tests in a real browser: one app an engine for all of them, and one Chromium a module.

A test that takes ``app`` runs on both engines, unless it is marked ``echo_only``. Tests that take ``held``
judge the sound of a call, which nothing may disturb: they run alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.support.app_process import TELEPHONE, TINY, AppProcess, running_app
from tests.support.chromium import chromium, make_microphone
from tests.support.password import VARIABLES


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "held" in item.fixturenames:
            item.add_marker("alone")


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_microphone(tmp_path_factory.mktemp("microphone"))


@pytest.fixture(scope="session")
def echo_app(microphone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """As a company has it: closed by a password, with a telephone. Asks for the microphone first: without it
    nothing is started."""
    with running_app(tmp_path_factory.mktemp("echo_app"), **VARIABLES, **TELEPHONE) as app:
        yield app


@pytest.fixture(scope="session")
def tiny_app(microphone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """PersonaPlex, on the tiny checkpoint."""
    with running_app(tmp_path_factory.mktemp("tiny_app"), **TINY) as app:
        yield app


@pytest.fixture(scope="module", params=["echo", "tiny"])
def app(request: pytest.FixtureRequest) -> AppProcess:
    return request.getfixturevalue(f"{request.param}_app")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    # For one module only: while it runs, no other test could start an event loop.
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright, microphone: Path) -> Iterator[Browser]:
    with chromium(playwright, microphone) as browser:
        yield browser

"""What holds for all tests: with REQUIRE_ALL_TESTS set, a test that would be skipped fails instead."""

import os
from collections.abc import Generator

import pytest

from tests.password import let_http_clients_know_it

let_http_clients_know_it()

REQUIRE_ALL_TESTS = bool(os.environ.get("REQUIRE_ALL_TESTS"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if REQUIRE_ALL_TESTS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, though REQUIRE_ALL_TESTS is set: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module that skips itself."""
    report = yield
    if REQUIRE_ALL_TESTS and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"Skipped, though REQUIRE_ALL_TESTS is set: {report.longrepr}"
    return report

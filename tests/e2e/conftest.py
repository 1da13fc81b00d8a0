"""For tests against the app as a process: its log beside each failure."""

from collections.abc import Generator

import pytest

from tests.support.app_process import add_logs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    add_logs(report)
    return report

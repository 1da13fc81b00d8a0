"""What holds for all tests: they stay on this machine, none is skipped where REQUIRE_ALL_TESTS is set, and a
failure shows the logs of the apps that run."""

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.compat.gradio_stubs import leave_stubs_alone
from personaplex_ui.config.environment import give_gradio_a_folder
from tests.support.app_process import logs
from tests.support.slowest_first import sort_slowest_first
from tests.support.sounds import tone
from tests.support.this_machine import refuse_other_hosts, refused

refuse_other_hosts()
leave_stubs_alone()

# What this machine sets for the hub's client, which is not imported yet, says nothing here.
for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING_FACE_", "TRANSFORMERS_"))]:
    if name != "HF_HOME":
        del os.environ[name]
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # gradio_client's, too

# An HTTP client reads the authorities that it trusts when it is made, and all of certifi's take 40 ms. Nobody
# here is trusted by a certificate.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "data" / "one_authority.pem")

# As the app does: whoever owns `gradio` in the system's temp folder, uploads have a place.
give_gradio_a_folder(os.environ)

# The .env of whoever runs the tests says nothing here, nor in the processes that tests start.
os.environ["ENV_FILE"] = os.devnull

# How fast a machine is, is no matter of tests.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

REQUIRE_ALL_TESTS = bool(os.environ.get("REQUIRE_ALL_TESTS"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # of pytest-xdist, which gives out the files in their order
        sort_slowest_first(items)


@pytest.fixture(autouse=True)
def other_hosts_are_not_asked_for() -> Generator[None]:
    refused.clear()
    yield
    assert refused == []


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of sound."""
    path = tmp_path / "a clip.wav"
    soundfile.write(path, tone(1.0), SAMPLE_RATE_HZ)  # pyright: ignore[reportUnknownMemberType]
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if REQUIRE_ALL_TESTS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, though REQUIRE_ALL_TESTS is set: {report.longrepr}"
    if report.failed:
        report.sections += logs()
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module that skips itself."""
    report = yield
    if REQUIRE_ALL_TESTS and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"Skipped, though REQUIRE_ALL_TESTS is set: {report.longrepr}"
    return report

"""Schemathesis against the app as a process, by its description alone: requests right and wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks

from tests.support.app_process import AppProcess, running_app

GUESSES: Any = vars(checks)["ignored_auth"]
"""It sends wrong passwords, and after ten of them every answer is 429, as it should be."""
KEY = "a-key-for-machines"
TELEPHONE = {
    "SERVER_URL": "https://talk.example.org",
    "API_KEY": KEY,
    "TWILIO_AUTH_TOKEN": "a token that Twilio does not know",
}


@pytest.fixture(scope="module", params=["", "a long password for tests"], ids=["open", "closed"])
def app(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[AppProcess]:
    with running_app(tmp_path_factory.mktemp("app"), APP_PASSWORD=request.param, **TELEPHONE) as app:
        yield app


@pytest.mark.timeout(180)
@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {}], ids=["key", "nothing"])
def test_it_finds_nothing(app: AppProcess, headers: dict[str, str]):
    schema: Any = schemathesis.openapi.from_url(
        f"{app.url}/openapi.json", headers={"Authorization": f"Bearer {KEY}"}
    )
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]
    tried: set[str] = set()

    @given(data=st.data())
    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def try_all(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(operations))
        case: Any = data.draw(operation.as_strategy())
        tried.add(operation.label)
        case.call_and_validate(base_url=app.url, headers=headers, excluded_checks=[GUESSES])

    try_all()
    assert len(tried) > 10

"""The link that a real start prints, opened behind a plain proxy, where everybody comes from this machine."""

from pathlib import Path

import httpx

from tests.support.app_process import running_app

THROUGH_A_PROXY = {"X-Forwarded-For": "203.0.113.7"}


def test_the_link_of_the_log_works_once_and_is_not_logged_again(tmp_path: Path) -> None:
    with running_app(tmp_path) as app:
        link = app.operator_link()
        assert link.startswith(app.url)
        with httpx.Client(headers=THROUGH_A_PROXY) as first, httpx.Client() as second:
            assert first.get(link).headers["location"] == "./"
            assert second.get(link).status_code == 403
            assert "are known as the operator" in first.get(f"{app.url}/operator").text
            assert "are known as the operator" not in second.get(f"{app.url}/operator").text
            second.post(f"{app.url}/operator", data={"link": "new"})
        token = link.partition("token=")[2]
        assert app.log.count(token) == 1
        assert all(cookie.value not in app.log for cookie in first.cookies.jar if cookie.value)

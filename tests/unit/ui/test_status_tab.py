"""The status tab through Gradio's queue: it shows the server as it is now, and asks only while it is seen."""

from pathlib import Path

import pytest

from tests.support.page_session import LIBRARIES_WARN, PageSession, open_app
from tests.support.password import HEADERS, PASSWORD

pytestmark = LIBRARIES_WARN


async def test_it_shows_a_live_call_and_that_it_ended(tmp_path: Path) -> None:
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        await app.become_operator()
        page = PageSession(app)
        call = await page.call()
        (html,) = await page.trigger("refresh")
        assert "3 of 4 free" in html
        assert "in the browser" in html
        assert call.call_id not in html
        call.hang_up("Enough.")
        await app.call_manager.ended(call)
        (html,) = await page.trigger("refresh")
        assert "4 of 4 free" in html
        assert "hung up" in html


async def test_the_clock_runs_only_while_the_tab_is_seen(tmp_path: Path) -> None:
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        await app.become_operator()
        page = PageSession(app)
        clock, html = await page.trigger("open_tab")
        assert clock["active"] is True
        assert "Running for" in html
        (clock,) = await page.trigger("leave_tab")
        assert clock["active"] is False


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize(
    ("given", "headers"),
    [
        ({}, {}),
        ({"SERVER_URL": "https://localhost"}, {"X-Forwarded-For": "203.0.113.7"}),
        ({"APP_PASSWORD": PASSWORD}, HEADERS),
    ],
)
async def test_only_who_runs_the_server_sees_status_and_checks(
    tmp_path: Path, given: dict[str, str], headers: dict[str, str], sees: bool
) -> None:
    async with open_app(tmp_path, ENGINE="echo", **given) as app:
        await app.loaded()
        app.http.headers.update(headers)
        if sees:
            await app.become_operator()
        page = PageSession(app)
        _, *tabs = await page.trigger("show_operator_tabs")
        assert [tab["visible"] for tab in tabs] == [sees, sees]
        for name in ("refresh", "open_tab"):
            assert ("Running for" in str(await page.trigger(name))) is sees
        outputs = await page.trigger("run_checks")
        assert ("Checks of this server" in str(outputs)) is sees
        assert ("echo on cpu answers." in str(outputs)) is sees
        assert (str(tmp_path) in "".join(app.said)) is sees
        assert "gradio 5.50.0" in "".join(app.said) or not sees


@pytest.mark.parametrize("may", [True, False])
@pytest.mark.parametrize("event", ["try_again", "use_echo"])
async def test_only_who_runs_the_server_switches_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str, may: bool
) -> None:
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        loaded: list[object] = []

        def load_again(load: object, instead: bool = False) -> None:
            loaded.append(load)

        monkeypatch.setattr(app.engine, "load_again", load_again)
        if may:
            await app.become_operator()
        await PageSession(app).trigger(event)
        assert bool(loaded) is may

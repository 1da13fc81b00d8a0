"""The status tab through Gradio's queue: it shows the server as it is now, and asks only while it is seen."""

from pathlib import Path

from tests.support.page_session import LIBRARIES_WARN, PageSession, open_app

pytestmark = LIBRARIES_WARN


async def test_it_shows_a_live_call_and_that_it_ended(tmp_path: Path) -> None:
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        page = PageSession(app)
        call = await page.call()
        (html,) = await page.trigger("show")
        assert "3 of 4 free" in html
        assert "in the browser" in html
        assert call.call_id not in html
        call.hang_up("Enough.")
        await app.call_manager.ended(call)
        (html,) = await page.trigger("show")
        assert "4 of 4 free" in html
        assert "hung up" in html


async def test_the_clock_runs_only_while_the_tab_is_seen(tmp_path: Path) -> None:
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        page = PageSession(app)
        clock, html = await page.trigger("look")
        assert clock["active"] is True
        assert "Running for" in html
        (clock,) = await page.trigger("look_away")
        assert clock["active"] is False

"""Which of Gradio's sessions are forgotten: those of programs soon, those of open pages never."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.ui import session_cleanup as sessions
from personaplex_ui.ui.session_cleanup import CLOSED_KEPT, OF_PROGRAMS_KEPT, forget
from tests.support.page_session import LIBRARIES_WARN, PageSession, open_app

pytestmark = LIBRARIES_WARN

A_SECOND = timedelta(seconds=1)


async def test_programs_are_forgotten_soon_left_pages_later_open_ones_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "EVENTS_NOTED", 2)
    clip = tmp_path / "clip.wav"
    write_wav(clip, np.zeros(24_000, dtype=np.float32))
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        program, opened, left = PageSession(app), PageSession(app), PageSession(app)
        await program.converse(clip)
        for page in (opened, left):
            await page.trigger("load")
        known = app.page.state_holder.session_data
        known[left.session].is_closed = True

        def after(waited: timedelta) -> set[str]:
            forget(app.page, datetime.now() + waited)
            return set(known)

        assert after(OF_PROGRAMS_KEPT - 10 * A_SECOND) == {program.session, opened.session, left.session}
        assert after(OF_PROGRAMS_KEPT + A_SECOND) == {opened.session, left.session}
        assert after(CLOSED_KEPT + A_SECOND) == {opened.session}
        assert after(timedelta(days=7)) == {opened.session}
        assert set(app.page.state_holder.time_last_used) == {opened.session}
        queue = app.page._queue  # pyright: ignore[reportPrivateUsage]
        assert len(queue.event_analytics) == len(queue.event_ids_to_events) == 2
        await program.converse(clip)  # one that comes back is served

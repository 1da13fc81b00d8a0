"""What Gradio and FastRTC would print: in the log, short, and in full only where it is a fault of ours.

That the whole process prints nothing else: ``e2e/test_quiet_log.py``.
"""

import json
import logging
from pathlib import Path
from typing import Any, cast

import gradio as gr
import pytest
from fastrtc import utils as fastrtc_handlers
from gradio import queueing, routes

from personaplex_ui.compat.library_output import log_what_libraries_print
from personaplex_ui.logs.formats import JsonFormat
from personaplex_ui.ui import api
from tests.support.page_session import LIBRARIES_WARN, OpenApp, open_app

pytestmark = LIBRARIES_WARN

NUMBER = "+15557654321"
LOGGER = "personaplex_ui.compat.library_output"


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and message of each record."""
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == LOGGER]


async def called(app: OpenApp, name: str, data: list[Any]) -> str:
    """What the endpoint sends."""
    event = (await app.http.post(f"/gradio_api/call/{name}", json={"data": data})).json()["event_id"]
    return (await app.http.get(f"/gradio_api/call/{name}/{event}")).text


async def test_what_gradio_refuses_is_one_line_without_what_was_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def refuse(*given: object) -> None:
        raise ValueError(NUMBER)

    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(gr.Blocks, "preprocess_data", refuse)
            assert "event: error" in await called(app, "presets", [])
    ((level, message),) = told(caplog)
    assert level == "WARNING"
    assert message.startswith("The event 'presets' failed: ValueError at ")
    assert NUMBER not in caplog.text
    assert capfd.readouterr() == ("", "")


async def test_a_fault_of_ours_is_told_in_full_and_masked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = type(NUMBER, (), {})()
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(api, "PRESETS", (broken,))
            assert "event: error" in await called(app, "presets", [])
    (record,) = (record for record in caplog.records if record.name == LOGGER)
    assert (record.levelname, record.getMessage()) == ("ERROR", "The event 'presets' failed.")
    line = json.loads(JsonFormat().format(record))
    assert "personaplex_ui/ui/api.py" in line["exception"]
    assert line["exception"].endswith("AttributeError: '+***321' object has no attribute 'title'")
    assert capfd.readouterr() == ("", "")


async def test_fastrtc_is_as_quiet(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    log_what_libraries_print()

    async def receive() -> None:
        raise ValueError(NUMBER)

    with pytest.raises(Exception, match="5557654321"):
        await cast(Any, fastrtc_handlers).webrtc_error_handler(receive)()
    ((level, message),) = told(caplog)
    assert level == "WARNING"
    assert message.startswith("An event failed: ValueError at compat/test_library_output.py:")
    assert capfd.readouterr() == ("", "")


def test_outside_of_an_exception_there_is_nothing_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    log_what_libraries_print()
    log_what_libraries_print()
    with caplog.at_level(logging.DEBUG):
        cast(Any, queueing).traceback.print_exc()
    assert told(caplog) == []
    assert cast(Any, routes).traceback.format_exc() == "NoneType: None\n"  # all else is as it was

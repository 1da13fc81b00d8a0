"""The HTML of the status tab. That it escapes everything is tested in test_rendering.py."""

from dataclasses import replace
from typing import Any

import pytest

from personaplex_ui.calls.captions import CaptionsReport
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.doctor.report import OK, WARNING, Check, Report
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.reports import CapacityReport, RuntimeReport
from personaplex_ui.ui.status_view import checks_html, status_view_html
from personaplex_ui.web.server_stats import ServerStats
from tests.support.parsed_html import ParsedHtml

BUSY = ServerStats(
    state=EngineState.READY,
    model="PersonaPlex 7B",
    device="cuda:0",
    slots=4,
    slots_free=1,
    waiting=2,
    live={Transport.TWILIO: 1, Transport.BROWSER: 2},
    ended={End.LOST: 1, End.HUNG_UP: 1_200, End.FAILED: 0},
    tick_mean_sec=0.0312,
    tick_p95_sec=0.04,
    real_time_factor=0.39,
    dropped_heard=25,
    dropped_said=5,
    lost_packets=1_234,
    late_packets=34,
    concealed_packets=1_300,
    uptime_sec=7_300.0,
)
BUSY_ROWS = {
    "Engine": "Ready",
    "Model": "PersonaPlex 7B on cuda:0",
    "Lines": "1 of 4 free, 3 taken",
    "Waiting for a line": "2",
    "Live calls": "3: 2 in the browser, 1 on the phone",
    "Model step": "31 ms on average, 95 % within 40 ms, out of 80 ms. It keeps up.",
    "Real-time factor": "0.39: under 1, as it should be",
    "Lost sound": "2.0 s of callers, 0.4 s of the assistant",
    "Callers' packets": "1,234 lost, 34 of them late; 1,300 concealed",
    "Calls since the start": "1,201: 1,200 hung up, 1 lost the connection",
    "Running for": "2 h 1 min",
}
LOADING = ServerStats(EngineState.LOADING, "Downloading the weights…", slots=4, slots_free=4)
LOADING_ROWS = {
    "Engine": "Loading the model: Downloading the weights…",
    "Model": "Not loaded yet",
    "Lines": "4 of 4 free, 0 taken",
    "Waiting for a line": "Nobody",
    "Live calls": "None",
    "Model step": "No step yet",
    "Real-time factor": "Unknown so far",
    "Lost sound": "None",
    "Callers' packets": "None lost",
    "Calls since the start": "None",
    "Running for": "0 s",
}


@pytest.mark.parametrize(("stats", "rows"), [(BUSY, BUSY_ROWS), (LOADING, LOADING_ROWS)])
def test_the_server_in_words(stats: ServerStats, rows: dict[str, str]) -> None:
    page = ParsedHtml(status_view_html(stats))
    assert page.rows == rows
    assert [head["scope"] for head in page.attributes("th")] == ["row"] * len(rows)
    assert len(page.attributes("caption")) == 1
    assert page.values("aria-live") == []


def test_a_model_that_tells_about_itself() -> None:
    capacity = CapacityReport(6, 15, {1: 38.04, 4: 52.0, 7: 3.21}, "6 lines of 15 that the memory holds.")
    runtime = RuntimeReport(
        "eager: this GPU cannot capture",
        "Triton",
        "int8",
        "int8",
        "kept in long calls",
        ("Weights in int8, since it is an L4.",),
        ("int8 is slower than bfloat16 here.",),
    )
    page = ParsedHtml(status_view_html(replace(BUSY, capacity=capacity, runtime=runtime)))
    assert page.rows["Why so many"] == (
        "6 lines of 15 that the memory holds. Measured steps: 38 ms with 1, 52 ms with 4, 3.2 ms with 7."
    )
    words = " ".join(page.rows["How it runs"].split())
    assert words.startswith("Tick: eager: this GPU cannot capture. Kernels: Triton. Voice and role: kept in")
    assert words.endswith("since it is an L4. int8 is slower than bfloat16 here.")


@pytest.mark.parametrize(
    ("row", "values", "words"),
    [
        (
            "Engine",
            {"state": EngineState.READY, "message": "The echo stands in."},
            "Ready: The echo stands in.",
        ),
        ("Engine", {"state": EngineState.DRAINING}, "Shutting down"),
        (
            "Callers' words",
            {"captions": CaptionsReport("Whisper tiny.en"), "dropped_utterances": 1_234},
            "Found by Whisper tiny.en; 1,234 utterances got none",
        ),
        (
            "Callers' words",
            {"captions": CaptionsReport("", "The <weights> cannot be had.")},
            "The <weights> cannot be had.",
        ),
        (
            "Engine",
            {"state": EngineState.FAILED, "message": "There is no GPU."},
            "Failed: calls cannot be taken: There is no GPU.",
        ),
        (
            "Engine",
            {"state": EngineState.DEGRADED, "message": "It hangs."},
            "Degraded: calls cannot be taken: It hangs.",
        ),
        ("Real-time factor", {"real_time_factor": 1.25}, "1.25: not under 1, so callers hear gaps"),
        (
            "Model step",
            {"tick_mean_sec": 0.0034},
            "3.4 ms on average, 95 % within 40 ms, out of 80 ms. It keeps up.",
        ),
        (
            "Live calls",
            {"live": dict.fromkeys(Transport, 1)},
            "7: 1 in the browser, 1 in the browser without UDP, 1 from sound files, 1 from Moshi clients, "
            "1 from OpenAI Realtime clients, 1 on the phone, 1 on FastRTC's phone number",
        ),
        (
            "Calls since the start",
            {"ended": dict.fromkeys(End, 1)},
            "7: 1 hung up, 1 reached the time limit, 1 lost the connection, 1 refused, 1 failed, "
            "1 ended by a shutdown, 1 put through to a person",
        ),
        ("Running for", {"uptime_sec": -1}, "0 s"),
        ("Running for", {"uptime_sec": 59.9}, "59 s"),
        ("Running for", {"uptime_sec": 61}, "1 min 1 s"),
        ("Running for", {"uptime_sec": 86_400}, "1 day 0 h"),
        ("Running for", {"uptime_sec": 270_000}, "3 days 3 h"),
    ],
)
def test_one_value_in_words(row: str, values: dict[str, Any], words: str) -> None:
    assert ParsedHtml(status_view_html(replace(BUSY, **values))).rows[row] == words


@pytest.mark.parametrize(
    ("p95_sec", "kind", "level", "verdict"),
    [
        (0.0004, "good", 0, "It keeps up."),
        (0.06, "good", 75, "It keeps up."),
        (0.0601, "close", 75, "It barely keeps up."),
        (0.08, "close", 100, "It barely keeps up."),
        (0.2, "late", 100, "It is too slow: callers hear gaps."),
    ],
)
def test_the_meter_says_in_words_what_it_shows(p95_sec: float, kind: str, level: int, verdict: str) -> None:
    page = ParsedHtml(status_view_html(replace(BUSY, tick_p95_sec=p95_sec)))
    assert page.rows["Model step"].endswith(verdict)
    assert page.attributes("div") == [{"class": f"pp-bar pp-server-{kind}", "aria-hidden": "true"}]
    assert page.attributes("span") == [{"style": f"--pp-level:{level}%"}]


def test_each_check_of_the_doctor_is_a_row_and_nothing_of_it_is_markup() -> None:
    port = Check("Port", OK, "Port 7860 is free.")
    html = checks_html(Report("1", (port, Check("<b>", WARNING, "<i> is no folder.", "Make <i>."))))
    assert '<p role="status">0 problems, 1 warning, 1 ok.</p>' in html
    assert '<tr class="pp-check-ok"><th scope="row">Port</th>' in html
    assert "<strong>OK</strong> Port 7860 is free." in html
    assert "&lt;i&gt; is no folder.</p><p>Make &lt;i&gt;.</p>" in html
    assert "<b>" not in html
    assert "<i>" not in html

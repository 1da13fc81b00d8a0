from dataclasses import replace
from html.parser import HTMLParser

import pytest

from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.ui.status_view import status_view_html
from personaplex_ui.web.server_stats import ServerStats

HOSTILE = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(1)> & ä 漢"
BUSY = ServerStats(
    state=EngineState.READY,
    model="PersonaPlex 7B",
    device="cuda:0",
    lines=4,
    lines_free=1,
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


class Table(HTMLParser):
    """The rows as name -> words. Every element has to be closed in order."""

    def __init__(self, figures: ServerStats) -> None:
        super().__init__()
        self.rows: dict[str, str] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._name = ""
        self.feed(status_view_html(figures))
        self.close()
        assert self._open == []

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "th" in self._open:
            self._name = data
        elif "td" in self._open:
            self.rows[self._name] = self.rows.get(self._name, "") + data


def test_a_busy_server() -> None:
    assert Table(BUSY).rows == {
        "Engine": "Ready",
        "Model": "PersonaPlex 7B on cuda:0",
        "Lines": "1 of 4 free, 3 taken",
        "Waiting for a line": "2",
        "Live calls": "3: 2 in the browser, 1 on the phone",
        "One step of the model": "31 ms on average, 95 of 100 within 40 ms, of the 80 ms there are. "
        "It keeps up.",
        "Real-time factor": "0.39: under 1, as it should be",
        "Lost sound": "2.0 s of callers, 0.4 s of the assistant",
        "Callers' packets": "1,234 lost, 34 of them late; 1,300 concealed",
        "Calls since the start": "1,201: 1,200 hung up, 1 lost the connection",
        "Running for": "2 h 1 min",
    }


def test_a_server_that_loads() -> None:
    loading = ServerStats(EngineState.LOADING, "Downloading the weights…", lines=4, lines_free=4)
    rows = Table(loading).rows
    assert rows["Engine"] == "Loading the model: Downloading the weights…"
    assert rows["Model"] == "None is loaded yet"
    assert rows["One step of the model"] == "None was made yet"
    assert rows["Real-time factor"] == "Not known yet"
    assert rows["Live calls"] == rows["Calls since the start"] == rows["Lost sound"] == "None"
    assert rows["Callers' packets"] == "None lost"
    assert rows["Waiting for a line"] == "Nobody"
    assert rows["Running for"] == "0 s"


@pytest.mark.parametrize(
    ("state", "message", "words"),
    [
        (EngineState.FAILED, "There is no GPU.", "Failed: calls cannot be taken: There is no GPU."),
        (EngineState.DRAINING, "", "Shutting down"),
        (
            EngineState.DEGRADED,
            "It hangs.",
            "In trouble: calls cannot be taken: It hangs.",
        ),
        (EngineState.READY, "", "Ready"),
    ],
)
def test_the_state_in_words(state: EngineState, message: str, words: str) -> None:
    assert Table(replace(BUSY, state=state, message=message)).rows["Engine"] == words


@pytest.mark.parametrize(
    ("p95_sec", "kind", "level", "verdict"),
    [
        (0.0004, "good", 0, "It keeps up."),
        (0.06, "good", 75, "It keeps up."),
        (0.0601, "close", 75, "It just keeps up."),
        (0.08, "close", 100, "It just keeps up."),
        (0.2, "late", 100, "It is too slow: callers hear gaps."),
    ],
)
def test_the_meter_says_in_words_what_it_shows(p95_sec: float, kind: str, level: int, verdict: str) -> None:
    table = Table(replace(BUSY, tick_p95_sec=p95_sec))
    assert table.rows["One step of the model"].endswith(verdict)
    assert table.of("div") == [{"class": f"pp-bar pp-server-{kind}", "aria-hidden": "true"}]
    assert table.of("span") == [{"style": f"--pp-level:{level}%"}]


def test_it_is_a_table_with_row_headers_and_a_caption() -> None:
    table = Table(BUSY)
    assert [head["scope"] for head in table.of("th")] == ["row"] * 11
    assert len(table.of("td")) == len(table.of("tr")) == 11
    assert len(table.of("caption")) == 1
    assert "aria-live" not in status_view_html(BUSY)


def test_every_kind_of_call_and_end_has_its_words() -> None:
    rows = Table(replace(BUSY, live=dict.fromkeys(Transport, 1), ended=dict.fromkeys(End, 1))).rows
    assert rows["Live calls"].startswith(f"{len(Transport)}: 1 in the browser, 1 from sound files")
    assert rows["Calls since the start"].count(",") == len(End) - 1


@pytest.mark.parametrize(
    ("sec", "words"),
    [(-1, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (86_400, "1 day 0 h"), (270_000, "3 days 3 h")],
)
def test_the_time_it_runs(sec: float, words: str) -> None:
    assert Table(replace(BUSY, uptime_sec=sec)).rows["Running for"] == words


def test_a_slow_model_is_said_to_be_slow() -> None:
    slow = Table(replace(BUSY, real_time_factor=1.25, tick_mean_sec=0.0034)).rows
    assert slow["Real-time factor"] == "1.25: not under 1, so callers hear gaps"
    assert slow["One step of the model"].startswith("3.4 ms on average")


def test_hostile_text_stays_text() -> None:
    figures = replace(BUSY, state=EngineState.FAILED, message=HOSTILE, model=HOSTILE, device=HOSTILE)
    table = Table(figures)
    assert not {"script", "img"} & {tag for tag, _ in table.elements}
    assert HOSTILE in table.rows["Engine"]
    assert HOSTILE in table.rows["Model"]

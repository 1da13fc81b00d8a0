"""The live view, the after view and the call bar in a real browser, fed with events instead of a call: what
would take minutes of talking is there at once. No server: Chromium gets each file from here."""

import io
import wave
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route

from personaplex_ui.audio.levels import Segment
from personaplex_ui.duplex.report import DuplexReport, Echo, Turns
from personaplex_ui.ui.rendering import render
from personaplex_ui.ui.theme import page_css

ORIGIN = "http://stage.localhost"
DRIVER = Path(__file__).with_name("stage_page.mjs")
RECORDING_HZ = 8_000
DURATION_SEC = 60

HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stage</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>*{{box-sizing:border-box}} body{{margin:0;font-family:sans-serif;line-height:1.5}} {css}</style></head>
<body class="{mode}"><div class="gradio-container"><div id="tabs"><div class="tabitem" id="talk">
<div id="stage" class="pp-stage">{live}{after}</div></div>
<div class="tabitem" id="other" hidden style="height: 3000px">Another tab</div></div>
<div id="call-bar-holder">{bar}</div></div>
<script type="module" src="page/driver.mjs"></script></body></html>"""

LIVE: list[dict[str, Any]] = [
    {"type": "start", "at": 1},
    {
        "type": "facts",
        "facts": {"seq": 1, "phase": "live", "call_id": "c1", "elapsed_sec": 42, "answer_sec": 0.7},
    },
]


def line(n: int, who: str, text: str = "", **more: Any) -> dict[str, Any]:
    """A line of a call; each takes two of three seconds."""
    times = {"start_sec": 3.0 * n, "end_sec": 3.0 * n + 2}
    others = {"cut": False, "interrupts": False, "open": False, "levels": [] if text else [3, 9, 5]}
    return {"n": n, "who": who, "text": text} | times | others | more


def report() -> dict[str, Any]:
    """As ``GET /calls/{id}/report.json`` tells it."""

    def spans(*at: tuple[float, float]) -> tuple[Segment, ...]:
        return tuple(Segment(*times) for times in at)

    turns = Turns(
        caller=spans((12, 14), (30, 32)),
        assistant=spans((3, 5), (14.7, 31)),
        overlaps=spans((30, 31)),
        responses=spans((2.4, 3), (14, 14.71)),
        stops=spans((30, 31)),
        ignored=spans((40, 45)),
        backchannels=spans((50, 50.4)),
        dead_air=spans((5, 12), (32, 60)),
    )
    return DuplexReport(DURATION_SEC, turns, Echo(0.18, -20.4, 70.0)).record()


def record(
    lines: list[dict[str, Any]], recorded: bool = True, measured: dict[str, Any] | None = None
) -> dict[str, Any]:
    """As ``GET /calls/{id}`` tells it. ``measured``: its report."""
    turns = {
        who: [[each["start_sec"], each["end_sec"]] for each in lines if each["who"] == who] for who in SIDES
    }
    kinds = ("txt", "srt", "vtt", "json")
    return {
        "call_id": "c1",
        "started_at": 1_700_000_000.0,
        "duration_sec": DURATION_SEC,
        "voice": "NATF2",
        "text_prompt": "You enjoy it.",
        "reason": "You hung up.",
        "notes": [],
        "recorded": recorded,
        "keep_until": 1_700_086_400.0,
        "lines": lines,
        "turns": turns | {"overlaps": []},
        "figures": {"answer_sec": 0.71, "caller_share": 0.46, "interruptions": 5},
        "report": measured,
        "files": {kind: f"calls/c1/transcript.{kind}" for kind in kinds}
        | {"recording": "calls/c1/recording.wav" if recorded else None}
        | {"face": "calls/c1/face.mp4" if recorded else None}
        | {"report": "calls/c1/report.json" if recorded else None},
    }


SIDES = ("caller", "assistant")


class StagePage:
    """The page, mounted."""

    def __init__(self, context: BrowserContext, dark: bool = False) -> None:
        self._dark = dark
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.route(f"{ORIGIN}/**", self._answer)
        self.page.goto(f"{ORIGIN}/")
        self.page.wait_for_function("window.stage")

    def dispatch(self, *events: dict[str, Any]) -> None:
        self.page.evaluate("events => events.forEach(stage.dispatch)", list(events))

    def go_live(self, *lines: dict[str, Any]) -> None:
        self.dispatch(*LIVE)
        self.facts(2, *lines)

    def facts(self, seq: int, *lines: dict[str, Any]) -> None:
        self.dispatch({"type": "facts", "facts": {"seq": seq, "phase": "live", "lines": list(lines)}})

    def told(self, name: str) -> list[Any]:
        """What this action was asked with, each time."""
        return [value for asked, value in self.page.evaluate("stage.told") if asked == name]

    def open_another_tab(self) -> None:
        self.page.evaluate("() => { document.getElementById('talk').hidden = true; other.hidden = false; }")

    def open_the_talk_tab(self) -> None:
        self.page.evaluate("() => { document.getElementById('talk').hidden = false; other.hidden = true; }")

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(f"{ORIGIN}/").partition("?")[0]
        if path == "":
            route.fulfill(body=self._html(), content_type="text/html")
        elif path == "page/driver.mjs":
            route.fulfill(body=DRIVER.read_text(), content_type="text/javascript")
        elif path.endswith(".mjs"):
            module = files("personaplex_ui.ui.static").joinpath(path)
            route.fulfill(body=module.read_text(encoding="utf-8"), content_type="text/javascript")
        elif path.endswith(".wav"):
            _fulfill_part(route, _silent_recording())
        else:
            route.fulfill(status=404, body="")

    def _html(self) -> str:
        names = {"live": "stage_live", "after": "stage_after", "bar": "call_bar"}
        parts = {place: render(name) for place, name in names.items()}
        return HTML.format(css=page_css(), mode="dark" if self._dark else "", **parts)


def _fulfill_part(route: Route, whole: bytes) -> None:
    """Chromium seeks only where it may ask for a part."""
    start = int(route.request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
    headers = {
        "Content-Type": "audio/wav",
        "Accept-Ranges": "bytes",
        "Content-Range": f"bytes {start}-{len(whole) - 1}/{len(whole)}",
    }
    route.fulfill(status=206, body=whole[start:], headers=headers)


def _silent_recording() -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as recording:
        recording.setparams((2, 1, RECORDING_HZ, 0, "NONE", ""))
        recording.writeframes(bytes([128]) * 2 * RECORDING_HZ * DURATION_SEC)
    return written.getvalue()

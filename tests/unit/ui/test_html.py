from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from personaplex_ui.calls.snapshot import CallStats, EndedCall, Phase, Snapshot
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.ui import html as render
from personaplex_ui.ui.theme import build_theme, page_css, page_head

HOSTILE = "</p><script>alert(1)</script>\"'><img src=x onerror=alert(1)> & ä 漢"
VOID = {"img", "br", "input"}

CALL = EndedCall(
    call_id="a1b2",
    started_at=1_763_660_000.0,
    duration_sec=83.0,
    voice="NATF2",
    reason="You hung up.",
    notes=(),
    lines=(Utterance(0.0, 1.0, "Hello."),),
    caller_levels_dbfs=(-20.0,) * 500 + (-80.0,) * 500,
    assistant_levels_dbfs=(-80.0,) * 510 + (-20.0,) * 490,
    recorded=True,
)
LIVE = Snapshot("a1b2", Phase.LIVE, elapsed_sec=42.0, max_sec=240.0)


class Page(HTMLParser):
    """Reads HTML, insists that every element is closed in order, and keeps what it saw."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str | None]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (None, "Ready. Press the button and speak."),
        (Snapshot("c", Phase.WAITING, place=2, waiting=3), "Waiting: place 2 of 3"),
        (Snapshot("c", Phase.WAITING), "Waiting: place 1 of 1"),
        (
            Snapshot("c", Phase.PREPARING, preparing_progress=0.4),
            "Preparing the voice and role… 40 %",
        ),
        (Snapshot("c", Phase.PREPARING, preparing_progress=7.0), "Preparing the voice and role… 100 %"),
        (LIVE, "Live 0:42 You Assistant"),
        (replace(LIVE, elapsed_sec=200.4), "Live 3:20 40 s left You Assistant"),
        (replace(LIVE, elapsed_sec=250.0), "Live 4:10 0 s left You Assistant"),
        (replace(LIVE, elapsed_sec=250.0, max_sec=0.0), "Live 4:10 You Assistant"),
        (Snapshot("c", Phase.ENDED, reason="You hung up."), "Ended: You hung up."),
        (Snapshot("c", Phase.ENDED), "Ended."),
    ],
)
def test_status_says_the_state(snapshot: Snapshot | None, words: str) -> None:
    assert Page(render.status_html(snapshot)).text == words


def test_the_ticking_clock_is_not_announced_but_notes_are() -> None:
    def announced(snapshot: Snapshot) -> list[str | None]:
        return Page(render.status_html(snapshot)).values("data-announce")

    assert announced(LIVE) == announced(replace(LIVE, elapsed_sec=43.0, caller_level_dbfs=-7.0)) == ["Live."]
    noted = replace(LIVE, notes=("This call ends in 10 seconds.",))
    assert announced(noted) == ["Live. This call ends in 10 seconds."]
    assert "This call ends in 10 seconds." in Page(render.status_html(noted)).text


@pytest.mark.parametrize(
    ("level_dbfs", "percent"), [(-100.0, 0), (-60.0, 0), (-30.0, 50), (0.0, 100), (3.0, 100)]
)
def test_meters_show_levels(level_dbfs: float, percent: int) -> None:
    page = Page(render.status_html(replace(LIVE, caller_level_dbfs=level_dbfs)))
    assert page.values("style") == [f"--pp-level:{percent}%", "--pp-level:0%"]


def test_transcript_shows_each_line_with_its_time() -> None:
    page = Page(
        render.transcript_html([Utterance(0.4, 1.0, "Hello."), Utterance(65.0, 66.0, "Bye.")], live=True)
    )
    assert page.text == "0:00 Hello. 1:05 Bye."
    assert page.values("role") == ["log"]
    assert page.values("tabindex") == ["0"]


@pytest.mark.parametrize("live", [True, False])
def test_an_empty_transcript_says_what_will_come(live: bool) -> None:
    assert "What the assistant says appears here" in Page(render.transcript_html((), live)).text


def test_result_offers_player_and_downloads() -> None:
    page = Page(render.result_html(CALL))
    (player,) = page.attributes("audio")
    assert player["src"] == "calls/a1b2/recording.wav"
    assert player["preload"] == "metadata"
    assert "left is you" in str(player["aria-label"])
    assert page.values("href") == [
        "calls/a1b2/recording.wav?download=1",
        "calls/a1b2/transcript.txt",
        "calls/a1b2/transcript.srt",
        "calls/a1b2/transcript.json",
    ]
    assert all("download" in link for link in page.attributes("a"))
    assert "You hung up." in page.text
    assert page.attributes("svg")


@pytest.mark.parametrize(
    ("lost", "words"), [(0, ""), (1, "lost 1 packet of what you said"), (1_234, "lost 1,234 packets of")]
)
def test_result_tells_what_the_connection_lost(lost: int, words: str) -> None:
    figures = CallStats(lost_packets=lost, concealed_packets=lost)
    text = Page(render.result_html(replace(CALL, figures=figures))).text
    assert words in text
    assert ("lost" in text) == (lost > 0)


def test_result_without_recording_says_so() -> None:
    page = Page(render.result_html(replace(CALL, recorded=False, notes=("The disk is full.",))))
    assert page.attributes("audio") == []
    assert "There is no recording of this call." in page.text
    assert "The disk is full." in page.text
    assert "calls/a1b2/recording.wav?download=1" not in page.values("href")


def test_result_of_a_call_in_which_nothing_happened() -> None:
    call = replace(CALL, duration_sec=0.0, lines=(), caller_levels_dbfs=(), assistant_levels_dbfs=())
    page = Page(render.result_html(replace(call, voice="", reason="")))
    assert "2025-11-20 17:33 UTC · 0:00" in page.text
    assert "Nobody spoke in this call." in page.text


def test_a_call_id_cannot_leave_its_path() -> None:
    page = Page(render.result_html(replace(CALL, call_id='../x?"#')))
    assert page.attributes("audio")[0]["src"] == "calls/..%2Fx%3F%22%23/recording.wav"


def test_history_is_a_table_with_heads() -> None:
    page = Page(render.history_html([CALL, replace(CALL, recorded=False, duration_sec=3.0)]))
    assert [x["scope"] for x in page.attributes("th")] == ["col"] * 4
    assert page.attributes("time")[0]["datetime"] == "2025-11-20T17:33:20Z"
    assert len(page.attributes("tr")) == 3
    assert "1:23 NATF2 Recording Text Subtitles JSON" in page.text
    assert "0:03 NATF2 Text Subtitles JSON" in page.text


def test_an_empty_history_says_so() -> None:
    assert Page(render.history_html([])).text.startswith("No calls yet.")


def test_the_echo_engine_says_plainly_what_it_is() -> None:
    page = Page(render.engine_html("echo", "Echo"))
    assert "does not understand you" in page.text
    assert "GPU with 24 GB" in page.text
    assert len(page.attributes("li")) == 3
    assert page.values("href") == ["https://huggingface.co/nvidia/personaplex-7b-v1"]


@pytest.mark.parametrize(
    ("state", "message", "words"),
    [
        ("loading", "", "Loading PersonaPlex… 30 % You can choose a voice and a role meanwhile."),
        (
            "loading",
            "Downloading the weights…",
            "Downloading the weights… 30 % You can choose a voice and a role meanwhile.",
        ),
        ("failed", "", "Calls cannot be taken. PersonaPlex could not be loaded."),
        ("failed", "Disk full.", "Calls cannot be taken. Disk full."),
        ("ready", "", "PersonaPlex is ready."),
        ("ready", "2 calls at once.", "PersonaPlex is ready. 2 calls at once."),
    ],
)
def test_engine_states(state: str, message: str, words: str) -> None:
    assert Page(render.engine_html(state, "PersonaPlex", message, 0.3)).text == words


def test_a_field_message_alerts_only_when_there_is_one() -> None:
    assert render.field_message_html("") == '<p class="pp-field-message"></p>'
    page = Page(render.field_message_html("Too long."))
    assert page.values("role") == ["alert"]
    assert page.text == "Too long."


def test_prompt_counter() -> None:
    assert Page(render.prompt_counter_html(10, 256)).text == "10 of 256 characters"
    assert Page(render.prompt_counter_html(256, 256)).text == "256 of 256 characters"
    assert Page(render.prompt_counter_html(300, 256)).text == "300 of 256 characters: 44 too many"


def test_preview_plays_at_once() -> None:
    (player,) = Page(render.preview_html("voices/a b.wav", "NATF2")).attributes("audio")
    assert player == {
        "class": "pp-preview",
        "controls": None,
        "autoplay": None,
        "src": "voices/a b.wav",
        "aria-label": "NATF2",
    }


@pytest.mark.parametrize(
    "html",
    [
        lambda: render.status_html(Snapshot(HOSTILE, Phase.ENDED, reason=HOSTILE, notes=(HOSTILE,))),
        lambda: render.transcript_html([Utterance(0.0, 1.0, HOSTILE)], live=True),
        lambda: render.result_html(
            replace(CALL, call_id=HOSTILE, voice=HOSTILE, reason=HOSTILE, notes=(HOSTILE,))
        ),
        lambda: render.history_html([replace(CALL, call_id=HOSTILE, voice=HOSTILE)]),
        lambda: render.engine_html("loading", HOSTILE),
        lambda: render.engine_html("loading", "", HOSTILE),
        lambda: render.engine_html("failed", HOSTILE, HOSTILE),
        lambda: render.engine_html("ready", HOSTILE, HOSTILE),
        lambda: render.field_message_html(HOSTILE),
        lambda: render.preview_html(HOSTILE, HOSTILE),
    ],
)
def test_hostile_text_stays_text(html: Callable[[], str]) -> None:
    page = Page(html())
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert HOSTILE.split()[0] in page.text or HOSTILE in [*page.values("aria-label"), *page.values("src")]


def test_the_page_asks_no_other_host() -> None:
    assert "http" not in page_css().replace("http://www.w3.org/2000/svg", "")
    head = page_head()
    assert head.startswith("<script>")
    assert head.count("</script>") == 1
    assert "http" not in head.replace("https or on localhost", "")
    theme = build_theme()
    assert "googleapis" not in str(vars(theme))

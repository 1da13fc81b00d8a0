"""The HTML of the talk tab. That it escapes everything is tested in test_rendering.py."""

from dataclasses import replace

import pytest

from personaplex_ui.calls.snapshot import CallStats, EndedCall, Phase, Snapshot
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.ui import talk_view
from tests.support.parsed_html import ParsedHtml

CALL = EndedCall(
    call_id="a1b2",
    started_at=1_763_660_000.0,
    duration_sec=83.0,
    voice="NATF2",
    reason="You hung up.",
    notes=(),
    utterances=(Utterance(0.0, 1.0, "Hello."),),
    caller_levels_dbfs=(-20.0,) * 500 + (-80.0,) * 500,
    assistant_levels_dbfs=(-80.0,) * 510 + (-20.0,) * 490,
    recorded=True,
)
LIVE = Snapshot("a1b2", Phase.LIVE, elapsed_sec=42.0, max_sec=240.0)
NOTE = "This call ends in 10 seconds."


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (None, "Ready. Press the button and speak."),
        (Snapshot("c", Phase.WAITING, place=2, waiting=3), "Waiting: place 2 of 3"),
        (Snapshot("c", Phase.WAITING), "Waiting: place 1 of 1"),
        (Snapshot("c", Phase.PREPARING, preparing_progress=0.4), "Preparing the voice and role… 40 %"),
        (Snapshot("c", Phase.PREPARING, preparing_progress=7.0), "Preparing the voice and role… 100 %"),
        (LIVE, "Live 0:42 You Assistant"),
        (replace(LIVE, elapsed_sec=200.4), "Live 3:20 40 s left You Assistant"),
        (replace(LIVE, elapsed_sec=250.0), "Live 4:10 0 s left You Assistant"),
        (replace(LIVE, elapsed_sec=250.0, max_sec=0.0), "Live 4:10 You Assistant"),
        (replace(LIVE, notes=(NOTE,)), f"Live 0:42 {NOTE} You Assistant"),
        (Snapshot("c", Phase.ENDED, reason="You hung up."), "Ended: You hung up."),
        (Snapshot("c", Phase.ENDED), "Ended."),
    ],
)
def test_the_state_of_a_call_in_words(call: Snapshot | None, words: str) -> None:
    assert ParsedHtml(talk_view.status_html(call).replace("<", " <")).text == words


@pytest.mark.parametrize(
    ("call", "announced"),
    [
        (LIVE, "Live."),
        (replace(LIVE, elapsed_sec=43.0, caller_level_dbfs=-7.0), "Live."),  # not the ticking clock
        (replace(LIVE, notes=(NOTE,)), f"Live. {NOTE}"),
    ],
)
def test_what_is_announced(call: Snapshot, announced: str) -> None:
    assert ParsedHtml(talk_view.status_html(call)).values("data-announce") == [announced]


@pytest.mark.parametrize(
    ("level_dbfs", "percent"), [(-100.0, 0), (-60.0, 0), (-30.0, 50), (0.0, 100), (3.0, 100)]
)
def test_meters_show_levels(level_dbfs: float, percent: int) -> None:
    page = ParsedHtml(talk_view.status_html(replace(LIVE, caller_level_dbfs=level_dbfs)))
    assert page.values("style") == [f"--pp-level:{percent}%", "--pp-level:0%"]


def test_the_transcript_shows_each_utterance_with_its_time() -> None:
    utterances = [Utterance(0.4, 1.0, "Hello."), Utterance(65.0, 66.0, "Bye.")]
    page = ParsedHtml(talk_view.transcript_html(utterances, live=True))
    assert page.text == "0:00 Hello. 1:05 Bye."
    assert page.values("role") == ["log"]
    assert page.values("tabindex") == ["0"]


@pytest.mark.parametrize(("live", "start"), [(True, "Nothing said yet."), (False, "What the assistant says")])
def test_an_empty_transcript_says_what_will_come(live: bool, start: str) -> None:
    text = ParsedHtml(talk_view.transcript_html((), live)).text
    assert text.startswith(start)
    assert "What the assistant says appears here" in text


def test_the_result_offers_player_and_downloads() -> None:
    page = ParsedHtml(talk_view.result_html(CALL))
    (player,) = page.attributes("audio")
    assert (player["src"], player["preload"]) == ("calls/a1b2/recording.wav", "metadata")
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
def test_the_result_tells_what_the_connection_lost(lost: int, words: str) -> None:
    stats = CallStats(lost_packets=lost, concealed_packets=lost)
    text = ParsedHtml(talk_view.result_html(replace(CALL, stats=stats))).text
    assert words in text
    assert ("lost" in text) == (lost > 0)


def test_a_result_without_recording_says_so() -> None:
    page = ParsedHtml(talk_view.result_html(replace(CALL, recorded=False, notes=("The disk is full.",))))
    assert page.attributes("audio") == []
    assert "There is no recording of this call." in page.text
    assert "The disk is full." in page.text
    assert "calls/a1b2/recording.wav?download=1" not in page.values("href")


def test_the_result_of_a_call_in_which_nothing_happened() -> None:
    call = replace(CALL, duration_sec=0.0, utterances=(), caller_levels_dbfs=(), assistant_levels_dbfs=())
    page = ParsedHtml(talk_view.result_html(replace(call, voice="", reason="")))
    assert "2025-11-20 17:33 UTC · 0:00" in page.text
    assert "Nobody spoke in this call." in page.text


def test_a_call_id_cannot_leave_its_path() -> None:
    page = ParsedHtml(talk_view.result_html(replace(CALL, call_id='../x?"#')))
    assert page.attributes("audio")[0]["src"] == "calls/..%2Fx%3F%22%23/recording.wav"


def test_the_history_is_a_table_with_heads() -> None:
    page = ParsedHtml(talk_view.history_html([CALL, replace(CALL, recorded=False, duration_sec=3.0)]))
    assert [x["scope"] for x in page.attributes("th")] == ["col"] * 4
    assert page.attributes("time")[0]["datetime"] == "2025-11-20T17:33:20Z"
    assert len(page.attributes("tr")) == 3
    assert "1:23 NATF2 Recording Text Subtitles JSON" in page.text
    assert "0:03 NATF2 Text Subtitles JSON" in page.text
    assert ParsedHtml(talk_view.history_html([])).text.startswith("No calls yet.")


MEANWHILE = "30 % You can choose a voice and a role in the meantime."


@pytest.mark.parametrize(
    ("state", "message", "words"),
    [
        ("loading", "", f"Loading PersonaPlex… {MEANWHILE}"),
        ("loading", "Downloading the weights…", f"Downloading the weights… {MEANWHILE}"),
        ("failed", "", "Calls cannot be taken. PersonaPlex could not be loaded."),
        ("failed", "Disk full.", "Calls cannot be taken. Disk full."),
        ("ready", "", "PersonaPlex is ready."),
        ("ready", "2 calls at once.", "PersonaPlex is ready. 2 calls at once."),
    ],
)
def test_the_engine_in_words(state: str, message: str, words: str) -> None:
    assert ParsedHtml(talk_view.engine_html(state, "PersonaPlex", message, 0.3)).text == words


def test_the_echo_engine_says_plainly_what_it_is() -> None:
    page = ParsedHtml(talk_view.engine_html("echo", "Echo"))
    assert "does not understand you" in page.text
    assert "GPU with 24 GB" in page.text
    assert len(page.attributes("li")) == 3
    assert page.values("href") == ["https://huggingface.co/nvidia/personaplex-7b-v1"]
    assert "could not be loaded. There is no GPU." in talk_view.engine_html(
        "echo", "Echo", "There is no GPU."
    )


@pytest.mark.parametrize(
    ("sentence", "good", "role"),
    [
        ("", False, []),
        ("", True, []),
        ("Too long.", False, ["alert"]),
        ("Your voice is ready.", True, ["status"]),
    ],
)
def test_a_message_at_a_field_is_announced_only_when_there_is_one(
    sentence: str, good: bool, role: list[str]
) -> None:
    page = ParsedHtml(talk_view.field_message_html(sentence, good))
    assert (page.text, page.values("role")) == (sentence, role)


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (10, "10 of 256 characters"),
        (256, "256 of 256 characters"),
        (300, "300 of 256 characters: 44 too many"),
    ],
)
def test_the_counter_beside_the_role(used: int, words: str) -> None:
    page = ParsedHtml(talk_view.prompt_counter_html(used, 256))
    assert page.text == words
    assert page.values("class") == ["pp-counter pp-over" if used > 256 else "pp-counter"]


def test_a_preview_plays_at_once() -> None:
    (player,) = ParsedHtml(talk_view.preview_html("voices/a b.wav", "NATF2")).attributes("audio")
    assert player == {
        "class": "pp-preview",
        "controls": None,
        "autoplay": None,
        "src": "voices/a b.wav",
        "aria-label": "NATF2",
    }

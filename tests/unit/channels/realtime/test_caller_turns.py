"""Where the caller's turns begin and end, and which words belong to which."""

from itertools import count

import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.channels.realtime import server_events as server
from personaplex_ui.channels.realtime.caller_turns import CallersTurn, CallerTurns
from personaplex_ui.channels.realtime.caller_words import SETTLED_SEC, CallerWords
from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import ItemLog
from personaplex_ui.channels.realtime.server_events import ServerEvent
from personaplex_ui.channels.realtime.session_config import TurnDetection
from tests.support.sounds import tone


def silence(sec: float) -> Samples:
    return np.zeros(round(sec * 24_000), dtype=np.float32)


USUAL = TurnDetection()


def turns_of(detection: TurnDetection | None = USUAL) -> CallerTurns:
    numbers = count(1)
    return CallerTurns(ItemLog(), lambda: f"item_{next(numbers)}", detection)


def kinds(events: list[ServerEvent]) -> list[str]:
    return [event.kind.rpartition(".")[2] for event in events]


def test_a_turn_is_told_from_its_begin_to_its_item():
    turns = turns_of()
    events = turns.hear(silence(1.0)) + turns.hear(tone(1.0)) + turns.hear(silence(2.0))
    assert kinds(events) == ["speech_started", "speech_stopped", "committed", "added", "done"]
    started, stopped = events[:2]
    assert isinstance(started, server.SpeechStarted)
    assert isinstance(stopped, server.SpeechStopped)
    assert started.audio_start_ms == pytest.approx(1_000 - 300, abs=80)
    assert stopped.audio_end_ms == pytest.approx(2_000 + 500, abs=100)
    assert {event.item_id for event in (started, stopped)} == {turns.turns[0].item_id}


def test_a_click_is_no_turn_and_a_short_pause_does_not_end_one():
    turns = turns_of()
    assert turns.hear(np.concatenate([silence(0.4), tone(0.08), silence(1.0)])) == []
    events = turns.hear(np.concatenate([tone(0.5), silence(0.3), tone(0.5)]))
    assert kinds(events) == ["speech_started"]
    assert turns.speaking


def test_threshold_and_pause_are_the_clients():
    quiet = tone(1.0, amplitude=0.004)
    assert turns_of().hear(quiet) == []
    assert kinds(turns_of(TurnDetection(threshold=0.2)).hear(quiet)) == ["speech_started"]
    patient = turns_of(TurnDetection(silence_ms=2_000))
    assert kinds(patient.hear(np.concatenate([tone(0.5), silence(1.5)]))) == ["speech_started"]
    assert "committed" in kinds(patient.hear(silence(1.0)))


def test_without_detection_the_client_says_where_a_turn_ends():
    turns = turns_of(None)
    turns.append(1.5)
    assert turns.hear(tone(1.0), 0.5) == []
    assert kinds(turns.commit(0.5)) == ["committed", "added", "done"]
    assert turns.turns[0].end_sec == pytest.approx(1.5, abs=0.1)
    with pytest.raises(RealtimeFault) as caught:
        turns.commit(0.0)
    assert caught.value.fault == "input_audio_buffer_commit_empty"


def test_a_commit_ends_the_turn_under_way():
    turns = turns_of()
    turns.append(1.0)
    (started,) = turns.hear(tone(1.0))
    (committed, *_) = turns.commit(0.0)
    assert isinstance(started, server.SpeechStarted)
    assert isinstance(committed, server.Committed)
    assert started.item_id == committed.item_id
    assert "speech_stopped" not in kinds(turns.hear(silence(2.0)))


def test_what_was_cleared_is_no_turn():
    turns = turns_of(None)
    turns.append(1.0)
    turns.hear(tone(1.0))
    turns.clear()
    with pytest.raises(RealtimeFault):
        turns.commit(0.0)


@pytest.mark.parametrize("sec", [4.0, 3.97])
def test_what_was_committed_before_it_is_heard_is_no_second_turn(sec: float):
    turns = turns_of()
    turns.append(sec)
    (committed, *_) = turns.commit(sec)
    assert turns.hear(tone(sec), 0.0) == []
    assert turns.hear(silence(2.0), 0.0) == []
    turns.append(1.0)
    (started,) = turns.hear(tone(1.0), 0.0)
    assert isinstance(started, server.SpeechStarted)
    assert started.audio_start_ms >= sec * 1_000
    assert kinds(turns.hear(silence(2.0), 0.0))[:2] == ["speech_stopped", "committed"]
    assert isinstance(committed, server.Committed)
    assert [turn.start_sec < turn.end_sec for turn in turns.turns] == [True, True]


def test_pauses_that_are_left_out_of_what_was_committed_end_it_sooner():
    turns = turns_of()
    turns.append(40.0)
    turns.commit(40.0)
    turns.append(1.0)  # beyond the commit, and already waiting
    turns.hear(tone(1.0), 40.0)
    assert turns.turns[0].end_sec == pytest.approx(40.0)
    turns.hear(silence(0.96), 1.0)
    assert turns.turns[0].end_sec == pytest.approx(1.96)
    assert kinds(turns.hear(tone(1.0), 0.0)) == ["speech_started"]


def test_silence_that_the_client_did_not_send_cannot_be_committed():
    turns = turns_of()
    turns.append(1.0)
    turns.hear(tone(1.0), 0.0)
    assert "committed" in kinds(turns.hear(silence(20.0), 0.0))
    with pytest.raises(RealtimeFault) as caught:
        turns.commit(0.0)
    assert caught.value.fault == "input_audio_buffer_commit_empty"
    turns.append(0.5)
    assert kinds(turns.commit(0.5)) == ["committed", "added", "done"]


# Words -----------------------------------------------------------------------------------------------


def line(n: int, text: str, start_sec: float, end_sec: float, is_open: bool = False) -> Line:
    return Line(n, Who.CALLER, start_sec, end_sec, text, open=is_open)


def words_of(*turns: CallersTurn) -> CallerWords:
    numbers = count(1)
    return CallerWords(ItemLog(), lambda: f"own_{next(numbers)}", turns)


def told(events: list[ServerEvent]) -> list[tuple[str, str]]:
    return [
        (event.item_id, event.delta if isinstance(event, server.WordsHeard) else event.transcript)
        for event in events
        if isinstance(event, server.WordsHeard | server.AllWordsHeard)
    ]


def test_words_grow_and_are_told_as_a_whole_when_they_have_settled():
    words = words_of(CallersTurn("a", 0.0, 1.0), CallersTurn("b", 3.0, 5.0))
    assert told(words.change([line(4, "What", 3.1, 4.0, True)], 10.0, speaking=False)) == [("b", "What")]
    assert told(words.change([line(4, "What now", 3.1, 4.9)], 10.5, speaking=False)) == [("b", " now")]
    assert words.settle(10.6) == []
    assert told(words.settle(10.5 + SETTLED_SEC)) == [("b", "What now")]
    assert words.settle(99.0) == []


def test_words_wait_for_the_end_of_their_turn():
    turns: list[CallersTurn] = []
    words = CallerWords(ItemLog(), lambda: "own", turns)
    assert words.change([line(0, "What", 0.0, 1.0)], 10.0, speaking=True) == []
    turns.append(CallersTurn("a", 0.0, 1.5))
    assert told(words.change([], 10.1, speaking=False)) == [("a", "What")]


def test_words_without_a_turn_make_an_item_of_their_own():
    events = words_of().change([line(0, "Psst", 7.0, 7.5)], 10.0, speaking=False)
    assert kinds(events) == ["added", "done", "delta"]


def test_two_lines_do_not_share_an_item():
    words = words_of(CallersTurn("a", 0.0, 4.0))
    events = words.change([line(0, "One", 0.0, 1.0), line(1, "Two", 2.0, 3.0)], 10.0, speaking=False)
    assert told(events) == [("a", "One"), ("own_1", "Two")]


def test_words_that_come_between_are_told_in_the_end():
    words = words_of(CallersTurn("a", 0.0, 4.0))
    words.change([line(0, "One three", 0.0, 1.0, True)], 10.0, speaking=False)
    assert told(words.change([line(0, "One two three", 0.0, 1.0)], 10.2, speaking=False)) == []
    assert told(words.settle(20.0)) == [("a", "One two three")]


def test_what_the_client_wrote_is_not_told():
    words = words_of(CallersTurn("a", 0.0, 4.0))
    written = line(3, "Hello", 1.0, 1.0)
    words.leave_out([written])
    assert words.change([written], 10.0, speaking=False) == []
    assert words.settle(20.0, over=True) == []


def test_the_end_of_the_call_waits_for_nothing():
    words = words_of(CallersTurn("a", 0.0, 4.0))
    words.change([line(0, "What", 0.0, 1.0, True)], 10.0, speaking=False)
    assert told(words.settle(10.0, over=True)) == [("a", "What")]


def test_words_wait_for_the_clients_commit():
    turns = turns_of(None)
    words = CallerWords(ItemLog(), lambda: "own", turns.turns, turns.waits)
    turns.append(2.0)
    turns.hear(tone(2.0), 0.0)
    assert words.change([line(0, "What", 0.2, 1.0)], 10.0, speaking=False) == []
    assert words.settle(20.0) == []
    turns.commit(0.0)
    assert told(words.change([], 20.0, speaking=False)) == [("item_1", "What")]
    assert told(words.settle(30.0)) == [("item_1", "What")]


def test_words_that_come_a_little_after_the_commit_are_of_its_turn():
    turns = turns_of(None)
    words = CallerWords(ItemLog(), lambda: "own", turns.turns, turns.waits)
    turns.append(2.0)
    turns.hear(tone(2.0), 0.0)
    turns.commit(0.0)
    turns.hear(silence(1.0), 0.0)
    assert told(words.change([line(0, "What", 2.3, 2.6)], 10.0, speaking=False)) == [("item_1", "What")]
    turns.append(1.0)
    turns.hear(tone(1.0), 0.0)
    assert words.change([line(1, "Now", 3.1, 3.9)], 11.0, speaking=False) == []
    turns.commit(0.0)
    assert told(words.change([], 12.0, speaking=False)) == [("item_2", "Now")]


def test_words_that_nobody_commits_are_told_in_the_end():
    turns = turns_of(None)
    words = CallerWords(ItemLog(), lambda: "own", turns.turns, turns.waits)
    words.change([line(0, "What", 0.2, 1.0)], 10.0, speaking=False)
    assert told(words.settle(10.0, over=True))[-1:] == [("own", "What")]

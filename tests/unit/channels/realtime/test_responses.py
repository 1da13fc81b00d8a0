"""The assistant's stream, cut into responses: where they begin and end, what is told, what is not."""

from itertools import count

import numpy as np
import pytest

from personaplex_ui.audio.frames import Frame, silent_frame
from personaplex_ui.channels.realtime import server_events as server
from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import ItemLog, Status
from personaplex_ui.channels.realtime.responses import (
    ANSWERS_WITHIN_FRAMES,
    ENDS_AFTER_FRAMES,
    MOST_FRAMES,
    SOUNDS_WITHIN_FRAMES,
    Responses,
)
from personaplex_ui.channels.realtime.server_events import Response, ServerEvent
from tests.support.sounds import tone

LOUD: Frame = tone(0.08)
QUIET: Frame = silent_frame()


class Stream:
    def __init__(self) -> None:
        numbers = count(1)
        self.responses = Responses(
            ItemLog(), lambda prefix: f"{prefix}_{next(numbers)}", "conv", lambda frame: frame.tobytes()
        )
        self.events: list[ServerEvent] = []

    def hears(self, frame: Frame, frames: int = 1, words: str = "") -> "Stream":
        for number in range(frames):
            self.events += self.responses.hear(frame, words if number == 0 else "")
        return self

    @property
    def kinds(self) -> list[str]:
        """Each kind once in a row."""
        told = [event.kind for event in self.events]
        return [kind for number, kind in enumerate(told) if number == 0 or told[number - 1] != kind]

    @property
    def done(self) -> list[Response]:
        return [event.response for event in self.events if isinstance(event, server.ResponseDone)]

    @property
    def sound_frames(self) -> int:
        return sum(isinstance(event, server.AudioDelta) for event in self.events)


def test_a_response_has_its_events_in_the_documented_order():
    stream = Stream().hears(QUIET, 3).hears(LOUD, 5, " Hello").hears(QUIET, ENDS_AFTER_FRAMES)
    assert stream.kinds == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    (response,) = stream.done
    assert (response.status, response.because) == ("completed", "")
    assert [(item.text, item.status) for item in response.output] == [("Hello", Status.COMPLETED)]


def test_silence_between_two_responses_is_not_sent_and_none_is_sent_twice():
    stream = Stream().hears(QUIET, 20).hears(LOUD, 5).hears(QUIET, 30).hears(LOUD, 5).hears(QUIET, 30)
    assert len(stream.done) == 2
    # Each with the frame before, in which it may have begun softly.
    assert stream.sound_frames == 2 * (1 + 5 + ENDS_AFTER_FRAMES)
    close = Stream().hears(QUIET).hears(LOUD, 5).hears(QUIET, ENDS_AFTER_FRAMES).hears(LOUD)
    assert close.sound_frames == 1 + 5 + ENDS_AFTER_FRAMES + 1


def test_a_pause_within_a_response_is_sent():
    stream = Stream().hears(LOUD, 2).hears(QUIET, ENDS_AFTER_FRAMES - 1).hears(LOUD, 2)
    assert stream.done == []
    assert stream.sound_frames == 4 + ENDS_AFTER_FRAMES - 1


def test_words_may_come_before_their_sound():
    stream = Stream().hears(QUIET, 1, " Well").hears(QUIET, SOUNDS_WITHIN_FRAMES - 2).hears(LOUD)
    assert stream.done == []
    silent = Stream().hears(QUIET, SOUNDS_WITHIN_FRAMES + 1, " Well")
    assert [response.status for response in silent.done] == ["completed"]


def test_the_client_may_ask_for_a_response_once_at_a_time():
    stream = Stream()
    stream.events += stream.responses.create()
    with pytest.raises(RealtimeFault) as caught:
        stream.responses.create()
    assert caught.value.fault == "conversation_already_has_active_response"
    stream.hears(QUIET, 20).hears(LOUD, 3).hears(QUIET, 20)
    assert len(stream.done) == 1
    assert len(stream.done[0].output) == 1


def test_one_that_nobody_answers_ends_empty():
    stream = Stream()
    stream.events += stream.responses.create()
    stream.hears(QUIET, ANSWERS_WITHIN_FRAMES)
    assert [(response.status, response.output) for response in stream.done] == [("completed", ())]


def test_a_caller_who_speaks_first_takes_an_empty_one_back():
    stream = Stream()
    stream.events += stream.responses.create()
    stream.events += stream.responses.caller_speaks()
    assert [response.because for response in stream.done] == ["turn_detected"]


@pytest.mark.parametrize(("goes_on", "status"), [(5, "cancelled"), (40, "completed")])
def test_an_assistant_who_stops_for_the_caller_was_interrupted(goes_on: int, status: str):
    stream = Stream().hears(LOUD, 10)
    stream.events += stream.responses.caller_speaks()
    stream.hears(LOUD, goes_on).hears(QUIET, ENDS_AFTER_FRAMES)
    assert [response.status for response in stream.done] == [status]


def test_what_is_cancelled_is_not_heard_to_its_end():
    stream = Stream().hears(LOUD, 3, " One two")
    stream.events += stream.responses.cancel()
    (response,) = stream.done
    assert (response.status, response.because) == ("cancelled", "client_cancelled")
    assert [(item.text, item.status) for item in response.output] == [("One two", Status.INCOMPLETE)]
    told = len(stream.events)
    stream.hears(LOUD, 50, " three")
    assert stream.responses.is_muted
    assert len(stream.events) == told
    stream.hears(QUIET, ENDS_AFTER_FRAMES).hears(LOUD, 2)
    assert not stream.responses.is_muted
    assert stream.responses.active_id


def test_a_new_turn_or_a_new_wish_ends_the_silence():
    for unmute in (Responses.caller_is_done, Responses.create):
        stream = Stream().hears(LOUD, 3)
        stream.responses.cancel()
        unmute(stream.responses)
        assert stream.hears(LOUD).responses.active_id


def test_what_was_cancelled_does_not_come_back_with_the_next_cancel():
    stream = Stream().hears(LOUD, 3)
    stream.responses.cancel()
    stream.responses.create()
    stream.responses.cancel()
    told = len(stream.events)
    stream.hears(LOUD, 20)
    assert len(stream.events) == told
    assert stream.hears(QUIET, ENDS_AFTER_FRAMES).hears(LOUD, 2).responses.active_id


def test_a_cancel_before_anything_was_said_mutes_nothing():
    stream = Stream()
    stream.responses.create()
    stream.responses.cancel()
    assert stream.hears(LOUD, 2).responses.active_id


@pytest.mark.parametrize("response_id", ["", "another"])
def test_what_is_not_there_cannot_be_cancelled(response_id: str):
    stream = Stream()
    if response_id:
        stream.hears(LOUD)
    with pytest.raises(RealtimeFault) as caught:
        stream.responses.cancel(response_id)
    assert caught.value.fault == "response_cancel_not_active"


def test_a_function_ends_the_response_in_which_it_is_wanted():
    stream = Stream()
    stream.events += stream.responses.create()
    stream.events += stream.responses.call_function("call_1", "weather", '{"town": "Rome"}')
    assert stream.kinds == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    (response,) = stream.done
    assert (response.output[0].call_id, response.output[0].name) == ("call_1", "weather")
    again = Stream().hears(LOUD, 2, " Let me see.")
    again.events += again.responses.call_function("call_2", "weather", "{}")
    assert [item.text for item in again.done[0].output] == ["Let me see.", None]


def test_a_client_that_wants_text_gets_text_only():
    stream = Stream()
    stream.responses.sounds = False
    stream.hears(LOUD, 3, " Hello").hears(QUIET, ENDS_AFTER_FRAMES)
    assert stream.sound_frames == 0
    assert "response.output_text.delta" in stream.kinds
    assert stream.kinds[-5] == "response.output_text.done"
    assert not stream.done[0].output[0].spoken


def test_a_response_without_end_goes_on_in_another():
    stream = Stream().hears(np.tile(LOUD, 1), MOST_FRAMES + 2)
    (response,) = stream.done
    assert (response.status, response.because) == ("incomplete", "max_output_tokens")
    assert stream.responses.active_id != response.response_id


def test_the_end_of_the_call_ends_the_response():
    stream = Stream().hears(LOUD)
    stream.events += stream.responses.finish()
    assert len(stream.done) == 1
    assert stream.responses.finish() == []

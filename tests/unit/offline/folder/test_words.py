"""The model's words in the form of the benchmark's recogniser."""

import json

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples
from personaplex_ui.offline.folder.words import Word, to_json, words_of


def sound(*loud: range, frames: int = 60) -> Samples:
    """Loud in the frames of ``loud``."""
    samples = np.zeros((frames, FRAME_SAMPLES), dtype=np.float32)
    for span in loud:
        samples[span] = 0.1
    return samples.reshape(-1)


def test_pieces_become_words_that_begin_with_their_first_piece_and_end_with_the_sound():
    pieces = [(5, " Hel"), (6, "lo,"), (10, " you"), (20, " there.")]
    assert words_of(pieces, sound(range(5, 14), range(20, 26))) == (
        Word("Hello,", 0.4, 0.8),  # where the next one begins
        Word("you", 0.8, 1.12),  # where the sound ends
        Word("there.", 1.6, 2.08),
    )


def test_a_word_lasts_at_least_as_long_as_its_text_and_not_on_and_on():
    assert words_of([(5, " Well"), (30, " now")], sound()) == (
        Word("Well", 0.4, 0.48),
        Word("now", 2.4, 2.48),
    )
    assert words_of([(5, " Mmm")], sound(range(60)))[0].end_sec == pytest.approx((6 + 12) * 0.08)


def test_several_words_in_a_frame_and_a_word_without_a_space_at_the_beginning():
    words = words_of([(0, "One two"), (1, "three four "), (2, "five")], sound())
    assert [word.text for word in words] == ["One", "twothree", "four", "five"]
    assert [word.start_sec for word in words] == [0.0, 0.0, 0.08, 0.16]


def test_times_stay_within_the_recording():
    words = words_of([(9, " late")], sound(range(9, 10), frames=10)[: 9 * FRAME_SAMPLES + 100])
    assert words == (Word("late", 0.72, 0.724),)


def test_the_file_has_what_the_scripts_read():
    told = json.loads(to_json((Word("Hello", 0.4, 0.72), Word("“you”", 0.8, 1.0))))
    assert told == {
        "text": "Hello “you”",
        "chunks": [
            {"text": "Hello", "timestamp": [0.4, 0.72]},
            {"text": "“you”", "timestamp": [0.8, 1.0]},
        ],
    }
    assert json.loads(to_json(words_of([], sound()))) == {"text": "", "chunks": []}

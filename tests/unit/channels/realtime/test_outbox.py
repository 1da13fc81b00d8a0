"""What a client may send: sound that comes too fast is left out with a word, and nothing else is."""

import json

from personaplex_ui.channels.realtime.outbox import REAL_TIME_CHARACTERS, TOLD_AGAIN_SEC, Intake
from tests.support.clock import Clock

SECOND = '{"type": "input_audio_buffer.append", "audio": "' + "A" * REAL_TIME_CHARACTERS + '"}'
UPDATE = json.dumps({"type": "session.update", "session": {"instructions": "a" * 20_000}})


def test_sound_that_is_too_fast_leaves_out_no_other_event():
    intake = Intake(Clock())
    assert sum(intake.admit(SECOND) for _ in range(110)) < 110
    assert not intake.admit(SECOND.encode())
    assert intake.admit(UPDATE)
    assert intake.admit(UPDATE.encode())


def test_each_burst_that_is_left_out_is_told_once():
    clock = Clock(0.0)
    intake = Intake(clock)
    told: list[float] = []
    for second in (0.0, 1.0, 100.0):
        clock.now = second
        for _ in range(110):
            if not intake.admit(SECOND) and intake.begins_to_leave_out:
                told.append(second)
    assert told == [0.0, 100.0]
    assert TOLD_AGAIN_SEC < 99.0


def test_far_too_much_of_anything_is_trouble():
    for message in (SECOND, UPDATE):
        intake = Intake(Clock())
        assert not intake.trouble
        for _ in range(500):
            intake.admit(message)
        assert "Far more was sent" in intake.trouble

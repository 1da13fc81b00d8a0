import numpy as np

from personaplex_ui.models.personaplex.runtime.prompt import (
    SILENCE_CODES,
    SINE_CODES,
    PresetVoice,
    RecordedVoice,
    build_prompt,
    prompt_frames,
    tagged,
)

INITIAL, INITIAL_TEXT = 2048, 32000


def test_the_role_is_tagged_once():
    assert tagged("You are kind.") == "<system> You are kind. <system>"
    assert tagged("<system> You are kind. <system>") == "<system> You are kind. <system>"
    assert tagged("  ") == ""


def test_frames_after_the_voice():
    frames = prompt_frames([11, 12])
    assert frames.shape == (17, 14)
    assert frames[0].tolist() == [3] * 6 + [11, 12] + [3] * 6
    assert (frames[1:9] == SILENCE_CODES[:, None]).all()
    assert (frames[9:] == SINE_CODES[:, None]).all()


def test_without_a_role_both_silences_stay():
    assert prompt_frames([]).shape == (17, 12)


def test_a_recorded_voice_begins_with_initial_tokens_and_delays_most_codebooks_by_one():
    codes = np.arange(5 * 8).reshape(5, 8)
    plan = build_prompt(RecordedVoice(codes), [11], INITIAL, INITIAL_TEXT)
    assert (plan.first, plan.end) == (0, 5 + 6 + 1 + 6)
    tokens = plan.tokens
    assert tokens[0, 0] == INITIAL_TEXT
    assert (tokens[1:, 0] == INITIAL).all()
    delayed = [*range(2, 9), *range(10, 17)]
    assert (tokens[delayed, 1] == INITIAL).all()
    assert (tokens[[0, 1, 9], 1] == [3, 8, SINE_CODES[0]]).all()
    assert tokens[2:9, 3].tolist() == codes[2, 1:].tolist()
    assert tokens[1, 3] == codes[3, 0]
    assert (tokens[2:9, -1] == SILENCE_CODES[1:]).all()


def test_a_preset_voice_leaves_two_positions_in_its_ring():
    ring = np.arange(17 * 4).reshape(17, 4)
    plan = build_prompt(PresetVoice(57, ring), [11], INITIAL, INITIAL_TEXT)
    assert (plan.first, plan.end) == (57, 57 + 1 + 6 + 1 + 6)
    assert plan.tokens[:, 0].tolist() == ring[:, 57 % 4].tolist()
    assert plan.tokens[2:9, 1].tolist() == ring[2:9, 58 % 4].tolist()
    assert plan.tokens[[0, 1, 9], 1].tolist() == [3, SILENCE_CODES[0], SINE_CODES[0]]

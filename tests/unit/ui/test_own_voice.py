"""A visitor's own voice: given on the page, spoken with in a call and in a clip, taken back, left behind."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples, silent_frame
from personaplex_ui.errors import InvalidInput
from personaplex_ui.ui.own_voice import FORGOTTEN, LABEL, NO_CONSENT, NO_RECORDING, READY, OwnVoices
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.page_session import LIBRARIES_WARN, EventRefused, OpenApp, PageSession
from tests.support.voice_recordings import RECORDING, speech

FORGOTTEN_SENTENCE = "Your own voice is no longer stored. Please give it again."

pytestmark = LIBRARIES_WARN


def kept(app: OpenApp) -> int:
    voices: Any = app.callbacks.own_voices
    return len(voices._voices._uploads)


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def give(page: PageSession, path: Path, consent: bool = True) -> tuple[str, str]:
    """The name by which it is known, and the message."""
    voice, message, recorder = await page.trigger("use", await page.upload(path), consent)
    assert recorder is None
    assert voice["choices"][0] == [LABEL, voice["value"]]
    return voice["value"], message


# What cannot be used --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sound", "told"),
    [
        (speech(2.0), "needs 3 to 30 seconds of speech; this recording has 2.0. Record more."),
        (speech(31.0), "may be 0:30 long (minutes:seconds); this one is 0:31. Cut it shorter."),
        (None, "cannot be read as audio"),
    ],
    ids=["too short", "too long", "no sound file"],
)
async def test_a_bad_recording_has_its_sentence_and_is_not_kept(
    app: OpenApp, page: PageSession, tmp_path: Path, sound: Samples | None, told: str
):
    """Each way to be bad: tests/unit/voices/test_recording.py."""
    path = tmp_path / "own.wav"
    if sound is None:
        path.write_text("This is a letter.")
    else:
        soundfile.write(path, sound, SAMPLE_RATE_HZ)
    voice, message, recorder = await page.trigger("use", await page.upload(path), True)
    assert told in message
    assert 'role="alert"' in message
    assert set(voice) == {"__type__"}  # nothing is changed
    assert recorder != READY
    assert kept(app) == 0


async def test_without_consent_or_recording_nothing_is_kept(app: OpenApp, page: PageSession):
    _, message, _ = await page.trigger("use", await page.upload(RECORDING), False)
    assert NO_CONSENT in message
    _, message, _ = await page.trigger("use", None, True)
    assert NO_RECORDING in message
    assert kept(app) == 0


# A good one -----------------------------------------------------------------------------------------


async def test_a_good_one_is_chosen_and_its_file_deleted(
    app: OpenApp, page: PageSession, gradio_folder: Path
):
    name, message = await give(page, RECORDING)
    assert READY in message
    assert 'role="status"' in message
    assert left_in(gradio_folder) == []
    offered = (await page.trigger("offer_voices", name))[0]
    assert offered["value"] == name
    assert [value for _, value in offered["choices"]] == [name, "NATF0", "NATM1"]


async def test_it_speaks_in_a_clip_and_in_a_call(app: OpenApp, page: PageSession, clip: Path):
    name, _ = await give(page, RECORDING)
    answers = {voice: (await page.converse(clip, voice=voice, greedy=True))[0] for voice in (name, "NATF0")}
    own, preset = (soundfile.read(path)[0] for path in answers.values())
    assert len(own) == len(preset) == int(0.8 * SAMPLE_RATE_HZ)
    assert np.abs(own).max() > 0.01
    assert not np.array_equal(own, preset)

    call = await page.call(voice=name)
    assert call.live.is_set()
    call.hear(np.concatenate([silent_frame()] * 3))
    heard = await call.next_answer(10.0)
    assert heard is not None
    assert np.abs(heard).max() > 0
    call.hang_up("Enough.")
    await app.call_manager.ended(call)


async def test_another_page_does_not_see_it(app: OpenApp, page: PageSession):
    name, _ = await give(page, RECORDING)
    offered = (await PageSession(app).trigger("offer_voices", "NATF0"))[0]
    assert name not in [value for _, value in offered["choices"]]
    assert name not in (await app.get("/voices")).text
    other = PageSession(app)
    with pytest.raises(EventRefused, match="not in the list of choices"):
        await other.trigger("check_role", "You are kind.", name)


async def test_a_second_one_takes_the_place_of_the_first(app: OpenApp, page: PageSession, clip: Path):
    first, _ = await give(page, RECORDING)
    second, _ = await give(page, RECORDING)
    assert second != first
    assert kept(app) == 1
    with pytest.raises(EventRefused, match=FORGOTTEN_SENTENCE):
        await page.converse(clip, voice=first)
    await page.converse(clip, voice=second)


async def test_a_bad_second_one_leaves_the_first(app: OpenApp, page: PageSession, tmp_path: Path):
    name, _ = await give(page, RECORDING)
    write_wav(tmp_path / "short.wav", speech(1))
    await page.trigger("use", await page.upload(tmp_path / "short.wav"), True)
    offered = (await page.trigger("offer_voices", name))[0]
    assert offered["value"] == name


# Afterwards -----------------------------------------------------------------------------------------


async def test_taken_back_it_is_forgotten_at_once(app: OpenApp, page: PageSession, clip: Path):
    name, _ = await give(page, RECORDING)
    await page.converse(clip, voice=name)
    voice, message, recorder = await page.trigger("forget")
    assert FORGOTTEN in message
    assert voice["value"] == "NATF0"
    assert recorder is None
    assert kept(app) == 0
    with pytest.raises(EventRefused, match=FORGOTTEN_SENTENCE):
        await page.converse(clip, voice=name)
    with pytest.raises(InvalidInput, match=FORGOTTEN_SENTENCE):
        await page.call(voice=name)
    answer = await app.get(f"/voices/{name}/preview.wav")
    assert (answer.status_code, answer.json()) == (404, {"detail": FORGOTTEN_SENTENCE})
    _, message, _ = await page.trigger("forget")  # twice is no fault
    assert FORGOTTEN not in message


async def test_a_role_for_a_forgotten_voice_is_told_in_words(app: OpenApp, page: PageSession):
    name, _ = await give(page, RECORDING)
    await page.trigger("forget")
    _, message = app.callbacks.check_role("You are kind.", name)
    assert FORGOTTEN_SENTENCE in message
    assert name not in message


async def test_what_the_model_made_of_it_goes_with_it(app: OpenApp, page: PageSession, clip: Path):
    model: Any = app.engine.model
    name, _ = await give(page, RECORDING)
    await page.converse(clip, voice=name)
    assert name in {persona.voice for persona in model._kept}
    await page.trigger("forget")
    await page.converse(clip, voice="NATF0")
    assert name not in {persona.voice for persona in model._kept}


async def test_left_ones_own_is_forgotten_and_no_other(app: OpenApp, page: PageSession, clip: Path):
    name, _ = await give(page, RECORDING)
    other = PageSession(app)
    await give(other, RECORDING)
    await page.trigger("leave")
    assert kept(app) == 1
    with pytest.raises(EventRefused, match=FORGOTTEN_SENTENCE):
        await page.converse(clip, voice=name)


async def test_the_page_is_left_while_the_recording_is_checked(tmp_path: Path):
    """Checking takes a moment; what comes of it then must not be kept for nobody."""
    write_wav(tmp_path / "own.wav", speech(4))
    library = VoiceLibrary()
    voices = OwnVoices(library)
    gone = gr.Request(session_hash="gone")
    original = library.keep_upload

    def keep_slowly(path: Path) -> str:
        name = original(path)
        voices.leave(gone)
        return name

    library.keep_upload = keep_slowly
    await voices.use(str(tmp_path / "own.wav"), True, gone)
    uploads: Any = library
    assert len(uploads._uploads) == 0

"""A voice that was just dropped in is decoded once, and never where live calls are served."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copyfile

import pytest
import torch

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls import persona_check
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.persona_check import MOST_ASKERS, TOO_MANY, check_persona_aside
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.channels.clips.answer import converse
from personaplex_ui.channels.fastrtc_phone.lent_calls import LentCalls
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.speech_model import Persona, PromptSize
from personaplex_ui.errors import InvalidInput, NoFreeSlot
from personaplex_ui.voices import recording as recording_module
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.voices.recording import read_voice_recording
from tests.support.clients.moshi import chat
from tests.support.fake_model import FakeModel
from tests.support.loopback_server import moshi_server
from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession, open_app
from tests.support.running import running_call_manager, running_engine, until
from tests.support.telephone_rig import phone_service
from tests.support.voice_recordings import RECORDING, speech

TINY = Path(__file__).parents[1] / "data/tiny"
VOICES = VoiceLibrary([Voice("NATF2", "Natural female", "NATF2")], default="NATF2")
SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)

pytestmark = LIBRARIES_WARN


class WatchedModel(FakeModel):
    """Notes on which threads it was asked for the size of a prompt, and blocks there while ``held``."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []
        self.held = threading.Event()
        self.held.set()

    def prompt_size(self, persona: Persona) -> PromptSize | None:
        self.threads.append(threading.current_thread())
        assert self.held.wait(20.0), "nobody let it go on: the event loop is what waits for it"
        return super().prompt_size(persona)


@pytest.fixture
def model() -> WatchedModel:
    return WatchedModel()


@pytest.fixture
async def call_manager(model: WatchedModel, tmp_path: Path) -> AsyncIterator[CallManager]:
    async with (
        running_engine(model, max_calls=4, max_waiting=4) as engine,
        running_call_manager(engine, tmp_path / "recordings") as call_manager,
    ):
        yield call_manager


async def by_call(call_manager: CallManager) -> None:
    call = call_manager.open(SETTINGS)
    await until(call.live.is_set)
    call.hang_up("Enough.")
    await call_manager.ended(call)


async def by_clip(call_manager: CallManager) -> None:
    await converse(speech(0.4), SETTINGS, call_manager)


async def by_moshi(call_manager: CallManager) -> None:
    async with moshi_server(call_manager, lambda query: SETTINGS) as url, chat(url) as client:
        await client.until(lambda: client.ready)


async def by_lent_number(call_manager: CallManager) -> None:
    phone = phone_service(call_manager, Path(os.devnull))
    assert "<Connect>" in await LentCalls(call_manager, phone, "localhost").answer()


async def by_twilio(call_manager: CallManager) -> None:
    phone = phone_service(call_manager, Path(os.devnull))
    assert "<Connect " in await phone.answers.inbound("CA1", "", "", "https://example.org")


Entry = Callable[[CallManager], Coroutine[object, object, None]]
ENTRIES: list[Entry] = [by_call, by_clip, by_moshi, by_lent_number, by_twilio]


@pytest.mark.parametrize("enter", ENTRIES)
async def test_no_channel_checks_on_the_event_loop(
    call_manager: CallManager, model: WatchedModel, enter: Entry
) -> None:
    model.held.clear()
    entering = asyncio.create_task(enter(call_manager))
    await until(lambda: bool(model.threads))
    for _ in range(20):  # the loop goes on meanwhile
        await asyncio.sleep(0)
    assert not entering.done()
    model.held.set()
    await asyncio.wait_for(entering, 20.0)
    assert threading.current_thread() not in model.threads
    assert {thread.name.rsplit("_", 1)[0] for thread in model.threads} == {"persona-check"}


async def test_who_hangs_up_meanwhile_takes_no_slot(call_manager: CallManager, model: WatchedModel) -> None:
    model.held.clear()
    call = call_manager.open(SETTINGS)
    await until(lambda: bool(model.threads))
    call.hang_up("Never mind.")
    await call_manager.ended(call)
    model.held.set()
    assert (call_manager.engine.slots.free, call_manager.engine.slots.waiting) == (4, 0)
    await by_call(call_manager)


async def test_who_waited_for_a_slot_is_checked_once_more(
    call_manager: CallManager, model: WatchedModel
) -> None:
    """Its voice may have made room for others meanwhile; the engine's thread must not decode it anew."""
    talkers = [call_manager.open(SETTINGS) for _ in range(4)]
    for talker in talkers:
        await until(talker.live.is_set)
    waiting = call_manager.open(SETTINGS)
    await until(lambda: call_manager.engine.slots.waiting == 1)
    asked = len(model.threads)
    talkers[0].hang_up("Enough.")
    await until(waiting.live.is_set)
    assert len(model.threads) == asked + 1
    for call in (*talkers[1:], waiting):
        call.hang_up("Enough.")
        await call_manager.ended(call)


async def test_more_askers_than_can_wait_are_told(
    model: WatchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persona_check, "MOST_ASKERS", 3)
    model.held.clear()
    askers = [asyncio.create_task(check_persona_aside(model, SETTINGS.persona)) for _ in range(3)]
    await until(lambda: bool(model.threads))
    with pytest.raises(NoFreeSlot, match=TOO_MANY):
        await check_persona_aside(model, SETTINGS.persona)
    model.held.set()
    await asyncio.gather(*askers)
    await check_persona_aside(model, SETTINGS.persona)
    assert MOST_ASKERS > 64  # as many calls as a server can take at once


# One decode -----------------------------------------------------------------------------------------------


class Decoder:
    """Stands in for the reading of recordings; counts, and notes the threads."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def __call__(self, path: Path, field: str = "voice_file") -> Samples:
        self.threads.append(threading.current_thread())
        return read_voice_recording(path, field)


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Decoder:
    decoder = Decoder()
    monkeypatch.setattr(recording_module, "read_voice_recording", decoder)
    return decoder


def test_many_askers_share_one_decode(tmp_path: Path, decoder: Decoder) -> None:
    copyfile(RECORDING, tmp_path / "anna.wav")
    library = VoiceLibrary(folders=[tmp_path])
    with ThreadPoolExecutor(16) as threads:
        asked = list(threads.map(library.recording, ["anna"] * 64))
    assert len(decoder.threads) == 1
    assert all(samples is asked[0] for samples in asked)


def test_what_cannot_be_used_is_decoded_once_and_a_new_file_anew(tmp_path: Path, decoder: Decoder) -> None:
    write_wav(tmp_path / "anna.wav", speech(1))
    library = VoiceLibrary(folders=[tmp_path])
    for _ in range(3):
        with pytest.raises(InvalidInput, match=r"this recording has 1\.0") as refused:
            library.recording("anna")
        assert refused.value.field == "voice"
    assert len(decoder.threads) == 1
    write_wav(tmp_path / "anna.wav", speech(4))
    os.utime(tmp_path / "anna.wav", ns=(1, 1))
    assert len(library.recording("anna")) > 0
    assert len(decoder.threads) == 2


def test_what_is_kept_is_bounded(tmp_path: Path, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_module, "MOST_KEPT", 2)
    for name in "abc":
        copyfile(RECORDING, tmp_path / f"{name}.wav")
    library = VoiceLibrary(folders=[tmp_path])
    for name in "abcacac":
        library.recording(name)
    assert len(decoder.threads) == 4


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenApp]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setenv("NO_TORCH_COMPILE", "1")
    torch.set_num_threads(1)
    (tmp_path / "voices").mkdir()
    given = {"ENGINE": "personaplex", "DEVICE": "cpu", "HF_REPO": str(TINY), "MAX_CALLS": "3"}
    async with open_app(tmp_path, VOICES_DIR=str(tmp_path / "voices"), **given) as app:
        assert await app.loaded() is EngineState.READY
        yield app


async def test_a_voice_that_made_room_for_others_is_decoded_aside_again(
    app: OpenApp, tmp_path: Path, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "MOST_KEPT", 1)
    page = PageSession(app)
    for name in ("anna", "bob", "anna"):
        await asyncio.to_thread(copyfile, RECORDING, tmp_path / "voices" / f"{name}.wav")
        call = await page.call(voice=name, text_prompt=f"You are {len(decoder.threads)}.")
        call.hang_up("Enough.")
        await app.call_manager.ended(call)
    assert len(decoder.threads) == 3
    assert {thread.name.rsplit("_", 1)[0] for thread in decoder.threads} == {"persona-check"}


async def test_the_model_finds_it_decoded(app: OpenApp, tmp_path: Path, decoder: Decoder) -> None:
    """Neither the event loop nor the engine's thread, which steps all live calls, decodes it."""
    await asyncio.to_thread(copyfile, RECORDING, tmp_path / "voices" / "anna.wav")
    page = PageSession(app)
    await asyncio.to_thread(write_wav, tmp_path / "clip.wav", speech(0.4))
    await asyncio.gather(
        page.call(voice="anna"),
        page.call(voice="anna.pt", text_prompt="You are brief."),
        PageSession(app).converse(tmp_path / "clip.wav", voice="anna"),
    )
    (thread,) = decoder.threads
    assert thread.name.startswith("persona-check")

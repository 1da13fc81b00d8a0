"""The video of a call: for its owner, made once when asked for, and gone with the recording."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.record import LONGEST_FACE_SEC
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.channels.rest import films as module
from personaplex_ui.errors import EngineUnavailable, InvalidInput, NoFreeSlot
from personaplex_ui.face.movie import FaceFailed
from personaplex_ui.web.security.session_cookie import COOKIE
from tests.support.face import envelope, mouth_areas
from tests.support.field_sounds import SPEECH
from tests.support.rest_rig import Rig, running_rig
from tests.support.running import until

ANN, BOB = "A" * 43, "B" * 43
SEC = 3.0


@pytest.fixture
async def rig(call_manager: CallManager) -> AsyncIterator[Rig]:
    async with running_rig(call_manager) as rig:
        yield rig


@pytest.fixture
def call(call_manager: CallManager) -> EndedCall:
    """Ann's; the assistant speaks on the right, and somebody else on the left."""
    store = call_manager.store
    call_id = store.new_call_id()
    right = SPEECH[: round(SEC * SAMPLE_RATE_HZ)]
    path = store.recording_path(call_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([np.roll(right, 30_000), right], axis=1), SAMPLE_RATE_HZ)
    call = EndedCall(call_id, time.time(), SEC, "NATF2", "You hung up.", (), (), (), (), recorded=True)
    store.add(ANN, call)
    return call


def path_of(call_manager: CallManager, call: EndedCall) -> Path:
    return call_manager.store.face_path(call.call_id)


async def test_its_owner_gets_it_and_its_mouth_follows_the_assistant(
    rig: Rig, call: EndedCall, call_manager: CallManager
):
    for cookie in ("", f"{COOKIE}={BOB}"):
        refused = await rig.http.get(f"/calls/{call.call_id}/face.mp4", headers={"Cookie": cookie})
        assert refused.status_code == 404
    video = await rig.http.get(f"/calls/{call.call_id}/face.mp4", headers={"Cookie": f"{COOKIE}={ANN}"})
    assert (video.status_code, video.headers["content-type"]) == (200, "video/mp4")
    path = path_of(call_manager, call)
    assert path.read_bytes() == video.content
    areas, assistant = mouth_areas(path), SPEECH[: round(SEC * SAMPLE_RATE_HZ)]
    fitting = np.corrcoef(areas, envelope(assistant))[0, 1]
    assert fitting > 0.5
    assert np.corrcoef(areas, envelope(np.roll(assistant, 30_000)))[0, 1] < fitting - 0.3


async def test_it_is_made_once(
    rig: Rig, call: EndedCall, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    made: list[Path] = []

    def write(path: Path, *_: object, **__: object) -> float:
        made.append(path)
        path.write_bytes(b"film")
        return SEC

    monkeypatch.setattr(module, "write_face", write)
    found = await asyncio.gather(*(rig.films.of_call(ANN, call.call_id) for _ in range(3)))
    assert found == [path_of(call_manager, call)] * 3
    assert await rig.films.of_call(ANN, call.call_id) == found[0]
    assert len(made) == 1


async def test_one_that_takes_long_is_made_meanwhile(
    rig: Rig, call: EndedCall, monkeypatch: pytest.MonkeyPatch
):
    going = threading.Event()

    def write(path: Path, *_: object, **__: object) -> float:
        going.wait(10)
        path.write_bytes(b"film")
        return SEC

    monkeypatch.setattr(module, "write_face", write)
    monkeypatch.setattr(module, "READY_WITHIN_SEC", 0.05)
    address, headers = f"/calls/{call.call_id}/face.mp4", {"Cookie": f"{COOKIE}={ANN}"}
    answer = await rig.http.get(address, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "still being made" in answer.json()["detail"]
    monkeypatch.setattr(module, "MOST_CALLS_AT_ONCE", 1)
    going.set()
    monkeypatch.setattr(module, "READY_WITHIN_SEC", 10.0)
    assert (await rig.http.get(address, headers=headers)).content == b"film"


async def test_only_so_many_are_made_at_once(rig: Rig, call: EndedCall, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_CALLS_AT_ONCE", 0)
    with pytest.raises(NoFreeSlot):
        await rig.films.of_call(ANN, call.call_id)


async def test_one_that_fails_is_told_and_tried_again(
    rig: Rig, call: EndedCall, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> float:
        raise FaceFailed("It could not be made.")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_face", fail)
        with pytest.raises(EngineUnavailable, match="It could not be made"):
            await rig.films.of_call(ANN, call.call_id)
    assert await rig.films.of_call(ANN, call.call_id) is not None


async def test_a_call_that_is_deleted_meanwhile_leaves_no_video(
    rig: Rig, call: EndedCall, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    def write(path: Path, *_: object, **__: object) -> float:
        assert call_manager.store.delete(ANN, call.call_id)
        path.write_bytes(b"film")
        return SEC

    monkeypatch.setattr(module, "write_face", write)
    assert await rig.films.of_call(ANN, call.call_id) is None
    assert not path_of(call_manager, call).exists()


async def test_a_call_that_is_too_long_has_none(rig: Rig, call: EndedCall, call_manager: CallManager):
    call_manager.store.add(ANN, replace(call, duration_sec=LONGEST_FACE_SEC + 1.0))
    with pytest.raises(InvalidInput, match="30 minutes"):
        await rig.films.of_call(ANN, call.call_id)


async def test_at_the_end_of_the_app_it_is_given_up(
    rig: Rig, call: EndedCall, call_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    cancelled, began = threading.Event(), threading.Event()

    def write(path: Path, sound: object, is_cancelled: object = None) -> float:
        assert callable(is_cancelled)
        began.set()
        while not is_cancelled():
            time.sleep(0.005)
        cancelled.set()
        raise FaceFailed("No longer needed.")

    monkeypatch.setattr(module, "write_face", write)
    asked = asyncio.create_task(rig.films.of_call(ANN, call.call_id))
    await until(began.is_set)
    await rig.films.close()
    await until(cancelled.is_set)
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not path_of(call_manager, call).exists()

"""What keeps the model from being loaded, each with its sentence on the page, in the API and in /health; and
that the app goes on: it loads once the trouble is over, or takes calls with the echo meanwhile. One trouble
of each kind: all sentences are in the unit tests of the hub and of the loader.

The app with its page in this process, the hub on loopback.
"""

import tarfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import silent_frame
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.models.personaplex.hub import download
from personaplex_ui.models.personaplex.hub.download import Hub
from personaplex_ui.models.personaplex.loading import load as loading
from personaplex_ui.models.personaplex.loading.gpu import GpuFacts
from tests.support.hub_stub import (
    REPO,
    TINY,
    TOKEN,
    WEIGHTS,
    HubStub,
    Request,
    keep_to_loopback,
    serving,
    tiny_files,
)
from tests.support.page_session import LIBRARIES_WARN, EventRefused, OpenApp, PageSession, open_app
from tests.support.running import until
from tests.support.voice_recordings import speech

SIGNATURE = "secret-signature"
MIMI = "tokenizer-e351c8d8-checkpoint125.safetensors"
VOICES = ["NATF0", "NATM1"]
LOADED_WITHIN_SEC = 60.0

pytestmark = LIBRARIES_WARN


@dataclass
class Place:
    """Where the model comes from: the hub, or ``folder``, a copy whose files a test may damage."""

    hub: HubStub
    tmp_path: Path
    monkeypatch: pytest.MonkeyPatch
    endpoint: str
    variables: dict[str, str] = field(default_factory=dict[str, str])

    def reached(self, token: str | None) -> Hub:
        return Hub(token, self.endpoint, self.tmp_path / "cache")

    def free_bytes(self, free: int) -> None:
        """What the disk of the cache has left from now on."""
        self.monkeypatch.setattr(download, "free_bytes", lambda folder: free)  # pyright: ignore

    @property
    def folder(self) -> Path:
        folder = self.tmp_path / "model"
        if not folder.is_dir():
            folder.mkdir()
            for path in TINY.iterdir():
                (folder / path.name).symlink_to(path)
            self.variables["HF_REPO"] = str(folder)
        return folder

    def replace(self, name: str, content: bytes) -> None:
        (self.folder / name).unlink()
        (self.folder / name).write_bytes(content)

    def open(self) -> AbstractAsyncContextManager[OpenApp]:
        return open_app(
            self.tmp_path, **{"ENGINE": "personaplex", "DEVICE": "cpu", "HF_TOKEN": TOKEN, **self.variables}
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    keep_to_loopback(monkeypatch, tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    torch.set_num_threads(1)
    with serving(HubStub(REPO, tiny_files())) as hub:
        place = Place(hub, tmp_path, monkeypatch, hub.url)
        monkeypatch.setattr(loading, "Hub", place.reached)
        yield place


Trouble = Callable[[Place], None]


# The ways to fail -----------------------------------------------------------------------------------


def gated(place: Place) -> None:
    def refuse(request: Request) -> tuple[int, dict[str, str]] | None:
        return (403, {"X-Error-Code": "GatedRepo"}) if "resolve" in request.path else None

    place.hub.refuse = refuse


def no_network(place: Place) -> None:
    place.endpoint = "http://127.0.0.1:9"


def interrupted(place: Place) -> None:
    place.hub.break_after = [1 << 20] * 5 + [0] * 100  # Mimi comes in 3 parts, and 2 of the weights' 5 arrive


def truncated_weights(place: Place) -> None:
    place.replace(WEIGHTS, (TINY / WEIGHTS).read_bytes()[:-1000])


def foreign_weights(place: Place) -> None:
    place.replace(WEIGHTS, (TINY / MIMI).read_bytes())


def full_disk(place: Place) -> None:
    place.free_bytes(5_000_000)


def full_gpu(place: Place) -> None:
    place.variables |= {"DEVICE": "cuda", "HF_REPO": str(TINY)}
    place.monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    place.monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    full = GpuFacts("NVIDIA L4", (8, 9), 23_650_000_000, 500_000_000)

    def read(device: torch.device) -> GpuFacts:
        return full

    place.monkeypatch.setattr(loading, "read_gpu", read)


def gpu_full_at_last(place: Place) -> None:
    """There was room when it was looked at, and none when it was wanted."""

    def fail(*args: object) -> None:
        raise torch.OutOfMemoryError

    place.variables["HF_REPO"] = str(TINY)
    place.monkeypatch.setattr(loading, "load_codec", fail)


def no_gpu(place: Place) -> None:
    place.variables |= {"DEVICE": "cuda", "HF_REPO": str(TINY)}
    place.monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def no_second_gpu(place: Place) -> None:
    place.variables |= {"DEVICE": "cuda:1", "HF_REPO": str(TINY)}
    place.monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    place.monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


def damaged_voices(place: Place) -> None:
    place.replace("voices.tgz", (TINY / "voices.tgz").read_bytes()[:-200])


TROUBLES: dict[Trouble, str] = {
    gated: "is given only to those who have accepted its licence. Accept it at https://huggingface.co/"
    + REPO,
    no_network: "The hub cannot be reached, and the cache",
    interrupted: f"The download of {REPO} broke off. What has arrived is kept",
    truncated_weights: f"{WEIGHTS} is cut short",
    foreign_weights: f"{WEIGHTS} is not a PersonaPlex model",
    full_disk: "which has 5.0 MB left. Make room there, or set HF_HOME",
    full_gpu: "500.0 MB are free. What helps: ",
    gpu_full_at_last: "memory",
    no_gpu: "DEVICE asks for a GPU, but PyTorch finds none.",
    no_second_gpu: "DEVICE",
    damaged_voices: "voices.tgz is damaged or not a tar archive",
}


@asynccontextmanager
async def troubled(place: Place, trouble: Trouble) -> AsyncGenerator[tuple[OpenApp, str]]:
    """The app that has failed to load, and the sentence."""
    trouble(place)
    async with place.open() as app:
        assert await app.loaded() is EngineState.FAILED
        yield app, app.engine.health.message


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
async def test_its_sentence_is_seen_wherever_one_looks(
    place: Place, caplog: pytest.LogCaptureFixture, trouble: Trouble
):
    caplog.set_level("DEBUG")
    caplog.set_level("INFO", "asyncio")
    async with troubled(place, trouble) as (app, sentence):
        assert TROUBLES[trouble] in sentence
        assert sentence.endswith(".")
        status, health = await app.health()
        assert (status, health["status"], health["message"]) == (503, "failed", sentence)

        assert (await app.get("/")).status_code == 200
        page = PageSession(app)
        assert await app_buttons(app) == {"Load PersonaPlex again", "Use the echo engine for now"}

        voice = (await page.trigger("offer_voices", "NATF0"))[0]["value"]
        assert await page.refusal(voice=voice) == sentence
        write_wav(place.tmp_path / "clip.wav", speech(0.2))
        with pytest.raises(EventRefused) as refused:
            await page.converse(place.tmp_path / "clip.wav", voice=voice)
        assert str(refused.value) == sentence
        preview = await app.get(f"/voices/{voice}/preview.wav")
        assert (preview.status_code, preview.json()) == (503, {"detail": sentence})
        assert app.engine.slots.free == app.engine.slots.capacity

        log = [record for record in caplog.records if record.name != "asyncio"]
        assert [record.message for record in log if record.exc_info] == []
        said = "\n".join([*app.said, *(record.getMessage() for record in log)])
    assert "Traceback" not in said
    assert TOKEN not in said
    assert SIGNATURE not in said


async def app_buttons(app: OpenApp) -> set[str]:
    """Those of the row that is shown now."""
    config = (await app.get("/config")).json()
    parts = {part["id"]: part for part in config["components"]}

    def children(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for child in tree.get("children", []):
            yield child
            yield from children(child)

    row = next(
        t for t in children(config["layout"]) if parts[t["id"]]["props"].get("elem_id") == "engine-help"
    )
    return {parts[child["id"]]["props"]["value"] for child in children(row)}


# Afterwards -----------------------------------------------------------------------------------------


def mend(place: Place) -> None:
    place.hub.refuse = lambda request: None
    place.hub.break_after = []
    place.endpoint = place.hub.url
    place.free_bytes(10**12)
    if "HF_REPO" in place.variables:
        for path in TINY.iterdir():
            place.replace(path.name, path.read_bytes())


@pytest.mark.parametrize(
    "trouble",
    [gated, no_network, interrupted, full_disk, truncated_weights, damaged_voices],
    ids=lambda trouble: trouble.__name__,
)
async def test_tried_again_it_loads_once_the_trouble_is_over(place: Place, trouble: Trouble):
    async with troubled(place, trouble) as (app, sentence):
        page = PageSession(app)
        await app.become_operator()
        await page.trigger("try_again")
        assert await app.loaded() is EngineState.FAILED
        assert app.engine.health.message == sentence
        mend(place)
        await page.trigger("try_again")
        await until(lambda: app.engine.state is EngineState.READY, LOADED_WITHIN_SEC)
        voice = (await page.trigger("offer_voices", "NATF2"))[0]
        assert [name for _, name in voice["choices"]] == VOICES
        assert voice["value"] == VOICES[0]
        _, health = await app.health()
        assert (health["status"], health["model"]) == ("healthy", "personaplex")
        assert not health.get("message")
        call = await page.call(voice=VOICES[0])
        assert call.live.is_set()
        call.hang_up("Enough.")
        await app.call_manager.ended(call)


async def test_started_again_an_interrupted_download_goes_on_where_it_was(place: Place):
    async with troubled(place, interrupted):
        pass
    arrived = sent(place, WEIGHTS)
    assert 0 < arrived < len(place.hub.files[WEIGHTS])
    place.hub.break_after = []
    async with place.open() as app:
        assert await app.loaded() is EngineState.READY
        assert app.engine.model.name == "personaplex"
    assert sent(place, WEIGHTS) == len(place.hub.files[WEIGHTS])


def sent(place: Place, name: str) -> int:
    """Bytes of a file that the hub has sent so far."""
    return sum(count for served, _, count in place.hub.served if served == name)


async def test_voices_that_are_gone_the_next_time_are_not_offered(place: Place):
    """The first attempt unpacked the voices, and failed later."""
    foreign_weights(place)
    place.replace("voices.tgz", b"")
    with (
        tarfile.open(TINY / "voices.tgz") as theirs,
        tarfile.open(place.folder / "voices.tgz", "w:gz") as archive,
    ):
        member = theirs.getmember("voices/NATF0.pt")
        content = theirs.extractfile(member)
        member.name = "voices/FORMER.pt"
        archive.addfile(member, content)
    async with troubled(place, lambda place: None) as (app, _):
        assert (await app.get("/voices")).json()["voices"] == ["FORMER.pt"]
        mend(place)
        await app.become_operator()
        await PageSession(app).trigger("try_again")
        await until(lambda: app.engine.state is EngineState.READY, LOADED_WITHIN_SEC)
        assert (await app.get("/voices")).json()["voices"] == [f"{name}.pt" for name in VOICES]


async def test_meanwhile_the_echo_takes_calls_and_tells_why(place: Place):
    async with troubled(place, gated) as (app, sentence):
        page = PageSession(app)
        await app.become_operator()
        await page.trigger("use_echo")
        await until(lambda: app.engine.state is EngineState.READY, LOADED_WITHIN_SEC)
        status, health = await app.health()
        assert (status, health["model"], health["message"]) == (200, "echo", sentence)
        call = await page.call(voice="NATF2")
        call.hear(silent_frame())
        assert await call.next_answer(10.0) is not None
        call.hang_up("Enough.")
        await app.call_manager.ended(call)

"""Metrics for Prometheus and for the status view, with real calls on the fake model."""

import asyncio
import contextlib
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from personaplex_ui import __version__
from personaplex_ui.audio.frames import Frame
from personaplex_ui.audio.sound_health import SoundFault
from personaplex_ui.calls.captions import OwnWords, TellWords, WordFinder
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, PacketCounts, Transport
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.reports import CapacityReport, RuntimeReport
from personaplex_ui.engine.speech_model import Persona, SpeechModel
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.web.metrics import Metrics, build_metrics_router
from tests.support.fake_model import FakeModel
from tests.support.heard_sounds import frames, white_noise
from tests.support.running import until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."))
CHUNK = np.full(480, 0.25, dtype=np.float32)


class Rig(NamedTuple):
    call_manager: CallManager
    metrics: Metrics
    client: AsyncClient
    model: FakeModel


@contextlib.asynccontextmanager
async def rig_of(folder: Path, load: Callable[[FakeModel], None] = lambda model: None):
    model = FakeModel(slots=2)

    def load_model(report: object) -> FakeModel:
        load(model)
        return model

    engine = Engine(load_model, max_calls=2, max_waiting=2)
    call_manager = CallManager(engine, CallStore(folder, 3600.0, time.time), 600.0)
    metrics = Metrics(call_manager)
    app = FastAPI()
    app.include_router(build_metrics_router(metrics))
    await engine.start()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        yield Rig(call_manager, metrics, client, model)
    model.going.set()
    await call_manager.close()
    await engine.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path) as rig:
        await until(lambda: rig.call_manager.engine.state is EngineState.READY)
        yield rig


class Series(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """What a scrape gave: ``series("calls_live", transport="browser")``."""

    def __call__(self, metric: str, /, **labels: str) -> float:
        return self[f"personaplex_{metric}", frozenset(labels.items())]


def parsed(text: str) -> Series:
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    series = Series({(x.name, frozenset(x.labels.items())): x.value for x in samples})
    assert len(series) == len(samples)
    return series


async def scrape(rig: Rig) -> Series:
    answer = await rig.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.text)


async def talk(call: LiveCall, frames: int) -> None:
    """Speak, and listen until ``frames`` answers have come."""
    async with asyncio.timeout(10.0):
        for _ in range(frames):
            for _ in range(4):
                call.hear(CHUNK)
            await call.next_answer(0.08)


async def test_a_call_is_counted(rig: Rig) -> None:
    before = await scrape(rig)
    assert before("calls_live", transport="browser") == before("tick_seconds_count") == 0
    assert ("personaplex_real_time_factor", frozenset[tuple[str, str]]()) not in before

    call = rig.call_manager.open(SETTINGS)
    await call.live.wait()
    await talk(call, 5)
    during = await scrape(rig)
    assert during("calls_live", transport="browser") == 1
    assert (during("lines"), during("lines_free"), during("callers_waiting")) == (2, 1, 0)
    assert during("tick_seconds_count") == during("tick_callers_sum") >= 4
    assert 0 < during("tick_seconds_sum") < during("tick_seconds_count")
    assert 0 < during("real_time_factor") < 10
    assert during("calls_ended_total", transport="browser", end="hung_up") == 0

    call.hang_up("You hung up.")
    await rig.call_manager.ended(call)
    after = await scrape(rig)
    assert after("calls_live", transport="browser") == 0
    assert after("lines_free") == 2
    assert after("calls_ended_total", transport="browser", end="hung_up") == 1
    assert after("call_duration_seconds_count", transport="browser") == 1
    assert after("call_duration_seconds_sum", transport="browser") == pytest.approx(call.elapsed_sec)
    assert after("queue_wait_seconds_count") == after("preparation_seconds_count") == 1
    assert after("tick_seconds_count") >= during("tick_seconds_count")


async def test_calls_are_told_apart_by_transport_and_end(rig: Rig) -> None:
    async def end_of(
        transport: Transport, voice: str, hang_up: Callable[[LiveCall], None] | None = None
    ) -> None:
        call = rig.call_manager.open(CallSettings(Persona(voice, "")), transport=transport)
        if hang_up:
            await call.live.wait()
            hang_up(call)
        await rig.call_manager.ended(call)

    await end_of(Transport.MOSHI, "NATF2", lambda call: call.hang_up("Nothing came.", End.LOST))
    await end_of(Transport.TWILIO, "NATF2", lambda call: call.hang_up("Time is up.", End.TIME_LIMIT))
    await end_of(Transport.TWILIO, "nobody")
    ended = {
        tuple(sorted(labels)): value
        for (name, labels), value in (await scrape(rig)).items()
        if name == "personaplex_calls_ended_total" and value
    }
    assert ended == {
        (("end", "lost"), ("transport", "moshi")): 1,
        (("end", "time_limit"), ("transport", "twilio")): 1,
        (("end", "refused"), ("transport", "twilio")): 1,
    }
    assert (await scrape(rig))("call_duration_seconds_count", transport="twilio") == 1
    assert rig.metrics.status().ended == {End.LOST: 1, End.TIME_LIMIT: 1, End.REFUSED: 1}


async def test_what_came_of_wishes_to_talk_to_a_person_is_counted(rig: Rig) -> None:
    rig.metrics.phone_transfers = lambda: {"connected": 2, "closed": 0}
    told = await scrape(rig)
    assert told("phone_transfers_total", outcome="connected") == 2
    assert told("phone_transfers_total", outcome="closed") == 0


async def test_calls_with_a_fault_in_their_sound_are_counted(rig: Rig) -> None:
    assert (await scrape(rig))("unhealthy_calls_total", fault="noise") == 0
    sound = rig.call_manager.sound_watch.watch("a" * 32)
    for frame in frames(white_noise(4.0)):
        sound.hear(frame)
    rig.call_manager.sound_watch.look()
    assert (await scrape(rig))("unhealthy_calls_total", fault="noise") == 1
    assert (await scrape(rig))("unhealthy_calls_total", fault="repeats") == 0
    assert rig.metrics.status().sound_faults[SoundFault.NOISE] == 1


async def test_who_waits_and_who_is_in_one_step_is_counted(rig: Rig) -> None:
    calls = [rig.call_manager.open(SETTINGS) for _ in range(3)]
    await until(lambda: sum(call.live.is_set() for call in calls) == 2)
    await asyncio.gather(*(talk(call, 3) for call in calls[:2]))
    series = await scrape(rig)
    assert (series("lines_free"), series("callers_waiting")) == (0, 1)
    assert series("calls_live", transport="browser") == 2
    assert series("tick_callers_bucket", le="2.0") == series("tick_callers_count")
    status = rig.metrics.status()
    assert (status.slots, status.slots_free, status.waiting) == (2, 0, 1)
    assert status.live == {Transport.BROWSER: 2}
    assert status.tick_mean_sec is not None
    assert status.real_time_factor == pytest.approx(status.tick_mean_sec / 0.08)


class Dropping:
    """A finder of words that finds none."""

    dropped = 0

    def hear(self, frame: Frame, start_sec: float) -> None:
        self.dropped += 1

    def finish(self) -> None: ...

    def close(self) -> None: ...

    async def settled(self) -> None: ...


class WithoutWords(OwnWords):
    def finder_for(self, model: SpeechModel, role: str, tell: TellWords) -> WordFinder | None:
        return Dropping()


async def test_utterances_without_words_are_counted_while_the_call_goes_on(rig: Rig) -> None:
    rig.call_manager.captions = WithoutWords()
    for calls in (1, 2):
        call = rig.call_manager.open(SETTINGS)
        await call.live.wait()
        call.hear(np.zeros(5 * 1_920, dtype=np.float32))
        seen = parsed((await rig.client.get("/metrics")).text)("captions_dropped_total")
        call.hang_up("You hung up.")
        await rig.call_manager.ended(call)
        dropped = parsed((await rig.client.get("/metrics")).text)("captions_dropped_total")
        assert 0 < seen == dropped == rig.metrics.status().dropped_utterances
        assert dropped >= 4 * calls


async def test_what_was_dropped_never_goes_back(rig: Rig) -> None:
    async def dropped() -> tuple[float, float]:
        series = await scrape(rig)
        heard, said = (series("frames_dropped_total", direction=way) for way in ("heard", "said"))
        return heard, said

    call = rig.call_manager.open(SETTINGS, owner="an owner")
    await call.live.wait()
    async with asyncio.timeout(10.0):
        while not call.snapshot().stats.dropped_said:  # nobody listens to the answers
            for _ in range(4 * 2):
                call.hear(CHUNK)
            await asyncio.sleep(0.02)
    seen = [await dropped(), await dropped()]
    assert min(seen[0]) > 0
    call.hang_up("You hung up.")
    while not call.over.is_set():
        seen.append(await dropped())
        await asyncio.sleep(0)
    await rig.call_manager.ended(call)
    stats = call.snapshot().stats
    seen += [await dropped(), await dropped()]
    assert all(list(way) == sorted(way) for way in zip(*seen, strict=True))
    assert seen[-1] == (stats.dropped_heard, stats.dropped_said)
    status = rig.metrics.status()
    assert (status.dropped_heard, status.dropped_said) == seen[-1]


async def test_lost_packets_are_counted_while_the_call_lasts_and_after_it(rig: Rig) -> None:
    async def packets() -> list[float]:
        series = await scrape(rig)
        return [series("inbound_packets_total", outcome=name) for name in ("lost", "late", "concealed")]

    assert await packets() == [0, 0, 0]
    call = rig.call_manager.open(SETTINGS, owner="an owner")
    await call.live.wait()
    counts = PacketCounts(lost=5, late=2, concealed=7)
    call.packet_counts = lambda: counts
    assert await packets() == [5, 2, 7]
    counts = PacketCounts(lost=6, late=2, concealed=9)
    call.hang_up("You hung up.")
    await rig.call_manager.ended(call)
    assert await packets() == [6, 2, 9]
    status = rig.metrics.status()
    assert (status.lost_packets, status.late_packets, status.concealed_packets) == (6, 2, 9)


async def test_every_series_is_there_before_the_first_call(rig: Rig) -> None:
    series = await scrape(rig)
    assert sum(name == "personaplex_calls_ended_total" for name, _ in series) == len(Transport) * len(End)
    assert sum(name == "personaplex_call_duration_seconds_count" for name, _ in series) == len(Transport)
    assert not any(name.endswith("_created") for name, _ in series)
    assert series("model_info", name="fake", device="cpu", version=__version__) == 1
    assert series("gpu_memory_bytes") == 0
    assert ("process_resident_memory_bytes", frozenset[tuple[str, str]]()) in series
    assert [series("engine_state", state=state.value) for state in EngineState] == [0, 1, 0, 0, 0]
    assert series("engine_restarts_total") == 0


async def test_what_the_model_tells_about_itself(rig: Rig) -> None:
    assert not any(name.startswith("personaplex_runtime") for name, _ in await scrape(rig))

    class Telling(FakeModel):
        capacity_report = CapacityReport(6, 15, {1: 38.5, 8: 70.0}, "6 lines of 15.")
        runtime_report = RuntimeReport("eager: no room", "Triton", "int8", "bfloat16")

    rig.model.__class__ = Telling
    series = await scrape(rig)
    assert series("lines_by_memory") == 15
    assert [series("measured_tick_seconds", callers=n) for n in ("1", "8")] == [0.0385, 0.07]
    how = {"graphs": "eager", "kernels": "Triton", "weights": "int8", "key_values": "bfloat16"}
    assert series("runtime_info", **how) == 1
    assert rig.metrics.status().capacity == Telling.capacity_report
    assert rig.metrics.status().runtime == Telling.runtime_report


async def test_the_model_loads_meanwhile(tmp_path: Path) -> None:
    go_on = threading.Event()

    def load(model: FakeModel) -> None:
        assert go_on.wait(10)

    async with rig_of(tmp_path, load) as rig:
        series = await scrape(rig)
        assert series("engine_state", state="loading") == 1
        assert not any(name == "personaplex_model_info" for name, _ in series)
        status = rig.metrics.status()
        assert (status.state, status.model, status.slots) == (EngineState.LOADING, "", 2)
        assert status.message
        assert status.tick_mean_sec is status.tick_p95_sec is status.real_time_factor is None
        call = rig.call_manager.open(SETTINGS)
        await rig.call_manager.ended(call)
        assert (await scrape(rig))("calls_ended_total", transport="browser", end="refused") == 1
        go_on.set()
        await until(lambda: rig.call_manager.engine.state is EngineState.READY)
        assert (await scrape(rig))("engine_state", state="ready") == 1


async def test_a_model_that_failed_is_told(tmp_path: Path) -> None:
    def fail(model: FakeModel) -> None:
        raise EngineUnavailable("There is no GPU.")

    async with rig_of(tmp_path, fail) as rig:
        await until(lambda: rig.call_manager.engine.state is EngineState.FAILED)
        assert (await scrape(rig))("engine_state", state="failed") == 1
        assert rig.metrics.status().message == "There is no GPU."


async def test_two_apps_count_for_themselves(rig: Rig, tmp_path: Path) -> None:
    async with rig_of(tmp_path / "other") as other:
        await rig.call_manager.ended(rig.call_manager.open(CallSettings(Persona("nobody", ""))))
        mine, theirs = await scrape(rig), await scrape(other)
        assert mine("calls_ended_total", transport="browser", end="refused") == 1
        assert theirs("calls_ended_total", transport="browser", end="refused") == 0


async def test_nothing_of_a_caller_becomes_a_label(rig: Rig) -> None:
    settings = CallSettings(Persona("VoiceOfMine", "RoleOfMine"))
    call = rig.call_manager.open(settings, owner="OwnerOfMine", address="192.0.2.77")
    await call.live.wait()
    await talk(call, 2)
    call.hang_up("ReasonOfMine")
    for text in ((await rig.client.get("/metrics")).text, str(rig.metrics.status())):
        assert not any(word in text for word in ("OfMine", "192.0.2.77", call.call_id[:6]))
    labels = {name for _, pairs in await scrape(rig) for name, _ in pairs}
    assert labels == {
        *("transport", "end", "le", "direction", "outcome", "fault", "state", "name", "device", "version")
    }


async def test_steps_are_counted(rig: Rig) -> None:
    for _ in range(5_000):
        rig.call_manager.engine.stepped(0.05, 3)
    series = await scrape(rig)
    assert series("tick_seconds_bucket", le="0.04") == 0
    assert series("tick_seconds_count") == series("tick_seconds_bucket", le="0.05") == 5_000
    assert series("tick_seconds_sum") == pytest.approx(250)
    assert series("tick_callers_sum") == 15_000
    assert series("real_time_factor") == pytest.approx(0.625)


async def test_the_ended_call_is_not_held_in_memory(rig: Rig) -> None:
    call = rig.call_manager.open(SETTINGS)
    await call.live.wait()
    await scrape(rig)
    call.hang_up("You hung up.")
    await rig.call_manager.ended(call)
    kept = weakref.ref(call)
    del call

    def is_gone() -> bool:
        gc.collect()
        return kept() is None

    await until(is_gone)  # once the engine's thread has let go of the last command


async def test_callers_who_are_turned_away_before_a_call_are_counted_as_refused(tmp_path: Path):
    async with rig_of(tmp_path) as rig:
        await until(lambda: rig.call_manager.engine.state is EngineState.READY)
        rig.call_manager.turn_away(Transport.TWILIO)
        await rig.call_manager.close("The server is shutting down.")
        with pytest.raises(EngineUnavailable, match="shutting down"):
            rig.call_manager.open(SETTINGS, transport=Transport.MOSHI)
        series = await scrape(rig)
        assert series("calls_ended_total", transport="twilio", end="refused") == 1
        assert series("calls_ended_total", transport="moshi", end="refused") == 1

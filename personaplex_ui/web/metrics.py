"""The server in figures: for Prometheus at ``/metrics``, and for the page's status view.

Counts calls and steps of the model; the rest it asks of engine and call manager when it is asked itself.
Knows no caller: labels hold kinds of calls and the model's name, nothing that came from outside.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from personaplex_ui import __version__
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import CallStats, End, Phase, Transport
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.engine.tick_times import TickTimes
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.web.api_responses import TEXT, Responses, told
from personaplex_ui.web.server_stats import ServerStats

TICK_BUCKETS_SEC = (0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12, 0.25)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
WAIT_BUCKETS_SEC = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
PREPARATION_BUCKETS_SEC = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
CALL_BUCKETS_SEC = (5, 15, 30, 60, 120, 240, 600, 1200, 3600)


COUNTED = ("dropped_heard", "dropped_said", "lost_packets", "late_packets", "concealed_packets")
"""Of a call's figures."""


class Metrics(Collector):
    """Counts from when it is made on; make it before calls are taken. ``clock``: monotonic seconds.

    All happens on the event loop, scraping included: it takes about a millisecond. The registry is its own,
    so an app has its figures for itself.
    """

    def __init__(self, call_manager: CallManager, clock: Callable[[], float] = time.monotonic) -> None:
        disable_created_metrics()  # one more line for each counter, which nobody reads
        self._call_manager = call_manager
        self._engine = call_manager.engine
        self._clock = clock
        self._began_at = clock()
        self._ends: Counter[tuple[Transport, End]] = Counter()
        self._dropped = CallStats()
        self._counted: WeakKeyDictionary[Call, CallStats] = WeakKeyDictionary()
        self._tick_times = TickTimes()
        self.registry = CollectorRegistry()
        self._add_histograms()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        call_manager.on_end.append(self._note_end)
        call_manager.on_refusal.append(self._note_refusal)
        self._engine.on_tick.append(self._note_tick)

    def _add_histograms(self) -> None:
        def histogram(name: str, about: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()):
            return Histogram(f"personaplex_{name}", about, labels, buckets=buckets, registry=self.registry)

        self._tick_sec = histogram(
            "tick_seconds", "What one step of the model took, for all callers in it.", TICK_BUCKETS_SEC
        )
        self._tick_callers = histogram("tick_callers", "Callers in one step of the model.", BATCH_BUCKETS)
        self._wait_sec = histogram(
            "queue_wait_seconds", "What calls that went live had waited for a line.", WAIT_BUCKETS_SEC
        )
        self._preparation_sec = histogram(
            "preparation_seconds",
            "What voice and role of calls that went live took to prepare.",
            PREPARATION_BUCKETS_SEC,
        )
        self._call_sec = histogram(
            "call_duration_seconds", "How long calls were live.", CALL_BUCKETS_SEC, ("transport",)
        )
        for transport in Transport:
            self._call_sec.labels(transport.value)  # there from the start, with nothing in it

    # What happens ----------------------------------------------------------------------------------

    def _note_tick(self, sec: float, callers: int) -> None:
        self._tick_sec.observe(sec)
        self._tick_callers.observe(callers)
        self._tick_times.add(sec)

    def _note_end(self, call: Call) -> None:
        self._ends[call.transport, call.end or End.FAILED] += 1
        self._count_dropped(call)
        if call.live.is_set():
            self._wait_sec.observe(call.waited_sec)
            self._preparation_sec.observe(call.prepared_sec)
            self._call_sec.labels(call.transport.value).observe(call.elapsed_sec)

    def _note_refusal(self, transport: Transport) -> None:
        self._ends[transport, End.REFUSED] += 1

    def _count_dropped(self, call: Call) -> None:
        """Add what ``call`` dropped since it was last counted, so that the sums never go back."""
        now, before = call.snapshot().stats, self._counted.get(call, CallStats())
        # A lag is no count: it goes up and down.
        most = {name: max(getattr(now, name), getattr(before, name)) for name in COUNTED}
        self._counted[call] = CallStats(**most)
        self._dropped = CallStats(
            **{name: getattr(self._dropped, name) + most[name] - getattr(before, name) for name in COUNTED}
        )

    # What is told ----------------------------------------------------------------------------------

    def text(self) -> bytes:
        """All figures in Prometheus' text format 0.0.4, UTF-8."""
        return generate_latest(self.registry)

    def status(self) -> ServerStats:
        model = self._model()
        ended: Counter[End] = Counter()
        for (_, end), calls in self._ends.items():
            ended[end] += calls
        live = self._live()
        lines, times = self._engine.slots, self._tick_times
        return ServerStats(
            state=self._engine.state,
            message=self._engine.health.message,
            model=model.name if model else "",
            device=model.device if model else "",
            lines=lines.capacity,
            lines_free=lines.free,
            waiting=lines.waiting,
            live=live,
            ended=ended,
            tick_mean_sec=times.mean_sec,
            tick_p95_sec=times.p95_sec,
            real_time_factor=times.real_time_factor,
            dropped_heard=self._dropped.dropped_heard,
            dropped_said=self._dropped.dropped_said,
            lost_packets=self._dropped.lost_packets,
            late_packets=self._dropped.late_packets,
            concealed_packets=self._dropped.concealed_packets,
            uptime_sec=self._clock() - self._began_at,
        )

    def _model(self) -> SpeechModel | None:
        try:
            return self._engine.model
        except EngineUnavailable:
            return None

    def _live(self) -> Counter[Transport]:
        """Live calls; what they dropped is counted on the way."""
        live: Counter[Transport] = Counter()
        for call in self._call_manager.calls.values():
            self._count_dropped(call)
            live[call.transport] += call.phase is Phase.LIVE
        return live

    def collect(self) -> Iterator[Metric]:
        """What is not counted as it happens but looked up when Prometheus asks."""
        yield from self._calls()
        lines = self._engine.slots
        yield _gauge("lines", "Lines: how many calls can be live at once.", lines.capacity)
        yield _gauge("lines_free", "Lines that nobody has.", lines.free)
        yield _gauge("callers_waiting", "Callers in the queue for a line.", lines.waiting)
        factor = self._tick_times.real_time_factor
        if factor is not None:
            about = "Mean of the newest 250 steps over the 80 ms there are; over 1 the model is too slow."
            yield _gauge("real_time_factor", about, factor)
        yield from self._engine_and_model()

    def _calls(self) -> Iterator[Metric]:
        live = GaugeMetricFamily("personaplex_calls_live", "Calls that are live now.", labels=["transport"])
        ended = CounterMetricFamily(
            "personaplex_calls_ended", "Calls that ended, by why they did.", labels=["transport", "end"]
        )
        live_now = self._live()
        for transport in Transport:
            live.add_metric([transport.value], live_now[transport])
            for end in End:
                ended.add_metric([transport.value, end.value], self._ends[transport, end])
        dropped = CounterMetricFamily(
            "personaplex_frames_dropped",
            "Frames of 80 ms: callers' that the model never heard, answers that no caller heard.",
            labels=["direction"],
        )
        dropped.add_metric(["heard"], self._dropped.dropped_heard)
        dropped.add_metric(["said"], self._dropped.dropped_said)
        packets = CounterMetricFamily(
            "personaplex_inbound_packets",
            "Packets of callers in the browser that were lost on the way, came too late, or were concealed.",
            labels=["outcome"],
        )
        packets.add_metric(["lost"], self._dropped.lost_packets)
        packets.add_metric(["late"], self._dropped.late_packets)
        packets.add_metric(["concealed"], self._dropped.concealed_packets)
        yield from (live, ended, dropped, packets)

    def _engine_and_model(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "personaplex_engine_state", "1 for the state that the engine is in.", labels=["state"]
        )
        for name in EngineState:
            state.add_metric([name.value], self._engine.state is name)
        yield state
        yield CounterMetricFamily(
            "personaplex_engine_restarts",
            "Restarts of the engine, whose model hung or failed again and again.",
            self._engine.restarts,
        )
        model = self._model()
        if model is not None:
            about = {"name": model.name, "device": model.device, "version": __version__}
            yield InfoMetricFamily("personaplex_model", "The speech model that answers.", about)
            used_bytes = model.memory_allocated_mb() * 2**20
            yield _gauge("gpu_memory_bytes", "GPU memory that the model uses; 0 on a CPU.", used_bytes)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"personaplex_{name}", about, value)


FIGURES: Responses = {200: told("Text format 0.0.4.", TEXT, CONTENT_TYPE_PLAIN_0_0_4)}


def build_metrics_router(metrics: Metrics) -> APIRouter:
    """``GET /metrics``. Who may read it is for the wall to say."""
    router = APIRouter()

    @router.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses=FIGURES)
    async def figures() -> Response:
        """Text format 0.0.4. It answers while the model loads, too."""
        return Response(
            metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"}
        )

    return router

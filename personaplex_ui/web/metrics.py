"""The server's metrics: for Prometheus at ``/metrics``, and for the page's status view.

Counts calls and steps of the model, and reads the rest from the engine and the call manager on request.
Labels contain kinds of calls and the model's name, never a caller's data.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from personaplex_ui import __version__
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.capacity import Capacity, capacity_now
from personaplex_ui.calls.captions import CaptionsReport
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import CallStats, End, Phase, Transport
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.reports import capacity_of, runtime_of
from personaplex_ui.engine.speech_model import SpeechModel
from personaplex_ui.engine.tick_times import TickTimes
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.web.api_responses import TEXT, Responses, told
from personaplex_ui.web.server_stats import ServerStats

PREFIX = "personaplex_"
HISTOGRAMS: dict[str, tuple[str, tuple[float, ...]]] = {
    "tick_seconds": (
        "Duration of one step of the model, for all callers in it.",
        (0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12, 0.25),
    ),
    "tick_callers": ("Callers in one step of the model.", (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)),
    "queue_wait_seconds": (
        "Time that calls waited for a line before they went live.",
        (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600),
    ),
    "preparation_seconds": (
        "Time to prepare the voice and role of calls that went live.",
        (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
    ),
}
CALL_BUCKETS_SEC = (5, 15, 30, 60, 120, 240, 600, 1200, 3600)

COUNTED = (
    "dropped_heard",
    "dropped_said",
    "lost_packets",
    "late_packets",
    "concealed_packets",
    "dropped_utterances",
)
"""The fields of ``CallStats`` that only grow during a call."""


class Metrics(Collector):
    """Counts from its creation on, so create it before calls are taken. ``clock``: monotonic seconds.

    Everything runs on the event loop, including scraping, which takes about a millisecond. Each app has its
    own registry.
    """

    def __init__(self, call_manager: CallManager, clock: Callable[[], float] = time.monotonic) -> None:
        disable_created_metrics()  # they would add an unused series per counter
        self._call_manager = call_manager
        self._engine = call_manager.engine
        self._clock = clock
        self.phone_transfers: Callable[[], Mapping[str, int]] = dict[str, int]
        """How often each outcome came of a telephone caller's wish to talk to a person."""
        self._began_at = clock()
        self._ends: Counter[tuple[Transport, End]] = Counter()
        self._dropped: Counter[str] = Counter()
        self._counted: WeakKeyDictionary[Call, CallStats] = WeakKeyDictionary()
        self._tick_times = TickTimes()
        self.registry = CollectorRegistry()
        self._histograms = {
            name: Histogram(PREFIX + name, about, buckets=buckets, registry=self.registry)
            for name, (about, buckets) in HISTOGRAMS.items()
        }
        about = "How long calls were live."
        self._call_sec = Histogram(
            f"{PREFIX}call_duration_seconds",
            about,
            ["transport"],
            buckets=CALL_BUCKETS_SEC,
            registry=self.registry,
        )
        for transport in Transport:
            self._call_sec.labels(transport.value)  # create the series at zero
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        call_manager.on_end.append(self._note_end)
        call_manager.on_refusal.append(self._note_refusal)
        self._engine.on_tick.append(self._note_tick)

    # What happens ----------------------------------------------------------------------------------

    def _note_tick(self, sec: float, callers: int) -> None:
        self._histograms["tick_seconds"].observe(sec)
        self._histograms["tick_callers"].observe(callers)
        self._tick_times.add(sec)

    def _note_end(self, call: Call) -> None:
        self._ends[call.transport, call.end or End.FAILED] += 1
        self._count_dropped(call)
        if call.live.is_set():
            self._histograms["queue_wait_seconds"].observe(call.waited_sec)
            self._histograms["preparation_seconds"].observe(call.prepared_sec)
            self._call_sec.labels(call.transport.value).observe(call.elapsed_sec)

    def _note_refusal(self, transport: Transport) -> None:
        self._ends[transport, End.REFUSED] += 1

    def _count_dropped(self, call: Call) -> None:
        """Add what ``call`` dropped since it was last counted, so that the sums never decrease."""
        now, before = call.snapshot().stats, self._counted.get(call, CallStats())
        most = {name: max(getattr(now, name), getattr(before, name)) for name in COUNTED}
        self._counted[call] = CallStats(**most)
        self._dropped.update({name: most[name] - getattr(before, name) for name in COUNTED})

    # What is told ----------------------------------------------------------------------------------

    def text(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4, UTF-8."""
        return generate_latest(self.registry)

    def status(self) -> ServerStats:
        model = self._model()
        ended: Counter[End] = Counter()
        for (_, end), calls in self._ends.items():
            ended[end] += calls
        live = self._live()
        slots, times = self._engine.slots, self._tick_times
        return ServerStats(
            state=self._call_manager.state,
            message=self._call_manager.message or self._engine.health.failure,
            model=model.name if model else "",
            device=model.device if model else "",
            slots=slots.capacity,
            slots_free=slots.free,
            waiting=slots.waiting,
            live=live,
            ended=ended,
            tick_mean_sec=times.mean_sec,
            tick_p95_sec=times.p95_sec,
            real_time_factor=times.real_time_factor,
            uptime_sec=self._clock() - self._began_at,
            capacity=capacity_of(model),
            runtime=runtime_of(model),
            captions=self._call_manager.captions.report(model) if model is not None else CaptionsReport(),
            sound_faults=self._call_manager.sound_watch.counts,
            **{name: self._dropped[name] for name in COUNTED},
        )

    def _model(self) -> SpeechModel | None:
        try:
            return self._engine.model
        except EngineUnavailable:
            return None

    def _live(self) -> Counter[Transport]:
        """The live calls. Also counts what they dropped."""
        live: Counter[Transport] = Counter()
        for call in self._call_manager.calls.values():
            self._count_dropped(call)
            live[call.transport] += call.phase is Phase.LIVE
        return live

    def collect(self) -> Iterator[Metric]:
        """The metrics that are read when Prometheus asks, not counted as they happen."""
        yield from self._calls()
        slots = self._engine.slots
        yield _gauge("lines", "Lines: how many calls can be live at once.", slots.capacity)
        yield _gauge("lines_free", "Free lines.", slots.free)
        yield _gauge("callers_waiting", "Callers in the queue for a line.", slots.waiting)
        yield from _capacity(capacity_now(self._call_manager))
        factor = self._tick_times.real_time_factor
        if factor is not None:
            about = "Mean duration of the latest 250 steps divided by 80 ms; above 1 the model is too slow."
            yield _gauge("real_time_factor", about, factor)
        about = "1 for the current state of the engine."
        states = {(state.value,): float(self._engine.state is state) for state in EngineState}
        yield _labelled(GaugeMetricFamily, "engine_state", about, ("state",), states)
        about = "Restarts of the engine after its model hung or failed repeatedly."
        yield CounterMetricFamily(f"{PREFIX}engine_restarts", about, self._engine.restarts)
        model = self._model()
        if model is not None:
            labels = {"name": model.name, "device": model.device, "version": __version__}
            yield InfoMetricFamily(f"{PREFIX}model", "The speech model that answers.", labels)
            used_bytes = model.memory_allocated_mb() * 2**20
            yield _gauge("gpu_memory_bytes", "GPU memory that the model uses; 0 on a CPU.", used_bytes)
            yield from _reports(model)

    def _calls(self) -> Iterator[Metric]:
        live_now, dropped = self._live(), self._dropped
        live = {(transport.value,): live_now[transport] for transport in Transport}
        yield _labelled(GaugeMetricFamily, "calls_live", "Calls that are live now.", ("transport",), live)
        about = "Ended calls by reason."
        ends = {(t.value, end.value): self._ends[t, end] for t in Transport for end in End}
        yield _labelled(CounterMetricFamily, "calls_ended", about, ("transport", "end"), ends)
        about = "Telephone callers who asked for a person, by what came of it."
        transfers = {(outcome,): count for outcome, count in self.phone_transfers().items()}
        yield _labelled(CounterMetricFamily, "phone_transfers", about, ("outcome",), transfers)
        about = "Dropped frames of 80 ms: sound the model never heard, and answers no caller heard."
        frames = {(way,): dropped[f"dropped_{way}"] for way in ("heard", "said")}
        yield _labelled(CounterMetricFamily, "frames_dropped", about, ("direction",), frames)
        about = "Packets of browser callers that were lost, arrived too late, or were concealed."
        packets = {(outcome,): dropped[f"{outcome}_packets"] for outcome in ("lost", "late", "concealed")}
        yield _labelled(CounterMetricFamily, "inbound_packets", about, ("outcome",), packets)
        about = "What callers said whose words were not recognised in time, or could not be."
        utterances = dropped["dropped_utterances"]
        yield CounterMetricFamily(f"{PREFIX}captions_dropped", about, utterances)
        about = "Live calls in which what the assistant said was not right, by what was wrong with it."
        faults = {(fault.value,): count for fault, count in self._call_manager.sound_watch.counts.items()}
        yield _labelled(CounterMetricFamily, "unhealthy_calls", about, ("fault",), faults)


def _capacity(capacity: Capacity) -> Iterator[Metric]:
    yield _gauge("max_waiting", "Places in the queue for a line.", capacity.max_waiting)
    about = "1 while a new call would get a line or a place in the queue."
    yield _gauge("accepting", about, capacity.accepting)
    yield _gauge("draining", "1 while no new calls are taken until the server ends.", capacity.draining)


def _reports(model: SpeechModel) -> Iterator[Metric]:
    """What the model told when it was loaded."""
    capacity, runtime = capacity_of(model), runtime_of(model)
    if capacity is not None:
        if capacity.by_memory is not None:
            yield _gauge("lines_by_memory", "Calls that fit the GPU's memory.", capacity.by_memory)
        about = "Duration of a step with full windows, by its callers, as measured when the model was loaded."
        measured = {(str(callers),): ms / 1000 for callers, ms in capacity.measured_ms.items()}
        yield _labelled(GaugeMetricFamily, "measured_tick_seconds", about, ("callers",), measured)
    if runtime is not None and (facts := runtime.facts()):
        # Without the reasons, which are sentences.
        labels = {name: value.partition(":")[0] for name, value in facts.items()}
        yield InfoMetricFamily(f"{PREFIX}runtime", "How the model runs.", labels)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, about, value)


def _labelled(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    about: str,
    labels: tuple[str, ...],
    values: Mapping[tuple[str, ...], float],
) -> Metric:
    family = kind(PREFIX + name, about, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


METRICS: Responses = {200: told("Text format 0.0.4.", TEXT, CONTENT_TYPE_PLAIN_0_0_4)}


def build_metrics_router(metrics: Metrics) -> APIRouter:
    """``GET /metrics``. The auth middleware decides who may read it."""
    router = APIRouter()

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=Response, responses=METRICS)
    async def read() -> Response:
        """Text format 0.0.4. Also available while the model loads."""
        headers = {"Cache-Control": "no-store"}
        return Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4, headers=headers)

    return router

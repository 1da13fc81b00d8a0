"""Who hears words, who answers and who speaks in this process: each asks a server where one is named, and
else works on this machine.

The parts are imported when they are first wanted, since their libraries take a second and 100 MB.
"""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

from personaplex_ui.errors import PersonaplexError
from personaplex_ui.speech.documents.retrieval import Documents
from personaplex_ui.speech.parts import Recogniser, Replier, SpeechPartFailed, Synthesiser
from personaplex_ui.speech.tools.description import Tool
from personaplex_ui.speech.tools.runner import ToolRunner, Tools
from personaplex_ui.speech.weights.errors import WeightsMissing
from personaplex_ui.speech.weights.store import WeightStore, default_folder
from personaplex_ui.speech.work.jobs import JobQueue
from personaplex_ui.speech.work.workers import Workers

log = logging.getLogger(__name__)

Report = Callable[[str, float], None]
T = TypeVar("T")

RECOGNISER_WEIGHTS = "whisper-tiny.en"
VOICE_WEIGHTS = "kokoro"

MOST_THREADS = 4
"""For one sentence: two take half the time of one, and the caller waits for the first sentence in silence."""

LIGHT_THREADS_PER_CALL = 2
"""For parts that ask servers: one answer is fetched while another text is said."""

FOLDER = "the folder of SPEECH_WEIGHTS_DIR"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server for one part."""

    base_url: str
    api_key: str = ""
    model: str = ""
    voice: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts come from. One without an endpoint is local; its weights are kept in ``weights``, by
    default in the user's cache. ``calls``: how many may be served at once. ``documents``: where the replier
    finds facts besides the role's; ``tools``: what a language model on a server may call."""

    calls: int
    weights: Path | None = None
    stt: Endpoint | None = None
    llm: Endpoint | None = None
    tts: Endpoint | None = None
    documents: Documents | None = None
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A part, and what it is, in words that everybody may read. ``remote``: it asks a server, so its jobs
    wait rather than compute. ``warnings``: where it is not what it should be."""

    part: T
    called: str
    remote: bool = False
    warnings: tuple[str, ...] = ()


@runtime_checkable
class CallsTools(Protocol):
    """A replier whose model can call tools. ``with_tools``: the same one, for one caller."""

    def with_tools(self, more: Tools) -> Replier: ...


class _Once(Generic[T]):
    """Something that is made when it is first wanted; whoever wants it meanwhile waits. Thread-safe."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._made: T | None = None

    def get(self, make: Callable[[], T]) -> T:
        """Raises what ``make`` raises; it is then called again the next time."""
        with self._making:
            if self._made is None:
                self._made = make()
            return self._made


class SpeechParts:
    """One of each part for the whole process, made when it is first wanted and then kept. Thread-safe.

    Making one blocks, for minutes where weights have to be fetched, and raises:
        WeightsMissing: they cannot be had.
        SpeechPartFailed: a part cannot be made from them.
    It is then tried again the next time.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        # Each waits for itself only: weights that are being fetched hold up nobody who needs none.
        self._queue = _Once[JobQueue]()
        self._recogniser = _Once[Loaded[Recogniser]]()
        self._replier = _Once[Loaded[Replier]]()
        self._synthesiser = _Once[Loaded[Synthesiser]]()

    @property
    def queue(self) -> JobQueue:
        """Where blocking work with the parts waits for the threads of this process, which are started."""
        return self._queue.get(self._start)

    def recogniser(self, report: Report) -> Loaded[Recogniser]:
        """``report``: told what is fetched, and how far it is."""
        return self._recogniser.get(lambda: _recogniser(self._sources.stt, self._store(report)))

    def replier(self) -> Loaded[Replier]:
        return self._replier.get(lambda: _replier(self._sources))

    @property
    def has_language_model(self) -> bool:
        """Whether a language model finds the answers, which can call tools."""
        return self._sources.llm is not None

    def replier_with(self, tools: Tools | None) -> Replier:
        """One whose language model may call ``tools``, too, for one caller; the common one without tools or a
        language model."""
        common = self.replier().part
        if tools is None or not isinstance(common, CallsTools):
            return common
        return common.with_tools(tools)

    def synthesiser(self, report: Report) -> Loaded[Synthesiser]:
        """See ``recogniser``."""
        return self._synthesiser.get(lambda: _synthesiser(self._sources.tts, self._store(report)))

    def _start(self) -> JobQueue:
        cores, sources = usable_cores(), self._sources
        remote = any((sources.stt, sources.llm, sources.tts))
        queue = JobQueue(heavy_at_once=cores)
        Workers(queue, cores + (LIGHT_THREADS_PER_CALL * sources.calls if remote else 0))
        return queue

    def _store(self, report: Report) -> WeightStore:
        # Its sentences stand in /health and on the page.
        return WeightStore(self._sources.weights or default_folder(), report, called=FOLDER)


def _recogniser(endpoint: Endpoint | None, store: WeightStore) -> Loaded[Recogniser]:
    if endpoint is not None:
        from personaplex_ui.speech.recognition.http import HttpRecogniser

        server = HttpRecogniser(endpoint.base_url, endpoint.api_key, endpoint.model)
        return Loaded(server, _server(endpoint), remote=True)
    from personaplex_ui.speech.recognition.whisper import WhisperRecogniser

    return Loaded(WhisperRecogniser(store.path_of(RECOGNISER_WEIGHTS)), "Whisper tiny.en")


def _synthesiser(endpoint: Endpoint | None, store: WeightStore) -> Loaded[Synthesiser]:
    if endpoint is not None:
        from personaplex_ui.speech.synthesis.http import HttpSynthesiser

        part = HttpSynthesiser(endpoint.base_url, endpoint.api_key, endpoint.model, endpoint.voice)
        return Loaded(part, _server(endpoint), remote=True)
    from personaplex_ui.speech.synthesis.kokoro import KokoroSynthesiser

    threads = min(usable_cores(), MOST_THREADS)
    try:
        return Loaded(KokoroSynthesiser.in_folder(store.path_of(VOICE_WEIGHTS), threads), "Kokoro 82M")
    except (WeightsMissing, SpeechPartFailed) as missing:
        return _flite(missing)


def _flite(missing: PersonaplexError) -> Loaded[Synthesiser]:
    """What speaks without weights. Raises ``missing`` if that is not installed either."""
    from personaplex_ui.speech.synthesis.flite import FliteSynthesiser

    try:
        part = FliteSynthesiser()
    except SpeechPartFailed:
        raise missing from None
    warning = f"It speaks with the robotic voice of flite, since that of Kokoro cannot be had: {missing}"
    log.warning("%s", warning)
    return Loaded(part, "flite", warnings=(warning,))


def _replier(sources: Sources) -> Loaded[Replier]:
    from personaplex_ui.speech.replies.local import LocalReplier

    endpoint, documents = sources.llm, sources.documents
    local = LocalReplier(documents)
    if endpoint is None:
        also = " and of documents" if documents else ""
        return Loaded(local, f"the facts of the role's own text{also}")
    from personaplex_ui.speech.replies.fallback import FallbackReplier
    from personaplex_ui.speech.replies.http import HttpReplier

    tools = ToolRunner(sources.tools) if sources.tools else None
    server = HttpReplier(
        endpoint.base_url, endpoint.api_key, endpoint.model, documents=documents, tools=tools
    )
    return Loaded(FallbackReplier(server, local), _server(endpoint), remote=True)


def _server(endpoint: Endpoint) -> str:
    return f"{endpoint.model or 'a model'} on a server"


def usable_cores() -> int:
    """Those this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Runs the checks in parallel, each with a time limit, and assembles the report.

Decides which check gets which settings and probes; it neither judges nor probes itself.
"""

import asyncio
import logging
import platform
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from personaplex_ui import __version__
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.config.settings import EngineChoice, Settings, revealed
from personaplex_ui.doctor import machine, services, speech
from personaplex_ui.doctor.probes import Probes
from personaplex_ui.doctor.report import OK, PROBLEM, WARNING, Check, Report, check_of
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.errors import SettingsError
from personaplex_ui.models.factory import speech_sources
from personaplex_ui.models.personaplex.gpu_probe import TorchFacts
from personaplex_ui.speech.loading import Endpoint
from personaplex_ui.web.server_stats import ServerStats
from personaplex_ui.web.twilio_paths import INBOUND_PATH

log = logging.getLogger(__name__)

STEP_WITHIN_SEC = 20.0
KEPT_SEC = 60.0
MOST_AT_ONCE = 8
WITHOUT_GPU = ("cascade", "echo")
"""The names of the models that do without one."""

Step = Callable[[], Iterable[Check]]
"""Blocks, in a thread."""


async def examine_machine(probes: Probes, refusal: str) -> Report:
    """The report when the settings cannot be used, for the reasons in ``refusal``."""
    return await _report(services.check_settings(refusal), {"Packages": lambda: _installed(probes)})


async def examine(settings: Settings, probes: Probes, offline: bool = False) -> Report:
    """The full report, before the app is started. ``offline``: no other machine is contacted."""
    gpus, torch = await asyncio.to_thread(_look_at_gpu, settings, probes)
    is_auto = settings.engine is EngineChoice.AUTO and not settings.spaces_zero_gpu
    has_no_gpu = is_auto and not (torch and torch.gpu)
    host, port = settings.host, settings.port

    def port_check() -> Iterable[Check]:
        refusal = probes.port_refusal(host, port)
        return [services.check_port(settings, refusal, probes.own_server(host, port) if refusal else "")]

    steps: dict[str, Step] = {
        "Settings": lambda: services.check_settings(*probes.start(settings)),
        "Packages": lambda: _installed(probes),
        "GPU": lambda: [machine.check_gpu(settings, gpus, torch), machine.check_gpu_memory(torch)],
        "Kernels": lambda: [machine.check_kernels(torch, _compiler_trouble(torch, probes))],
        "Memory": lambda: [machine.check_memory(probes.available_memory(), None if has_no_gpu else torch)],
        "Port": port_check,
    }
    uses_model = settings.engine is EngineChoice.PERSONAPLEX or settings.spaces_zero_gpu or torch is not None
    uses_cascade = has_no_gpu or settings.engine is EngineChoice.CASCADE
    return await _report([], steps | _services(settings, probes, uses_model, uses_cascade, offline))


async def examine_server(settings: Settings, probes: Probes, stats: ServerStats) -> Report:
    """Checks what may have changed since the server started. PyTorch is not asked: that takes GPU memory,
    which calls need."""
    uses_model = not (settings.engine.needs_no_gpu or stats.model in WITHOUT_GPU)
    steps: dict[str, Step] = {"Packages": lambda: _installed(probes)}
    uses_cascade = stats.model == "cascade"
    return await _report([check_engine(stats)], steps | _services(settings, probes, uses_model, uses_cascade))


def check_engine(stats: ServerStats) -> Check:
    """The engine of a running server."""
    match stats.state:
        case EngineState.READY:
            return Check("Engine", OK, f"{stats.model} on {stats.device} answers.")
        case EngineState.LOADING | EngineState.DRAINING:
            return Check("Engine", WARNING, stats.message or "The engine is not ready.", "Wait.")
        case EngineState.DEGRADED | EngineState.FAILED:
            return check_of("Engine", PROBLEM, stats.message or "The engine has failed. The log says why.")


def _look_at_gpu(settings: Settings, probes: Probes) -> tuple[list[machine.Gpu], TorchFacts | None]:
    """PyTorch, which takes seconds, is asked only if the model is wanted and may run."""
    if settings.engine.needs_no_gpu or settings.spaces_zero_gpu:
        return [], None
    if settings.engine is EngineChoice.AUTO and (settings.device == "cpu" or not probes.has_gpu_driver()):
        return [], None
    return probes.gpus(), probes.torch(settings, probes.survey(settings, ask_hub=False).config)


def _compiler_trouble(torch: TorchFacts | None, probes: Probes) -> str:
    return probes.compiler_trouble() if torch is not None and torch.gpu else ""


def _installed(probes: Probes) -> list[Check]:
    packages = machine.check_packages(probes.requirements(), probes.version_of)
    return [machine.check_python(platform.python_version()), packages]


def _services(
    settings: Settings, probes: Probes, uses_model: bool, uses_cascade: bool, offline: bool = False
) -> dict[str, Step]:
    """The steps that also suit a running server. ``uses_model``: PersonaPlex's weights are needed;
    ``uses_cascade``: those of the cascade."""

    def model() -> Iterable[Check]:
        found = probes.survey(settings, ask_hub=not offline) if uses_model else None
        return [services.check_model(settings.hf_repo, found), services.check_disk(found)]

    def relay() -> Iterable[Check]:
        asks = not offline and services.relay_can_be_asked(settings)
        return [services.check_relay(settings, probes.relay_trouble(settings) if asks else None)]

    def telephone() -> Iterable[Check]:
        token = revealed(settings.twilio_auth_token) or ""
        number = settings.twilio_phone_number or ""
        try:
            account = PhoneAccount(settings.twilio_account_sid or "", token, number)
        except SettingsError as error:
            return [check_of("Telephone", PROBLEM, str(error))]
        found = probes.twilio(account) if account.can_dial and not offline else None
        webhook = f"{settings.server_url}{INBOUND_PATH}"
        return [services.check_telephone(account, settings), services.check_twilio(found, webhook)]

    def folders() -> Iterable[Check]:
        voices, recordings = settings.voices_dir, settings.recordings_dir
        return [
            machine.check_recordings(settings, *probes.written_folder(recordings)),
            machine.check_voices(voices, probes.voices(voices)),
        ]

    return {
        "Model": model,
        **_speech(settings, probes, uses_cascade, offline),
        "Microphone": lambda: [services.check_microphone(settings)],
        "Operator": lambda: [services.check_operator(settings)],
        "Relay": relay,
        "Telephone": telephone,
        "Folders": folders,
    }


def _speech(settings: Settings, probes: Probes, uses_cascade: bool, offline: bool) -> dict[str, Step]:
    """The steps for small models and servers that hear, answer and speak."""
    # Of documents and tools that cannot be read, the settings' own check tells.
    sources = speech_sources(settings.model_copy(update={"documents_dir": None, "tools_file": None}))
    endpoints = {"LLM": sources.llm, "STT": sources.stt, "TTS": sources.tts}

    def weights() -> Iterable[Check]:
        used = uses_cascade and not (sources.stt and sources.tts)
        found = probes.speech_weights(settings, ask=not offline) if used else None
        return [speech.check_weights(found, wanted=settings.engine is EngineChoice.CASCADE)]

    def server(part: str, endpoint: Endpoint) -> Step:
        return lambda: [
            speech.check_server(part, endpoint.model, None if offline else probes.speech_server(endpoint))
        ]

    servers = {f"{part} server": server(part, endpoint) for part, endpoint in endpoints.items() if endpoint}
    return {speech.NAME: weights, **servers}


async def _report(first: list[Check], steps: dict[str, Step]) -> Report:
    """Runs all ``steps`` at once; one that fails, or takes too long, is reported too."""
    # Separate threads: those of the event loop serve calls.
    pool = ThreadPoolExecutor(MOST_AT_ONCE, "doctor")
    loop = asyncio.get_running_loop()

    async def run(name: str, step: Step) -> list[Check]:
        try:
            async with asyncio.timeout(STEP_WITHIN_SEC):
                return list(await loop.run_in_executor(pool, step))
        except TimeoutError:
            return [Check(name, WARNING, f"This took more than {STEP_WITHIN_SEC:.0f} s.", "Try again.")]
        except Exception as error:  # the others must still be reported
            log.warning("The check %s failed.", name, exc_info=error)
            return [Check(name, PROBLEM, f"This check failed: {type(error).__name__}.", "Please report it.")]

    try:
        found = await asyncio.gather(*(run(name, step) for name, step in steps.items()))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return Report(__version__, (*first, *(check for checks in found for check in checks)))


class KeptReport:
    """Makes a report on demand, one at a time, and caches it for a minute."""

    def __init__(
        self, make: Callable[[], Awaitable[Report]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._clock = clock
        self._made: asyncio.Future[Report] | None = None
        self._begun_at = 0.0

    async def get(self) -> Report:
        """A caller that stops waiting does not stop the report."""
        if self._made is None or self._clock() - self._begun_at >= KEPT_SEC:
            self._begun_at = self._clock()
            self._made = asyncio.ensure_future(self._make())
        return await asyncio.shield(self._made)

"""What the doctor looks at: programs, files, sockets and services, each with a time limit. No verdicts.

Everything blocks. Nothing is changed, except that the recordings folder is created, as the app does.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import httpx
from aioice import Connection, TransportPolicy
from aiortc.rtcicetransport import connection_kwargs

import personaplex_ui
from personaplex_ui.app.sockets import listen
from personaplex_ui.channels.browser.ice_servers import RelayUnavailable, choose_ice_servers
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.config.settings import Settings, revealed
from personaplex_ui.doctor.compiler import compiler_trouble
from personaplex_ui.doctor.machine import Gpu
from personaplex_ui.doctor.services import TwilioFacts
from personaplex_ui.drain.listening_process import listening_process
from personaplex_ui.drain.own_server import capacity_at, is_this_app, local_url
from personaplex_ui.errors import PersonaplexError, SettingsError
from personaplex_ui.models.factory import has_gpu_driver
from personaplex_ui.models.personaplex.gpu_probe import FACTS, WANTED, TorchFacts, Wanted
from personaplex_ui.models.personaplex.hub.download import Hub
from personaplex_ui.models.personaplex.hub.survey import Survey, survey
from personaplex_ui.speech.loading import RECOGNISER_WEIGHTS, VOICE_WEIGHTS, Endpoint
from personaplex_ui.speech.server_check import ServerFound, look_at_server
from personaplex_ui.speech.weights.errors import WeightsMissing
from personaplex_ui.speech.weights.registries import Registries
from personaplex_ui.speech.weights.store import default_folder
from personaplex_ui.speech.weights.survey import WeightSurvey, survey_weights
from personaplex_ui.voices.folder import VoiceFolders

ROOT = Path(personaplex_ui.__file__).parent.parent
DRIVER_WITHIN_SEC = 10.0
TORCH_WITHIN_SEC = 60.0
SERVER_WITHIN_SEC = 4.0
NO_RELAY = (
    "The TURN server of TURN_URLS relays nothing: it cannot be reached, or refuses TURN_USERNAME and "
    "TURN_CREDENTIAL. Correct them, and let this machine reach it."
)


class Probes:
    """The probes of this machine. Tests substitute others."""

    def requirements(self) -> Sequence[str]:
        """This package's requirements, from its installed metadata or from the checkout."""
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.requires("personaplex-ui") or []
        with contextlib.suppress(OSError):
            lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
            return [bare for line in lines if (bare := line.partition("#")[0].strip())]
        return []

    def version_of(self, package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    def start(self, settings: Settings) -> tuple[str, list[str]]:
        """Why the app does not start, or an empty text, and what it warns of if it does; runs the same
        startup up to where it would take calls."""
        try:
            from personaplex_ui.app.services import Services

            return "", Services(settings).start_warnings()
        except SettingsError as error:
            return str(error), []
        except ImportError as error:
            return f"A library cannot be imported: {error}. Install again what requirements.txt says.", []

    def has_gpu_driver(self) -> bool:
        return has_gpu_driver()

    def gpus(self) -> list[Gpu]:
        """GPUs that NVIDIA's driver lists; none if a container has the driver without its tools."""
        command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=DRIVER_WITHIN_SEC, check=True)
        except (OSError, subprocess.SubprocessError):
            return []
        lines = done.stdout.decode(errors="replace").splitlines()
        return [Gpu(name, driver) for line in lines for name, _, driver in [line.rpartition(", ")] if name]

    def torch(self, settings: Settings, config: str) -> TorchFacts:
        """``config``: the path of the model's ``config.json``, or empty."""
        wanted = Wanted(
            settings.device,
            settings.max_calls,
            settings.persona_cache_mb * 1_000_000,
            settings.cpu_offload,
            settings.quantize.wanted,
            settings.kv_cache.wanted,
            config,
        )
        program = [sys.executable, "-m", "personaplex_ui.models.personaplex.gpu_probe"]
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            done = subprocess.run(
                [*program, WANTED.dump_json(wanted).decode()],
                env={**os.environ, "PYTHONPATH": path},
                capture_output=True,
                timeout=TORCH_WITHIN_SEC,
                check=True,
            )
            return FACTS.validate_json(done.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            why = f"it does not answer within {TORCH_WITHIN_SEC:.0f} s"
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
            why = last[0] if last else f"its process ended with {error.returncode}"
        trouble = f"PyTorch cannot be used: {why}. Install again what requirements.txt says."
        return TorchFacts(self.version_of("torch") or "", trouble=trouble)

    def compiler_trouble(self) -> str:
        """Why Triton's kernels cannot be built, and what to do; empty if they can."""
        if self.version_of("triton") is None:
            return "Triton is not installed. Install it: pip install -r requirements.txt."
        return compiler_trouble(os.environ)

    def available_memory(self) -> int | None:
        """Bytes, at most the container's limit; None if Linux does not report it."""
        try:
            lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
            available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        except (OSError, ValueError, StopIteration):
            return None
        with contextlib.suppress(OSError, ValueError):  # not a container, or "max"
            return min(available, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
        return available

    def written_folder(self, folder: Path) -> tuple[str, int]:
        """Why ``folder`` cannot be written to, or an empty text; and the bytes free there."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"0")
        except OSError as error:
            return error.strerror or "it cannot be created", 0
        return "", shutil.disk_usage(folder).free

    def voices(self, folder: Path | None) -> int | None:
        """How many voices are in ``folder``; None if it does not exist."""
        return len(VoiceFolders().voices_of(folder)) if folder and folder.is_dir() else None

    def port_refusal(self, host: str, port: int) -> str:
        """Why the server cannot listen there, or an empty text."""
        try:
            for bound in listen(host, port):
                bound.close()
        except SettingsError as error:
            return str(error)
        return ""

    def own_server(self, host: str, port: int) -> str:
        """How this app fares that is running there, as it says: healthy, loading, ...; empty if it
        is another program, or does not answer."""
        pid = None
        with contextlib.suppress(OSError):  # this system does not tell
            pid = listening_process(port)
        if pid is not None and not is_this_app(pid):
            return ""
        with httpx.Client(trust_env=False, timeout=SERVER_WITHIN_SEC) as client:
            told = capacity_at(client, local_url(host, port)) or {}
        return str(told.get("status", ""))

    def survey(self, settings: Settings, ask_hub: bool) -> Survey:
        return survey(settings.hf_repo, settings.hf_revision, Hub(revealed(settings.hf_token)), ask_hub)

    def speech_weights(self, settings: Settings, ask: bool) -> WeightSurvey:
        """``ask``: ask the sources of what is missing, too."""
        names = [
            name
            for name, address in (
                (RECOGNISER_WEIGHTS, settings.stt_base_url),
                (VOICE_WEIGHTS, settings.tts_base_url),
            )
            if address is None
        ]
        try:
            folder = settings.speech_weights_dir or default_folder()
        except WeightsMissing as error:
            return WeightSurvey(Path("~"), tuple(names), trouble=str(error).rstrip("."))
        return survey_weights(folder, names, Registries.from_environment(os.environ) if ask else None)

    def speech_server(self, endpoint: Endpoint) -> ServerFound:
        return look_at_server(endpoint.base_url, endpoint.api_key, endpoint.model)

    def relay_trouble(self, settings: Settings) -> str:
        """Why calls cannot be relayed, or an empty text. Asks the TURN server, or the one provided for
        Spaces."""
        servers = choose_ice_servers(settings.ice_servers, settings.space_id, revealed(settings.hf_token))

        async def ask() -> str:
            options = connection_kwargs((await servers.for_server()).iceServers or [])
            connection = Connection(ice_controlling=True, transport_policy=TransportPolicy.RELAY, **options)
            try:
                await connection.gather_candidates()
                return "" if connection.local_candidates else NO_RELAY
            finally:
                await connection.close()

        try:
            return asyncio.run(ask())
        except RelayUnavailable as error:
            return str(error)

    def twilio(self, account: PhoneAccount) -> TwilioFacts:
        try:
            status, webhook = asyncio.run(TwilioClient(account).look())
        except PersonaplexError as error:
            return TwilioFacts(refusal=str(error))
        return TwilioFacts("", status, webhook)

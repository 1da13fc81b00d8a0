"""Checks of this machine: what is installed, the GPU, memory and folders.

Pure functions from settings and findings to a check.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.file import BYTES_PER_SAMPLE
from personaplex_ui.config.settings import EngineChoice, Settings
from personaplex_ui.doctor.report import NOT_USED, OK, PROBLEM, WARNING, Check, check_of
from personaplex_ui.models.personaplex.gpu_probe import TorchFacts
from personaplex_ui.models.personaplex.loading.checkpoint_files import human_size

PYTHONS = SpecifierSet(">=3.11,<3.14")
"""As ``requires-python`` in pyproject.toml."""

TOLD = ("gradio", "fastrtc", "aiortc", "torch", "moshi", "huggingface-hub", "twilio")
"""Packages whose versions are listed when none has a problem."""

ECHO_BYTES, TORCH_BYTES = 1_000_000_000, 4_000_000_000
"""Least host memory of the app with the echo engine, and with torch and CUDA."""

RECORDED_BYTES_PER_SEC = BYTES_PER_SAMPLE * SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the driver lists."""

    name: str
    driver: str


def check_python(version: str) -> Check:
    if version in PYTHONS:
        return Check("Python", OK, f"Python {version}.")
    sentence = f"This is Python {version}, and {PYTHONS} is needed."
    return Check("Python", PROBLEM, sentence, "Install another one, and the packages for it.")


def check_packages(requirements: Iterable[str], version_of: Callable[[str], str | None]) -> Check:
    """``requirements``: in pip's syntax. ``version_of``: the installed version, or None."""
    missing: list[str] = []
    misfits: list[str] = []
    for requirement in map(Requirement, requirements):
        version = version_of(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if version is None:
            missing.append(requirement.name)
        elif not requirement.specifier.contains(version, prereleases=True):
            misfits.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    step = "Install what the app was tested with: pip install -r requirements.txt"
    if missing:
        return Check("Packages", PROBLEM, f"Not installed: {', '.join(missing)}.", step)
    if misfits:
        return Check("Packages", WARNING, f"{'; '.join(misfits)}.", step)
    told = [f"{name} {version}" for name in TOLD if (version := version_of(name))]
    return Check("Packages", OK, f"{', '.join(told)}.")


def check_gpu(settings: Settings, gpus: Sequence[Gpu], torch: TorchFacts | None) -> Check:
    """``gpus``: as the driver lists them. ``torch``: what PyTorch sees, None if not asked."""
    if settings.engine.needs_no_gpu:
        return Check("GPU", NOT_USED, f"ENGINE is {settings.engine}, which needs no GPU.")
    if settings.spaces_zero_gpu:
        sentence = "ZeroGPU lends a GPU for each clip, so it answers clips but takes no live calls."
        return Check("GPU", WARNING, sentence, "For live calls choose a GPU in the settings of the Space.")
    if torch is not None and torch.gpu:
        return _check_seen(gpus, torch)
    if torch is not None and torch.trouble:
        return check_of("GPU", PROBLEM, torch.trouble)
    if torch is not None and (gpus or settings.engine is EngineChoice.AUTO) and settings.device == "auto":
        built = f"built for CUDA {torch.cuda}" if torch.cuda else "built without CUDA"
        gpu = f"{gpus[0].name} (driver {gpus[0].driver})" if gpus else "a GPU, though its driver is here"
        sentence = f"PyTorch {torch.version}, {built}, cannot use {gpu}."
        step = f"Update NVIDIA's driver, or install a PyTorch that fits it. {torch.warning}"
        return Check("GPU", PROBLEM, sentence, step.strip())
    if settings.engine is EngineChoice.PERSONAPLEX:
        sentence = "PersonaPlex will run on the CPU, which is too slow for calls."
        return Check("GPU", WARNING, sentence, "Use a machine with an NVIDIA GPU.")
    why = "DEVICE is cpu" if settings.device == "cpu" else "No NVIDIA GPU was found"
    sentence = f"{why}, so the cascade engine answers: small models, of which each takes its turn."
    step = "For PersonaPlex use a machine with an NVIDIA GPU. To keep the cascade, set ENGINE=cascade."
    return Check("GPU", WARNING, sentence, step)


def _check_seen(gpus: Sequence[Gpu], torch: TorchFacts) -> Check:
    major, minor = torch.capability
    driver = f"driver {gpus[0].driver}, " if gpus else ""
    sentence = (
        f"{torch.gpu}: compute capability {major}.{minor}, {driver}"
        f"PyTorch {torch.version} with CUDA {torch.cuda}."
    )
    if torch.warning:
        return Check("GPU", WARNING, sentence, f"PyTorch says: {torch.warning}")
    if major < 8:
        return Check("GPU", WARNING, sentence, "It is slow in bfloat16. For calls take one of 8.0 or above.")
    return Check("GPU", OK, sentence)


def check_gpu_memory(torch: TorchFacts | None) -> Check:
    if torch is None or not torch.gpu:
        return Check("GPU memory", NOT_USED, "No model is going to be on a GPU.")
    if torch.trouble:
        return check_of("GPU memory", PROBLEM, torch.trouble)
    needed = f"The model and {torch.slots} calls need {human_size(torch.gpu_needed)}"
    sentences = (f"{needed}, and {human_size(torch.gpu_free)} are free.", *torch.reasons)
    return Check("GPU memory", OK, " ".join(sentences))


def check_kernels(torch: TorchFacts | None, trouble: str) -> Check:
    """``trouble``: why Triton cannot build its kernels, and what to do."""
    if torch is None or not torch.gpu:
        return Check("Kernels", NOT_USED, "No model is going to be on a GPU.")
    if not trouble:
        return Check("Kernels", OK, "Triton has all it needs to build the fast kernels.")
    found = check_of("Kernels", PROBLEM if torch.int8 else WARNING, trouble)
    slower = "so PyTorch's slower kernels run; in int8 they are too slow for calls"
    return replace(found, sentence=f"{found.sentence.rstrip('.')}, {slower}.")


def check_memory(available: int | None, torch: TorchFacts | None) -> Check:
    """``available``: bytes, None if unknown."""
    if available is None:
        return Check("Memory", NOT_USED, "This system does not report how much memory is available.")
    needed = ECHO_BYTES if torch is None else TORCH_BYTES + torch.host_needed
    sentence = f"About {human_size(needed)} is needed, and {human_size(available)} is available."
    if available >= needed:
        return Check("Memory", OK, sentence)
    return Check("Memory", WARNING, sentence, "End other programs, or take a machine with more memory.")


def check_recordings(settings: Settings, why_not: str, free: int) -> Check:
    """``why_not``: why the folder cannot be written to. ``free``: bytes free on its disk."""
    folder = settings.recordings_dir
    if why_not:
        step = "Set RECORDINGS_DIR to a folder that the server may write to."
        return Check("Recordings", PROBLEM, f"{folder} cannot be written to: {why_not}.", step)
    calls = settings.expected_calls
    hour = calls * 3600 * RECORDED_BYTES_PER_SEC
    sentence = f"{folder} has {human_size(free)} free; an hour of {calls} calls takes {human_size(hour)}."
    if free >= hour:
        return Check("Recordings", OK, sentence)
    return Check("Recordings", WARNING, sentence, "Make room, or lower RECORDINGS_KEEP_HOURS.")


def check_voices(folder: Path | None, found: int | None) -> Check:
    """``found``: how many voices are in ``folder``, None if it does not exist."""
    if folder is None:
        return Check("Voices", NOT_USED, "VOICES_DIR is not set, so only the model's own voices are offered.")
    if found:
        return Check("Voices", OK, f"{folder} holds {found} voice{'' if found == 1 else 's'}.")
    lacks = "there is no such folder" if found is None else "no file there is a voice"
    step = "Put .wav or .pt files there (voices/README.md), or correct the path."
    return Check("Voices", WARNING, f"VOICES_DIR is {folder}, but {lacks}.", step)

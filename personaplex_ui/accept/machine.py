"""Step a: the machine, as the doctor sees it, and how the model was loaded on it."""

import platform
from collections.abc import Iterator, Mapping

from personaplex_ui.accept.report import NOT_RUN, OK, PROBLEM, WARNING, Finding, Verdict
from personaplex_ui.accept.weights import kind_of_weights
from personaplex_ui.config.settings import EngineChoice, Settings
from personaplex_ui.doctor import machine, report, services
from personaplex_ui.doctor.probes import Probes
from personaplex_ui.engine.reports import capacity_of, runtime_of
from personaplex_ui.models.personaplex.model import PersonaPlexModel

VERDICTS: Mapping[report.Verdict, Verdict] = {
    report.OK: OK,
    report.WARNING: WARNING,
    report.PROBLEM: PROBLEM,
    report.NOT_USED: NOT_RUN,
}

TRY_ON_CPU = "To try this command without a GPU, set ENGINE=personaplex and DEVICE=cpu."


def examine_machine(settings: Settings, probes: Probes) -> Iterator[Finding]:
    """What the doctor says about what the test needs; the hub is not asked."""
    packages = machine.check_packages(probes.requirements(), probes.version_of)
    yield _finding(machine.check_python(platform.python_version()))
    yield _finding(packages)
    found = probes.survey(settings, ask_hub=False)
    yield _finding(services.check_model(settings.hf_repo, found))
    torch = probes.torch(settings, found.config)
    yield _finding(machine.check_gpu(settings, probes.gpus(), torch))
    yield _finding(machine.check_gpu_memory(torch))
    yield _finding(machine.check_memory(probes.available_memory(), torch))


def nothing_to_accept(settings: Settings, gpu: bool) -> Finding | None:
    """Why there is no model to try with these settings, if there is none. ``gpu``: DEVICE allows one, and
    PyTorch can use it."""
    if settings.spaces_zero_gpu:
        sentence = "ZeroGPU lends its GPU for single clips, so no calls can be tried on it."
        return _refusal(sentence, "Run this on the machine that will take the calls.")
    if settings.engine.needs_no_gpu:
        sentence = f"ENGINE is {settings.engine}, which has no weights of PersonaPlex."
        return _refusal(sentence, "Set ENGINE=personaplex.")
    if settings.engine is EngineChoice.AUTO and not gpu:
        sentence = "There is no GPU that PyTorch can use, so the app would run the cascade engine."
        return _refusal(sentence, f"Run this on the machine that will take the calls. {TRY_ON_CPU}")
    return None


def _refusal(sentence: str, step: str) -> Finding:
    return Finding("A model to try", PROBLEM, "none", sentence, step)


def _finding(check: report.Check) -> Finding:
    return Finding(check.name, VERDICTS[check.verdict], "", check.sentence, check.next_step)


def loading_findings(model: PersonaPlexModel, sec: float) -> Iterator[Finding]:
    """How the model of the settings was loaded, and how it runs."""
    kind, memory_mb = kind_of_weights(model), model.memory_allocated_mb()
    taken = f", {memory_mb:,.0f} MB of GPU memory" if memory_mb else ""
    runtime, capacity = runtime_of(model), capacity_of(model)
    sentence = f"It was loaded in {sec:.1f} s, with {kind} weights, for {model.slots} callers{taken}."
    data = {"seconds": sec, "weights": kind, "slots": model.slots, "gpu_mb": memory_mb}
    number = f"{kind}, {model.slots} callers, {sec:.1f} s"
    reason = f" {capacity.reason}" if capacity is not None and capacity.reason else ""
    yield Finding("Loading", OK, number, sentence + reason, data=data)
    if runtime is None:
        return
    facts = runtime.facts()
    table = (("part", "how"), *((name.replace("_", " "), fact) for name, fact in facts.items()))
    on_gpu = model.language_model.device.type == "cuda"
    slow = [fact for fact in (runtime.graphs, runtime.kernels) if on_gpu and ":" in fact]
    if slow or runtime.warnings:
        step = " ".join(runtime.warnings) or "The doctor and the log say more: personaplex-ui doctor."
        said = f"Not as fast as it could be: {'; '.join(slow) or 'see the next step'}."
        yield Finding("How it runs", WARNING, "", said, step, table, facts)
    else:
        yield Finding("How it runs", OK, runtime.graphs, " ".join(runtime.reasons), "", table, facts)

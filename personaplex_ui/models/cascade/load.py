"""Makes a cascade of the parts of this process."""

import weakref
from collections.abc import Callable

from personaplex_ui.engine.reports import RuntimeReport
from personaplex_ui.models.cascade.model import CascadeModel
from personaplex_ui.models.cascade.parts import Parts
from personaplex_ui.models.cascade.said_before import SaidBefore
from personaplex_ui.speech.loading import SpeechParts, usable_cores
from personaplex_ui.speech.work.jobs import JobQueue
from personaplex_ui.speech.work.workers import Workers, less_urgently

Report = Callable[[str, float], None]


def load_cascade(speech: SpeechParts, slots: int, report: Report) -> CascadeModel:
    """The model, ready for calls. Fetches weights that are missing.

    Raises:
        WeightsMissing: they cannot be had.
        SpeechPartFailed: a part cannot be made from them.
    """
    report("Starting the cascade engine.", 0.0)
    parts, made_of = less_urgently(lambda: load_parts(speech, report))
    heard_by = speech.recogniser(report).called
    report("The cascade engine is ready.", 1.0)
    return CascadeModel(slots, parts, speech.queue, made_of=made_of, heard_by=heard_by)


def load_parts(speech: SpeechParts, report: Report) -> tuple[Parts, RuntimeReport]:
    """The parts, and what they are. Raises as ``load_cascade`` does."""
    recogniser = speech.recogniser(report)
    synthesiser = speech.synthesiser(report)
    replier = speech.replier()
    all_three = (recogniser, replier, synthesiser)
    reason = (
        f"Words are heard by {recogniser.called}, answered by {replier.called}, and said by "
        f"{synthesiser.called}."
    )
    remote = tuple(loaded.part for loaded in all_three if loaded.remote)
    warnings = tuple(warning for loaded in all_three for warning in loaded.warnings)
    made_of = RuntimeReport(graphs="", kernels="", reasons=(reason,), warnings=warnings)
    return Parts(recogniser.part, replier.part, synthesiser.part, remote), made_of


def cascade_of(parts: Parts, slots: int, said_before: SaidBefore | None = None) -> CascadeModel:
    """A model of local ``parts``, with threads of its own, which end with it. ``said_before``: what need not
    be said anew."""
    queue = JobQueue(heavy_at_once=usable_cores())
    Workers(queue, usable_cores())
    model = CascadeModel(slots, parts, queue, said_before=said_before)
    weakref.finalize(model, queue.close)
    return model

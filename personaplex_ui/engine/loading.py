"""How the engine's thread loads a model, and tries one that was in trouble. Runs on that thread."""

import gc
import logging
from collections.abc import Callable

from personaplex_ui.audio.frames import silent_frame
from personaplex_ui.engine.speech_model import Persona, Recoverable, Sampling, SpeechModel
from personaplex_ui.engine.supervisor import Pulse, Work
from personaplex_ui.errors import PersonaplexError

log = logging.getLogger(__name__)

ReportLoading = Callable[[str, float], None]
"""Called by a loader with a sentence and the progress in [0, 1]."""

LoadModel = Callable[[ReportLoading], SpeechModel]


def collect_garbage() -> None:
    """Free what a former model held, frozen or not: there may be room for one model only."""
    gc.unfreeze()  # see app.garbage
    gc.collect()


def recover(model: SpeechModel, trial: Persona | None, pulse: Pulse) -> bool:
    """Whether a model that was in trouble works again after dropping all its callers."""
    try:
        pulse.begin(Work.COMMAND)
        for slot in range(model.slots):
            model.leave(slot)
        if isinstance(model, Recoverable):
            model.recover()
        try_out(model, trial, pulse)
    except BaseException:
        log.exception("The speech model is still in trouble; loading it again.")
        pulse.begin(Work.RELOAD)
        return False
    return True


def try_out(model: SpeechModel, trial: Persona | None, pulse: Pulse) -> None:
    """Run one step, as for a caller with the voice and role ``trial``. Raises what the model raises."""
    if trial is None or model.clips_only:
        return
    try:
        pulse.begin(Work.PREPARE)
        preparation = model.prepare(trial)
        while not preparation.done:
            pulse.begin(Work.PREPARE)
            preparation.advance()
    except PersonaplexError:
        return  # this model cannot use this voice or role, which proves nothing
    model.join(0, preparation.persona(), Sampling(greedy=True))
    pulse.begin(Work.STEP)
    model.step({0: silent_frame()})
    model.leave(0)

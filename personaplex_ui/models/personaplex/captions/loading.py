"""Captions from the wish for them to a loaded recogniser.

Demanded captions that cannot be had are an error. Where they are only welcome, PersonaPlex goes on without
them, and the reports say why.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

import torch
from moshi.models.compression import MimiModel

from personaplex_ui.engine.reports import CapacityReport
from personaplex_ui.errors import as_variable
from personaplex_ui.models.personaplex.captions.planning import LEFT_OUT, NoRoom
from personaplex_ui.models.personaplex.captions.recogniser import SttModel, load_recogniser
from personaplex_ui.models.personaplex.captions.sizes import SttSizes, stt_sizes
from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CheckpointFiles,
    CheckpointUnusable,
    Report,
)
from personaplex_ui.models.personaplex.loading.plan import FRAME_LIMIT_SEC, USUAL_CALLS, Plan

log = logging.getLogger(__name__)

STT_REPO = "kyutai/stt-1b-en_fr"
STT_REVISION = "40b03403247f4adc9b664bc1cbdff78a82d31085"
"""Of ``STT_REPO``, unless the settings name another."""

NOT_LOADED = f"{LEFT_OUT}: it could not be loaded; the server's log says why."
TOO_SLOW = f"{LEFT_OUT}: as measured, a frame with them takes too long for the wanted calls."


class Captions:
    """``demanded``: None if they are only welcome, False if nobody wants them. ``plan``: what the model is
    built with, which is the one it was made with unless captions have been found."""

    def __init__(self, demanded: bool | None, plan: Plan) -> None:
        self.plan = plan
        self.warnings: tuple[str, ...] = ()
        self._demanded = demanded
        self._without = plan
        self._files: CheckpointFiles | None = None

    def find(
        self, repo: str, revision: str | None, hub: Hub, plan_with: Callable[[SttSizes], Plan], report: Report
    ) -> None:
        """Find or fetch the files, if ``plan_with`` has room for them.

        Raises:
            CheckpointUnusable: they are demanded and cannot be had.
        """
        plans: list[Plan] = []
        pinned = STT_REVISION if repo == STT_REPO else None
        try:
            files = find_checkpoint(
                repo,
                revision or pinned,
                hub,
                report,
                lambda config: plans.append(plan_with(stt_sizes(config))),
            )
        except Exception as error:
            self._refuse(error)
            return
        self._files, self.plan = files, plans[-1]

    def load(
        self, mimi_name: str, mimi: MimiModel, device: torch.device, dtype: torch.dtype, report: Report
    ) -> SttModel | None:
        """What was found, on ``device``; see ``load_recogniser``. None: there will be no captions."""
        if self._files is None:
            return None
        try:
            return load_recogniser(self._files, mimi_name, mimi, device, dtype, report)
        except Exception as error:
            self._refuse(error)
            return None

    def leave_out(self, reason: str) -> None:
        self.plan, self._files = replace(self._without, reasons=(*self._without.reasons, reason)), None

    def are_too_slow(self, capacity: CapacityReport, wanted: int | None) -> bool:
        """Whether they were only welcome and, as measured, there are fewer calls than ``wanted``, by the
        settings."""
        if self._demanded is not None or self._files is None:
            return False
        if wanted is None:
            return capacity.lines < USUAL_CALLS
        return capacity.measured_ms.get(wanted, 0.0) > FRAME_LIMIT_SEC * 1e3

    def _refuse(self, error: Exception) -> None:
        """For an error on the way to captions. Broad: a library that is missing or broken, or a full memory,
        must not keep PersonaPlex from callers for their sake."""
        if self._demanded:
            raise _about_captions(error) if isinstance(error, CheckpointUnusable) else error
        if isinstance(error, NoRoom):
            self.leave_out(str(error))
            return
        log.warning("Captions cannot be had.", exc_info=_about_captions(error))
        self.leave_out(NOT_LOADED)
        self.warnings = (NOT_LOADED,)


def _about_captions(error: Exception) -> Exception:
    """``error``, whose sentence names the settings of the captions instead of PersonaPlex's."""
    if not isinstance(error, CheckpointUnusable):
        return error

    def name(setting: str, value: str) -> str:
        return as_variable(setting.replace("HF_RE", "CAPTIONS_RE"), value)

    return CheckpointUnusable(f"Captions cannot be had: {error.worded(name)}")

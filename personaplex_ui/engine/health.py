"""Whether calls can be taken, and if not, why. No other module keeps this.

Pure: no threads, no clock, no model. Changed on the event loop, read from any thread.
"""

import enum


class EngineState(enum.Enum):
    """Calls are taken in ``READY`` alone. ``DEGRADED``: the model is in trouble and being restarted.
    ``FAILED``: it needs an operator. ``DRAINING``: the server is shutting down, which is final."""

    LOADING = "loading"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    DRAINING = "draining"


class Health:
    """``message``: a sentence for callers, empty when ready; ``progress`` of the loading in [0, 1]."""

    def __init__(self) -> None:
        self.state = EngineState.LOADING
        self.message = "The speech model is being loaded."
        self.progress = 0.0
        self.failure = ""
        """Why the model last failed; kept while another one answers instead."""

    @property
    def takes_calls(self) -> bool:
        return self.state is EngineState.READY

    def _become(self, state: EngineState, message: str, progress: float) -> None:
        if self.state is EngineState.DRAINING:
            return
        # The state comes last, so that another thread that reads it finds the matching message.
        self.message, self.progress = message, progress
        self.state = state

    def load(self, instead: bool = False) -> None:
        """Loading begins again. ``instead``: of another model, so the failure of the first one is kept."""
        self.failure = self.failure if instead else ""
        self._become(EngineState.LOADING, "The model is being loaded.", 0.0)

    def report(self, message: str, progress: float) -> None:
        """Report loading progress. A degraded engine stays so, with its reason, until it is ready."""
        if self.state is EngineState.DEGRADED:
            self.progress = progress
        else:
            self._become(EngineState.LOADING, message, progress)

    def ready(self) -> None:
        self._become(EngineState.READY, "", 1.0)

    def degrade(self, reason: str) -> None:
        self._become(EngineState.DEGRADED, reason, 0.0)

    def fail(self, reason: str) -> None:
        self.failure = reason
        self._become(EngineState.FAILED, reason, self.progress)

    def drain(self, reason: str) -> None:
        self._become(EngineState.DRAINING, reason, 0.0)

"""The tape in the place of CUDA graphs: a stepper captures its ticks with it, and replays them."""

from collections.abc import Callable

from personaplex_ui.models.personaplex.runtime.graph import Replay
from tests.support.tape import Tape


class TapeRecorder:
    """See ``Recorder``."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []

    @property
    def replays(self) -> int:
        return sum(tape.replays for tape in self.tapes)

    def record(self, function: Callable[[], None]) -> Replay:
        function()  # as on a GPU: once to warm up
        tape = Tape.record(function)
        self.tapes.append(tape)
        return tape.replay

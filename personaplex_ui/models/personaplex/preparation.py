"""How a persona is prepared: a recorded voice frame by frame through Mimi, then the prompt, stretch by
stretch.

Only the prompt can ride in the ticks of live callers, since only there it shares the weights they read
anyway."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.runtime.prefill import Prefill, PrefillState
from personaplex_ui.models.personaplex.runtime.stepper import Stepper


class PersonaPreparation:
    """See ``Preparation``. ``codes``: the voice's, ``[8]`` a frame, empty for a preset; ``prompt``: makes the
    inputs ``[n, dim]`` of all positions of them; ``keep`` gets the result.

    The first of several uses the stepper's own prefill, and can ride; one that begins meanwhile has a cache
    of its own."""

    def __init__(
        self,
        stepper: Stepper,
        codes: Iterator[Tensor],
        prompt: Callable[[list[Tensor]], Tensor],
        keep: Callable[[PrefillState], None],
    ) -> None:
        self._stepper = stepper
        self._codes = codes
        self._heard: list[Tensor] = []
        self._make_prompt = prompt
        self._keep = keep
        self._prompt: Tensor | None = None
        self._prefill: Prefill | None = None
        self._state: PrefillState | None = None
        self._listen()

    def _listen(self) -> None:
        """Take the next frame of the voice; after the last, the prompt is there."""
        code = next(self._codes, None)
        if code is None:
            self._prompt = self._make_prompt(self._heard)
        else:
            self._heard.append(code)

    @property
    def progress(self) -> float:
        if self.done:
            return 1.0
        return 0.0 if self._prefill is None else self._prefill.progress

    @property
    def done(self) -> bool:
        return self._state is not None

    @property
    def can_ride(self) -> bool:
        shared = self._stepper.prefill
        has_row = self._prefill is shared or (self._prefill is None and shared.free)
        return self._prompt is not None and has_row

    @property
    def in_prompt(self) -> bool:
        return self._prompt is not None

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def advance(self) -> None:
        """The next chunk by itself."""
        if self._prompt is None:
            self._listen()
            return
        self._begin(self._prompt).advance()
        self.passed()

    def board(self) -> None:
        """Before a tick that this rides in."""
        assert self.can_ride
        assert self._prompt is not None
        self._begin(self._prompt)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def passed(self) -> None:
        """A chunk is done, here or in a tick."""
        prefill = self._prefill
        if prefill is not None and prefill.complete:
            self._state = prefill.state()
            self._keep(self._state)
            self.close()

    def _begin(self, prompt: Tensor) -> Prefill:
        if self._prefill is None:
            shared, temporal = self._stepper.prefill, self._stepper.temporal
            own = self._stepper.options.int8_cache
            self._prefill = (
                shared if shared.free else Prefill(temporal, temporal.new_cache(1, len(prompt), own), 0)
            )
            self._prefill.begin(prompt)
        return self._prefill

    def persona(self) -> PrefillState:
        assert self._state is not None, "not ready yet"
        return self._state

    def close(self) -> None:
        """Give back what it uses. Idempotent."""
        if self._prefill is not None:
            self._prefill.end()
            self._prefill = None

"""Steps all callers of one model as a batch: the caller's sound in, the assistant's tokens and sound out.

Rows 0 to n-1 of every tensor are the active callers; when one leaves, the last row takes its place. All
tensors stay where they are, and a tick takes no arguments but its shape, so that it can be captured
(``graph``). A caller's answers depend only on its own persona, settings, seed and sound.

One step of a caller at position p: read (text, assistant, caller) of p, draw the text of p + 1, then the
assistant's first codebook of frame p + 1 and the others of frame p, which complete the answer to the frame
just heard.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter

import torch
from moshi.models.lm import LMModel
from torch import Tensor

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.speech_model import MAX_AUDIO_TOP_K, MAX_TEXT_TOP_K, Sampling
from personaplex_ui.models.personaplex.captions.reader import CodesReader
from personaplex_ui.models.personaplex.captions.recogniser import SttModel
from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.loading.offload import HostLayers
from personaplex_ui.models.personaplex.runtime.buffers import StepOutput, TickInput, TickOutput
from personaplex_ui.models.personaplex.runtime.codec import Codec
from personaplex_ui.models.personaplex.runtime.depth import Depth
from personaplex_ui.models.personaplex.runtime.graph import Recorder, TickGraphs, TickShape, left_as_they_were
from personaplex_ui.models.personaplex.runtime.mimi.loop import MimiLoop
from personaplex_ui.models.personaplex.runtime.prefill import Prefill, PrefillState
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, SILENCE_CODES, SINE_CODES
from personaplex_ui.models.personaplex.runtime.sampling import new_sampling_batch, sample
from personaplex_ui.models.personaplex.runtime.temporal import Temporal

FILLED_STEP = 64
"""Where nothing is captured, attention reads a multiple of so many places of the rings."""

MOST_PINNED = 0.5
"""The part of the window that a persona may keep for good; the rest is for what was said."""


@dataclass(frozen=True, slots=True)
class StepperOptions:
    """``slots`` callers at most. ``int8_cache``: keys and values as int8. ``pin_persona``: the persona stays
    in the window when a call is longer than that (240 s); the reference loses it first."""

    slots: int
    int8_cache: bool = False
    pin_persona: bool = True


class Stepper:
    """``recogniser``: tells in the same ticks, from the same codes, what the callers say; ``mimi`` must hear
    with as many codebooks as it reads."""

    def __init__(
        self, lm: LMModel, mimi: MimiLoop, options: StepperOptions, recogniser: SttModel | None = None
    ) -> None:
        slots = options.slots
        self.options = options
        # Layers in host memory take turns in the same weights, of which a copy would be out of date.
        on_host = isinstance(lm.transformer.layers, HostLayers)
        self._packed = PackedWeights() if on_host else PackedWeights.of(lm)
        self._packed.pack(slots)
        self.temporal = Temporal(lm, self._packed)
        self.codec = Codec(mimi, slots)
        self._depth = Depth(lm, slots, self._packed)
        self._device = device = self.temporal.device
        # The last row is for a prompt that is prepared in the ticks of others.
        self._cache = self.temporal.new_cache(slots + 1, int8=options.int8_cache)
        self._input = TickInput(slots, device)
        self._output = TickOutput(slots, device)
        self._text_sampling = new_sampling_batch(slots, MAX_TEXT_TOP_K, device)
        self._audio_sampling = new_sampling_batch(slots, MAX_AUDIO_TOP_K, device)
        self._text_noise = torch.ones(slots, lm.text_card, device=device)
        self._audio_noise = torch.ones(slots, CODEBOOKS, lm.card, device=device)
        self._positions = torch.zeros(slots, dtype=torch.long, device=device)
        self._pinned = torch.zeros(slots, dtype=torch.long, device=device)
        self._read = torch.zeros(slots, 2 * CODEBOOKS + 1, dtype=torch.long, device=device)
        """Tokens of the next position: text, assistant, caller; the caller's first codebook is not heard
        yet."""
        self._silence = torch.from_numpy(SILENCE_CODES).to(device)
        self._sine = torch.from_numpy(SINE_CODES).to(device)
        self._slots: list[int] = []
        self._lengths: list[int] = []
        self._generators: list[torch.Generator] = []
        self.prefill = Prefill(self.temporal, self._cache, slots)
        self.reader = CodesReader(recogniser, self.codec, slots) if recogniser is not None else None
        self.graphs = TickGraphs(self._tick, self._small_state)

    @property
    def packed_bytes(self) -> int:
        """What copies of weights for batches on a CPU take, see ``PackedWeights``."""
        return self._packed.packed_bytes + self.codec.packed_bytes

    @property
    def rows(self) -> int:
        """How many callers are on."""
        return len(self._slots)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def join(self, slot: int, prefill: PrefillState, sampling: Sampling) -> None:
        """Put a caller into ``slot``. Draws the tokens needed before the first frame is heard, so that the
        answer to frame k is ready with frame k, one frame earlier than in the reference."""
        row = len(self._slots)
        self._cache.copy_row(row, prefill.cache, 0, prefill.positions)
        self._positions[row] = prefill.positions
        most_pinned = int(MOST_PINNED * self.temporal.window)
        self._pinned[row] = min(prefill.positions, most_pinned) if self.options.pin_persona else 0
        seed = torch.seed() if sampling.seed is None else sampling.seed
        generator = torch.Generator(self._device).manual_seed(seed)
        self._set_sampling(row, sampling)
        self._draw_noise(row, generator)
        one = slice(row, row + 1)
        text = sample(
            prefill.text_logits,
            self._text_noise[one],
            self._text_sampling.rows(row, row + 1),
        )
        first = self._depth.forward(
            text, prefill.hidden, self._audio_noise[one], self._audio_sampling.rows(row, row + 1), codebooks=1
        )
        self._read[row] = torch.cat([text, first[0], self._silence[1:], self._sine])
        self.codec.start_row(row)
        if self.reader is not None:
            self.reader.start_row(row)
        # Last, so that a caller who could not join leaves nothing behind.
        self._slots.append(slot)
        self._lengths.append(prefill.positions)
        self._generators.append(generator)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def leave(self, slot: int) -> None:
        row, last = self._slots.index(slot), len(self._slots) - 1
        if row != last:
            self.codec.copy_row(last, row)
            if self.reader is not None:
                self.reader.copy_row(last, row)
            self._cache.copy_row(row, self._cache, last, min(self._lengths[last], self._cache.window))
            for values in (self._positions, self._pinned, self._read):
                values[row] = values[last]
            self._text_sampling.copy_row(last, row)
            self._audio_sampling.copy_row(last, row)
        for values in (self._slots, self._lengths, self._generators):
            values[row] = values[last]  # type: ignore[call-overload]
            values.pop()

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        self._set_sampling(self._slots.index(slot), sampling)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def step(
        self, heard: Mapping[int, Frame], forced_text: Mapping[int, int], riding: bool = False
    ) -> Mapping[int, StepOutput]:
        """Hear a frame in each slot of ``heard`` and answer it. ``forced_text``: tokens to say next.
        ``riding``: the next stretch of ``prefill`` goes along."""
        active = [row for row, slot in enumerate(self._slots) if slot in heard]
        self._input.clear()
        for row in active:
            slot = self._slots[row]
            self._input.put(row, heard[slot], forced_text.get(slot))
            self._draw_noise(row, self._generators[row])
        shape = self._shape(riding)
        self._input.send(shape.rows)
        if riding:
            self.prefill.load()
        self.graphs.run(shape)
        self._output.fetch(shape.rows)
        if riding:
            self.prefill.passed()
        for row in active:
            self._lengths[row] += 1
        if self.reader is not None:
            self.reader.passed(active)
        return {self._slots[row]: self._output.row(row) for row in active}

    def _shape(self, riding: bool) -> TickShape:
        window = self._cache.window
        captured = self.graphs.smallest(len(self._slots), riding)
        if captured is not None:
            return captured
        longest = max(self._lengths)
        return TickShape(
            rows=len(self._slots),
            filled=min(window, _rounded_up(longest + 1)),
            riding=min(window, _rounded_up(self.prefill.filled)) if riding else 0,
            past_pins=self.options.pin_persona and longest >= window,
            heard=self.reader.filled(len(self._slots)) if self.reader is not None else 0,
        )

    # Before anybody is on -----------------------------------------------------------------------------

    def row_counts(self) -> list[int]:
        """The numbers of rows worth capturing: 1, 2, 4, 8, ... and all."""
        slots = self.options.slots
        return sorted({min(slots, 2**power) for power in range(slots.bit_length() + 1)})

    def capture(self, recorder: Recorder, report: Callable[[TickShape], None]) -> None:
        """Capture ticks of all ``row_counts``, with a prompt and without. See ``TickGraphs.capture``."""
        window, pins = self._cache.window, self.options.pin_persona
        shapes = [
            TickShape(rows, window, riding, pins, self._heard_window)
            for rows in self.row_counts()
            for riding in (0, window)
        ]
        self.graphs.capture(recorder, shapes, report)

    @property
    def _heard_window(self) -> int:
        return self.reader.window if self.reader is not None else 0

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def measure(self, rows: int, ticks: int, riding: bool = False, filled: int | None = None) -> list[float]:
        """The seconds that each of ``ticks`` ticks takes, for ``rows`` callers whose windows have ``filled``
        places (all), from the copy in to the copy out. Nobody may be on."""
        assert not self._slots
        window = self._cache.window
        seen = min(filled or window, window)
        shape = self.graphs.smallest(rows, riding) or TickShape(
            rows, seen, window if riding else 0, self.options.pin_persona, self._heard_window
        )
        taken: list[float] = []
        with left_as_they_were(self._small_state):
            self._positions.fill_(seen - 1)
            if self.reader is not None:
                self.reader.fill()
            for _ in range(ticks):
                started = perf_counter()
                self._input.send(shape.rows)
                self.graphs.run(shape)
                self._output.fetch(shape.rows)
                taken.append(perf_counter() - started)
        return taken

    # The tick ---------------------------------------------------------------------------------------

    def _tick(self, shape: TickShape) -> None:
        """Reads and writes tensors of fixed addresses only: no Python value of a caller, no random number, no
        word with the host."""
        n = shape.rows
        active = self._input.active(n)
        heard = self.codec.encode(self._input.sound(n))
        caller = heard[:, :CODEBOOKS]
        read = torch.cat(
            [self._read[:n, : 1 + CODEBOOKS], caller[:, :1], self._read[:n, 2 + CODEBOOKS :]], dim=1
        )
        hidden = self._think(read, shape)
        text = sample(self.temporal.text_logits(hidden), self._text_noise[:n], self._text_sampling.rows(0, n))
        forced = self._input.forced_text(n)
        text = torch.where(forced >= 0, forced, text)
        codes = self._depth.forward(text, hidden, self._audio_noise[:n], self._audio_sampling.rows(0, n))
        spoken = torch.cat([read[:, 1:2], codes[:, 1:]], dim=1)
        words = self.reader.read(heard, active, shape.heard) if self.reader is not None else None
        self._output.write(self.codec.decode(spoken), torch.cat([read[:, :1], spoken], dim=1), words)
        self.codec.keep(active)
        # The caller's first codebook of the next position is not heard yet; what stands there is not read.
        following = torch.cat([text[:, None], codes, caller], dim=1)
        self._read[:n].copy_(torch.where(active[:, None], following, self._read[:n]))
        self._positions[:n].add_(active)

    def _think(self, read: Tensor, shape: TickShape) -> Tensor:
        """The hidden states ``[n, dim]`` of the callers' positions."""
        n = shape.rows
        positions, pinned = self._positions[:n, None], self._pinned[:n]
        layers = self._cache.layers(0, n)
        blocks = [self.temporal.block(layers, positions, pinned, shape.filled, shape.past_pins)]
        inputs = self.temporal.embed_known(read)
        if not shape.riding:
            return self.temporal.forward(inputs, blocks)
        blocks.append(self.prefill.block(shape.riding))
        hidden = self.temporal.forward(torch.cat([inputs, self.prefill.inputs]), blocks)
        self.prefill.hidden.copy_(hidden[n:])
        return hidden[:n]

    def _small_state(self) -> Iterator[Tensor]:
        # What a tick writes to the cache is not seen before it is written again.
        yield from (self._positions, self._read)
        yield from self.codec.state_tensors()
        if self.reader is not None:
            yield from self.reader.state_tensors()

    def _set_sampling(self, row: int, sampling: Sampling) -> None:
        for batch, temperature, top_k in (
            (self._text_sampling, sampling.text_temperature, sampling.text_top_k),
            (self._audio_sampling, sampling.audio_temperature, sampling.audio_top_k),
        ):
            batch.temperature[row] = temperature
            batch.top_k[row] = min(top_k, batch.largest_k)
            batch.greedy[row] = sampling.greedy

    def _draw_noise(self, row: int, generator: torch.Generator) -> None:
        self._text_noise[row].exponential_(generator=generator)
        self._audio_noise[row].exponential_(generator=generator)


def _rounded_up(places: int) -> int:
    return -(-places // FILLED_STEP) * FILLED_STEP

"""An engine whose models hang and fail as a test tells them to, and callers on it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import numpy as np

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.health import EngineState
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.speech_model import Answer, Persona, Preparation, PreparedPersona, Sampling
from personaplex_ui.engine.supervisor import Work
from personaplex_ui.engine.thread import ModelThread
from personaplex_ui.errors import PersonaplexError
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel
from tests.support.running import until

PERSONA = Persona("NATF2", "You enjoy having a good conversation.")


def frame(value: float) -> Frame:
    return np.full(1920, value, dtype=np.float32)


class Model(FakeModel):
    """``hang`` and ``fail``: the names of methods that do. What hangs goes on when ``awake`` is set."""

    def __init__(self, *hang: str) -> None:
        super().__init__()
        self.hang = set(hang)
        self.fail: dict[str, BaseException] = {}
        self.bad_slots: set[int] = set()
        self.awake = threading.Event()
        self.recovered = 0
        self.after_waking = 0

    def _do(self, name: str) -> None:
        if name in self.hang:
            self.awake.wait(20)
            self.after_waking += 1
        if name in self.fail:
            raise self.fail[name]

    def prepare(self, persona: Persona) -> Preparation:
        self._do("begin")
        return super().prepare(persona)

    def do_chunk(self, persona: Persona) -> None:
        self._do("prepare")
        super().do_chunk(persona)

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        self._do("join")
        super().join(slot, persona, sampling)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        self._do("step")
        if self.bad_slots & set(heard):
            raise RuntimeError("a fault of one caller")
        return super().step(heard, riding)

    def leave(self, slot: int) -> None:
        self._do("leave")
        super().leave(slot)

    def recover(self) -> None:
        self.recovered += 1


class Listener:
    """A caller with a slot: what it is answered, and how its preparation went."""

    def __init__(self) -> None:
        self.slot: Slot
        self.answers: asyncio.Queue[Answer | PersonaplexError] = asyncio.Queue()
        self.progress: list[float] = []

    async def answer_to(self, value: float) -> float | PersonaplexError:
        """The answer to a frame of ``value``: of a model that is well, ``value`` again."""
        self.slot.hear(frame(value))
        answer = await self.answers.get()
        return float(answer.frame[0]) if isinstance(answer, Answer) else answer


class EngineRig:
    """``next_model``: makes the models as the engine loads them. ``clock``: else a test sets the time."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.clock = Clock(0.0)
        self.models: list[Model] = []
        self.next_model: Callable[[], Model] = Model
        self.engine = Engine(self.load, 4, clock=clock or self.clock, trial=PERSONA)

    def load(self, report: object) -> Model:
        self.models.append(self.next_model())
        return self.models[-1]

    @property
    def thread(self) -> ModelThread:
        return vars(self.engine)["_thread"]

    async def take(self, slot: int = 0, persona: Persona = PERSONA, paced: bool = False) -> Listener:
        listener = Listener()
        listener.slot = await self.engine.take_slot(
            slot, persona, Sampling(), listener.answers.put_nowait, listener.progress.append, paced
        )
        return listener

    async def is_in(self, work: Work) -> None:
        await until(lambda: self.thread.pulse.work is work)

    async def watch_for(self, sec: float) -> None:
        """Let the engine be watched for ``sec`` of its clock."""
        for _ in range(round(sec / 0.5)):
            self.clock.now += 0.5
            self.engine.look()
            await asyncio.sleep(0)

    async def ready(self) -> None:
        await until(lambda: self.engine.state is EngineState.READY)

    async def can_be_used(self) -> None:
        await self.ready()
        listener = await self.take()
        assert await listener.answer_to(7) == 7
        await listener.slot.leave()

    async def load_again(self) -> None:
        """Have the thread end, so that ``next_model`` is loaded in its place."""
        models = len(self.models)
        self.models[-1].fail = {"leave": SystemExit()}
        self.thread.commands.submit(lambda runner: runner.model.leave(0))
        await until(lambda: len(self.models) > models)
        await self.ready()

    async def close(self) -> None:
        for model in self.models:
            model.awake.set()
            model.going.set()
        await self.engine.close()


@asynccontextmanager
async def running_rig(
    clock: Callable[[], float] | None = None, next_model: Callable[[], Model] = Model
) -> AsyncGenerator[EngineRig]:
    """Its engine is ready."""
    rig = EngineRig(clock)
    rig.next_model = next_model
    await rig.engine.start()
    await rig.ready()
    yield rig
    await rig.close()


async def one_thread_is_left() -> None:
    await until(lambda: sum(thread.name == "engine" for thread in threading.enumerate()) == 1)

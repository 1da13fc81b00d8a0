"""A call whose assistant asks: filler, answer, apology, and each way in which the server can fail."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from personaplex_ui.audio.frames import silent_frame
from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.routing import router as sentences
from personaplex_ui.routing.counts import Outcome
from personaplex_ui.routing.router import AskOptions, Router
from personaplex_ui.speech.loading import Endpoint, Sources, SpeechParts
from tests.support.clock import Clock
from tests.support.running import running_engine, until
from tests.support.speech_parts import Scripted
from tests.support.talking_model import TalkingModel
from tests.unit.speech.replies.conftest import KEY, ChatServer, event, streamed

FACTS = "You work for City Bikes. A bike is $15 a day."
ROLE = f"{FACTS} Say !!! when you do not know."
FILLER = "Let me check that."
ASKED = " How much is a bike?"
OPTIONS = AskOptions(FILLER)
HONEST = "I don't have that here"


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.stop()


@dataclass
class Rig:
    model: TalkingModel
    router: Router
    call: ClipCall
    manager: CallManager

    async def ask(self, words: str = ASKED) -> None:
        """The caller says ``words``, and the assistant gives the cue."""
        await self.hear(words)
        self.cue()

    async def hear(self, words: str) -> None:
        if words:
            before = self.call.conversation.version
            self.model.hears.append(words)
            await until(lambda: self.call.conversation.version > before)

    def cue(self) -> None:
        self.model.pieces.extend([" Well", "!!", "!", *[""] * 4])

    async def asked(self) -> Outcome:
        """Wait for the end of one question, and tell how it went."""
        outcomes = self.router.counts.outcomes
        before = outcomes.copy()
        await until(lambda: outcomes != before and not self.router.is_asking(self.call))
        [outcome] = (outcomes - before).elements()
        return outcome

    @property
    def shown(self) -> str:
        return "".join(self.call.transcript.pieces)


@asynccontextmanager
async def rig(
    folder: Path, url: str = "", options: AskOptions = OPTIONS, model: TalkingModel | None = None
) -> AsyncGenerator[Rig]:
    """``url``: of the chat server; without one the local replier answers."""
    model = model or TalkingModel()
    speech = SpeechParts(Sources(2, llm=Endpoint(f"{url}", KEY, "small") if url else None))
    async with running_engine(model, 2, 2) as engine:
        manager = CallManager(engine, CallStore(folder, 3600, Clock()), 60, cues=Cues(ask=("!!!",)))
        router = Router(speech, options)
        manager.on_begin.append(router.attend)
        call = manager.open_clip(CallSettings(Persona("NATF2", ROLE)))
        await call.live.wait()
        pump = asyncio.create_task(_pump(call))
        try:
            yield Rig(model, router, call, manager)
        finally:
            call.hang_up("Done.")
            await asyncio.gather(pump, return_exceptions=True)
            await manager.close()
            speech.queue.close()


async def _pump(call: ClipCall) -> None:
    while not call.over.is_set():
        call.hear(silent_frame())
        await call.next_answer()
        await asyncio.sleep(0.001)


async def test_filler_then_the_answer_sentence_by_sentence(tmp_path: Path, chat_server: ChatServer) -> None:
    chat_server.script = (streamed("It is $15 a day. ", "A helmet is free!!!"),)
    async with rig(tmp_path, chat_server.url) as each:
        await each.hear(" Hello.")
        each.model.pieces.append(" Hi!")
        await each.ask()
        assert await each.asked() is Outcome.ANSWERED
        assert each.model.said == [FILLER, "It is $15 a day.", "A helmet is free"]
        await until(lambda: each.shown.endswith("is free"))
        assert each.shown == f" Hi! Well {FILLER} It is $15 a day. A helmet is free"
        assert not any(line.who.value == "typed" for line in each.call.conversation.lines)
        assert each.router.counts.asked == 1
    [request] = chat_server.requests
    assert FACTS in request["messages"][0]["content"]
    assert "Say !!!" not in request["messages"][0]["content"]
    assert request["messages"][-1]["role"] == "user"
    assert request["messages"][-1]["content"].endswith(ASKED)


async def test_facts_of_the_role_are_the_answer_without_a_server(tmp_path: Path) -> None:
    async with rig(tmp_path) as each:
        await each.ask()
        assert await each.asked() is Outcome.ANSWERED
        assert "$15" in each.model.said[-1]


async def test_a_second_cue_meanwhile_is_ignored_and_a_later_one_is_not(
    tmp_path: Path, chat_server: ChatServer
) -> None:
    hold = threading.Event()
    chat_server.script = (hold, streamed("Fine."))
    async with rig(tmp_path, chat_server.url) as each:
        await each.ask()
        await until(lambda: bool(chat_server.requests))
        each.cue()
        await until(lambda: not each.model.pieces)
        hold.set()
        assert await each.asked() is Outcome.ANSWERED
        await each.ask(" And a helmet?")
        assert await each.asked() is Outcome.ANSWERED
        assert each.router.counts.asked == 2
    assert len(chat_server.requests) == 2


async def test_a_slow_server_leads_to_an_apology(tmp_path: Path, chat_server: ChatServer) -> None:
    hold = threading.Event()
    chat_server.script = (hold,)
    async with rig(tmp_path, chat_server.url, AskOptions(FILLER, 0.4)) as each:
        await each.ask()
        assert await each.asked() is Outcome.TIMED_OUT
        assert each.model.said == [FILLER, sentences.TOO_SLOW]
        hold.set()
        await each.ask(" What about Sunday?")
        assert each.call.over.is_set() is False


async def test_without_words_of_the_caller_it_asks_to_say_them_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as each:
        await each.ask("")
        assert await each.asked() is Outcome.NO_WORDS
        assert each.model.said == [FILLER, sentences.NO_WORDS]
        await each.ask()
        assert await each.asked() is Outcome.ANSWERED
        await each.ask("")  # the same question is not answered twice
        assert await each.asked() is Outcome.NO_WORDS


HUGE = b": " + b"x" * 1_000 + b"\n"


@pytest.mark.parametrize(
    ("status", "kind", "script"),
    [
        (401, "application/json", (b"{}",)),
        (429, "application/json", (b"{}",)),
        (500, "text/plain", (b"broken",)),
        (200, "text/event-stream", (None,)),
        (200, "application/json", (b"[not json",)),
        (200, "text/html", (b"<h1>Hello!</h1>",)),
        (200, "text/event-stream", (HUGE * 1_000,) * 10),
        (200, "application/json", (b"x" * 10_000_000,)),
    ],
)
async def test_a_server_that_fails_gets_a_spoken_sentence(
    tmp_path: Path, chat_server: ChatServer, status: int, kind: str, script: tuple[bytes | None, ...]
) -> None:
    chat_server.status, chat_server.headers, chat_server.script = status, {"Content-Type": kind}, script
    async with rig(tmp_path, chat_server.url) as each:
        await each.ask(" What is the meaning of life?")
        await each.asked()
        assert len(each.model.said) == 2
        assert HONEST in each.model.said[1]
        assert not each.call.over.is_set()


async def test_a_server_that_is_down_and_an_answer_that_is_cut(
    tmp_path: Path, chat_server: ChatServer
) -> None:
    async with rig(tmp_path, "http://127.0.0.1:9/v1") as each:
        await each.ask()
        await each.asked()
        assert "$15" in each.model.said[1]
    chat_server.script = (event("It is $15. And a"), None)
    async with rig(tmp_path, chat_server.url) as each:
        await each.ask()
        assert await each.asked() is Outcome.ANSWERED
        assert each.model.said == [FILLER, "It is $15."]


async def test_nothing_goes_on_after_the_call(tmp_path: Path, chat_server: ChatServer) -> None:
    chat_server.script = (event("One. "), threading.Event())
    async with rig(tmp_path, chat_server.url) as each:
        await each.ask()
        await until(lambda: "One." in each.model.said)
        each.call.hang_up("Bye.")
        assert await each.asked() is Outcome.GIVEN_UP
        assert not each.router.is_asking(each.call)


async def test_what_is_not_begun_is_dropped_when_the_caller_takes_the_turn(
    tmp_path: Path, chat_server: ChatServer
) -> None:
    chat_server.script = (streamed("This is a rather long sentence to say. ", "Second. ", "Third."),)
    model = TalkingModel()
    async with rig(tmp_path, chat_server.url, AskOptions(""), model) as each:
        await each.hear(ASKED)
        model.silent = True
        each.cue()
        await until(lambda: len(model.said) == 1)
        began = each.call.elapsed_sec
        for number in range(10):
            each.call.conversation.hear_caller(began + 0.08 * number, -20.0)
        assert await each.asked() is Outcome.ANSWERED
        assert len(model.said) == 1


async def test_an_answer_without_end_is_cut(tmp_path: Path, chat_server: ChatServer) -> None:
    chat_server.script = (streamed(*[f"Number {number} is this. " for number in range(30)]),)
    async with rig(tmp_path, chat_server.url, AskOptions("")) as each:
        await each.ask()
        assert await each.asked() is Outcome.ANSWERED
        assert len(each.model.said) == sentences.MOST_SENTENCES


async def test_a_sentence_waits_for_room_among_the_texts(tmp_path: Path, chat_server: ChatServer) -> None:
    chat_server.script = (streamed("Fine."),)
    model = TalkingModel()
    model.most_waiting = 0
    async with rig(tmp_path, chat_server.url, model=model) as each:
        await each.ask()
        await until(lambda: bool(chat_server.requests))
        model.most_waiting = 10
        assert await each.asked() is Outcome.ANSWERED
        assert model.said == ["Fine."]


async def test_words_of_the_caller_are_in_no_log(
    tmp_path: Path, chat_server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    chat_server.script = (streamed("Fine."),)
    async with rig(tmp_path, chat_server.url) as each:
        await each.ask(" My pin is tomato.")
        await each.asked()
    told = [record.getMessage() for record in caplog.records]
    assert sum("answered after" in line for line in told) == 1
    assert not any("tomato" in line or "Fine" in line for line in told)


def test_metrics_have_all_outcomes() -> None:
    router = Router(SpeechParts(Sources(1)), AskOptions())
    names = {sample.labels.get("outcome") for metric in router.counts.collect() for sample in metric.samples}
    assert names == {None, *(outcome.value for outcome in Outcome)}


# Asked from outside ------------------------------------------------------------------------------------


async def test_what_the_caller_wrote_is_answered_without_a_filler(tmp_path: Path) -> None:
    async with rig(tmp_path) as each:
        at_sec = each.call.elapsed_sec
        each.call.hear_words(ASKED, at_sec, at_sec)
        assert not await each.call.read("How much is a bike?")  # this model takes in nothing but sound
        assert each.router.ask(each.call)
        assert not each.router.ask(each.call)  # one at a time
        assert await each.asked() is Outcome.ANSWERED
        assert FILLER not in each.model.said
        assert "$15" in each.model.said[-1]


async def test_a_call_may_have_a_replier_of_its_own(tmp_path: Path) -> None:
    own = Scripted(answers={"How much is a bike?": ("Twelve dollars.",)})
    async with rig(tmp_path) as each:
        each.router.answer_with(each.call, own)
        await each.ask()
        assert await each.asked() is Outcome.ANSWERED
        assert each.model.said[-1] == "Twelve dollars."
    assert len(own.asked) == 1

# pyright: basic, reportMissingImports=false
"""A Pipecat pipeline with its OpenAI Realtime service, and a ``Person`` at its ends. Runs in .venv-clients.

``pipecat_realtime.py URL FOLDER VOICE [FUNCTION]``: writes ``heard-1.wav``, and in ``told.json`` what the
pipeline got, by the names of Pipecat's frames. With FUNCTION the person says nothing, but the first message
of the context asks for the weather, which is a function of this client.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from tests.e2e.clients.person import Person, pcm_of, sound_of

RATE_HZ = 24_000
CHUNK_SAMPLES = 480
WITHIN_SEC = 45.0
TOLD = (
    ErrorFrame,
    TranscriptionFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)


class Ear(FrameProcessor):
    """Notes what passes it. ``person``: hears the sound."""

    def __init__(self, person: Person, told: list) -> None:
        super().__init__()
        self.person = person
        self.told = told

    async def process_frame(self, frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.person.hear(sound_of(frame.audio))
        elif isinstance(frame, TOLD):
            words = getattr(frame, "text", None) or getattr(frame, "error", None) or ""
            self.told.append([type(frame).__name__, str(words)])
        await self.push_frame(frame, direction)


async def talk(task: PipelineWorker, person: Person, is_silent: bool, done) -> None:
    due = time.monotonic()
    until = due + WITHIN_SEC
    while not done() and due < until:
        sound = bytes(2 * CHUNK_SAMPLES) if is_silent else pcm_of(person.say(CHUNK_SAMPLES))
        await task.queue_frame(InputAudioRawFrame(sound, RATE_HZ, 1))
        due += CHUNK_SAMPLES / RATE_HZ
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await task.queue_frame(EndFrame())


async def main(url: str, folder: Path, wants_function: bool) -> None:
    person, told = Person(RATE_HZ), []
    properties = events.SessionProperties(
        instructions="Ann of the bakery.",
        audio=events.AudioConfiguration(
            input=events.AudioInput(
                transcription=events.InputAudioTranscription(), turn_detection=events.TurnDetection()
            ),
            output=events.AudioOutput(voice=sys.argv[3]),
        ),
    )
    service = OpenAIRealtimeLLMService(
        api_key=os.environ.get("KEY", "none"),
        base_url=f"{url.replace('http', 'ws', 1)}/v1/realtime",
        settings=OpenAIRealtimeLLMService.Settings(session_properties=properties),
    )
    town = {"town": {"type": "string"}}
    weather = FunctionSchema("weather", "The weather in a town.", town, ["town"])
    asked: list[dict] = []

    async def look(params) -> None:
        asked.append(dict(params.arguments))
        await params.result_callback({"sky": "blue"})

    if wants_function:
        service.register_function("weather", look)
        messages = [{"role": "user", "content": "What is the weather in Rome?"}]
        context = LLMContext(messages, tools=ToolsSchema(standard_tools=[weather]))
    else:
        context = LLMContext([])
    turns = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    pair = LLMContextAggregatorPair(context, user_params=turns)
    pipeline = Pipeline([Ear(person, told), pair.user(), service, Ear(person, told), pair.assistant()])
    task = PipelineWorker(
        pipeline, params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    )
    await task.queue_frame(LLMRunFrame())

    def done() -> bool:
        return "blue" in json.dumps(told) if wants_function else person.done.is_set()

    async with asyncio.timeout(WITHIN_SEC + 15):
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(task)
        await asyncio.gather(runner.run(), talk(task, person, wants_function, done))
    person.keep(folder / "heard-1.wav")
    (folder / "told.json").write_text(json.dumps({"told": told, "asked": asked}))


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), len(sys.argv) > 4))

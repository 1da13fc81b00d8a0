"""The routes of ``/api/v1``: they read, admit and answer requests, and hand the work to ``conversation``."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as AnyHttpException
from starlette.requests import HTTPConnection

from personaplex_ui.channels.rest import api_responses as told
from personaplex_ui.channels.rest.admission import (
    ANSWERED,
    CANCELLED,
    FAILED,
    REFUSED,
    Admission,
    Admitted,
    ClientGone,
    unless_gone,
)
from personaplex_ui.channels.rest.bodies import json_object, sound_form
from personaplex_ui.channels.rest.conversation import Conversations
from personaplex_ui.channels.rest.events import EventStream
from personaplex_ui.channels.rest.kept_answers import KeptAnswers
from personaplex_ui.channels.rest.values import (
    TokenBudget,
    check_history,
    check_language,
    check_max_tokens,
    check_message,
)
from personaplex_ui.channels.rest.work import RequestWork
from personaplex_ui.errors import InvalidInput, NoFreeSlot, PersonaplexError, TooManyCalls
from personaplex_ui.speech.parts import Turn
from personaplex_ui.web.byte_ranges import RangeResponse
from personaplex_ui.web.error_answers import refusal
from personaplex_ui.web.security.visitors import VisitorOf

CLIENT_CLOSED_REQUEST = 499
PRIVATE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class RestApi:
    """``max_bytes``: of a sound file. ``address_of``: the client's address for limits; ``visitor_of``: whose
    minutes are used."""

    conversations: Conversations
    admission: Admission
    kept: KeptAnswers
    max_bytes: int
    address_of: Callable[[HTTPConnection], str]
    visitor_of: VisitorOf

    async def answer(
        self, endpoint: str, request: Request, work: Callable[[Admitted], Awaitable[Response]]
    ) -> Response:
        """What ``work`` answers to a request that is admitted, or why not. An ``EventStream`` closes what was
        admitted itself."""
        try:
            admitted = self.admission.admit(endpoint, self.address_of(request), self.visitor_of(request))
        except PersonaplexError as error:
            return refusal(error)
        streams = False
        try:
            response = await work(admitted)
            streams = isinstance(response, EventStream)
            admitted.outcome = CANCELLED if streams else ANSWERED  # until it is known
        except ClientGone:
            response = Response(status_code=CLIENT_CLOSED_REQUEST)
        except AnyHttpException:
            admitted.outcome = REFUSED
            raise
        except PersonaplexError as error:
            is_refused = isinstance(error, InvalidInput | NoFreeSlot | TooManyCalls)
            admitted.outcome = REFUSED if is_refused else FAILED
            response = refusal(error)
        except Exception:
            admitted.outcome = FAILED
            raise
        finally:
            if not streams:
                await admitted.close()
        return response

    async def transcribe(self, request: Request) -> Response:
        """The words in a recording. `duration`: seconds of sound."""

        async def work(admitted: Admitted) -> Response:
            async with sound_form(request, self.max_bytes) as form:
                language = check_language(form.fields.get("language"))
                clip = await self.conversations.decode(form.sound)
            place = admitted.enter(clip.length_sec)

            async def transcribed() -> dict[str, Any]:
                await place.taken()
                began = time.monotonic()
                jobs = RequestWork(self.conversations.parts)
                admitted.spent_sec = clip.length_sec
                heard = await jobs.recognise(clip.samples, language)
                return {
                    "text": heard.text,
                    "language": heard.language,
                    "duration": round(clip.length_sec, 3),
                    "transcribe_time": round(time.monotonic() - began, 3),
                }

            return JSONResponse(await self._while_wanted(request, transcribed()))

        return await self.answer("transcribe", request, work)

    async def chat(self, request: Request) -> Response:
        """The answer to a message in words. The local replier takes facts from `text_prompt` alone, and says
        so where it has none."""

        async def work(admitted: Admitted) -> Response:
            asked = await json_object(request)
            message = check_message(asked.get("message"))
            turns = (*check_history(asked.get("conversation_history")), Turn("caller", message))
            budget = TokenBudget(check_max_tokens(asked.get("max_tokens")))
            role = self.conversations.role_of(asked.get("text_prompt"))
            place = admitted.enter()

            async def answered() -> dict[str, Any]:
                await place.taken()
                began = time.monotonic()
                jobs = RequestWork(self.conversations.parts, role)
                sentences = jobs.sentences(turns, budget)
                try:
                    response = " ".join([sentence async for sentence in sentences])
                finally:
                    admitted.spent_sec = time.monotonic() - began
                    await sentences.aclose()
                return {"response": response, "llm_time": round(admitted.spent_sec, 3)}

            return JSONResponse(await self._while_wanted(request, answered()))

        return await self.answer("chat", request, work)

    async def converse(self, request: Request) -> Response:
        """A recording is heard, answered, and the answer said. `times` are in seconds; the answer is said
        while more of it is found, so their sum may exceed `total`. The files are kept for an hour."""

        async def work(admitted: Admitted) -> Response:
            async with sound_form(request, self.max_bytes) as form:
                asked = self.conversations.read(form.fields)
                clip = await self.conversations.decode(form.sound)
            place = admitted.enter(clip.length_sec)
            whole = self.conversations.whole(asked, clip.samples, admitted, place)
            return JSONResponse(await self._while_wanted(request, whole))

        return await self.answer("conversation", request, work)

    async def converse_streamed(self, request: Request) -> Response:
        """Like `/api/v1/conversation`, told while it happens, as server-sent events with JSON: `waiting`
        (`place` in the queue), `user_text` (`text`, `language`, `transcribe_time`), `sentence` (`n`, `text`,
        `duration`, and its sound in `audio`, a WAV in base64), and either `done`, as there, or `error`
        (`detail`). Comments keep the connection alive. The work ends when the client goes."""

        async def work(admitted: Admitted) -> Response:
            async with sound_form(request, self.max_bytes) as form:
                asked = self.conversations.read(form.fields)
                clip = await self.conversations.decode(form.sound)
            place = admitted.enter(clip.length_sec)
            events = self.conversations.stream(asked, clip.samples, admitted, place)
            return EventStream(events, admitted.close, self.admission.calls.unless_closed)

        return await self.answer("stream", request, work)

    async def _while_wanted(self, request: Request, work: Any) -> Any:
        return await self.admission.calls.unless_closed(unless_gone(request, work))


def build_rest_router(api: RestApi) -> APIRouter:
    router = APIRouter(prefix="/api/v1")
    posts: tuple[tuple[str, Any, str, Any, Any], ...] = (
        ("/transcribe", api.transcribe, "Speech to text", told.TRANSCRIBE_BODY, told.TRANSCRIBED),
        ("/chat", api.chat, "Text to text", told.CHAT_BODY, told.CHATTED),
        ("/conversation", api.converse, "Speech to speech", told.TURN_BODY, told.CONVERSED),
        (
            "/conversation/stream",
            api.converse_streamed,
            "Speech to speech, sentence by sentence",
            told.TURN_BODY,
            told.STREAMED,
        ),
    )
    for path, answer, summary, body, responses in posts:
        router.add_api_route(
            path,
            answer,
            methods=["POST"],
            summary=summary,
            response_class=Response,
            openapi_extra=body,
            responses=responses,
        )
    _add_files(router, api.kept)
    return router


def _add_files(router: APIRouter, kept: KeptAnswers) -> None:
    @router.get(
        "/jobs/{job_id}/audio.wav",
        summary="The sound of an answer",
        response_class=Response,
        responses=told.file("audio/wav", told.GONE),
    )
    async def audio(job_id: str) -> Response:
        """24 kHz, mono. For whoever knows the id."""
        answer = kept.get(job_id)
        if answer is None:
            raise HTTPException(404, told.GONE)
        return RangeResponse(answer.audio, "audio/wav", PRIVATE)

    @router.get(
        "/jobs/{job_id}/video.mp4",
        summary="The video of an answer",
        response_class=Response,
        responses=told.file("video/mp4", told.GONE),
    )
    async def video(job_id: str) -> Response:
        """A face that says the answer: H.264, 25 pictures a second, and AAC."""
        answer = kept.get(job_id)
        if answer is None or answer.video is None:
            raise HTTPException(404, told.GONE)
        return RangeResponse(answer.video, "video/mp4", PRIVATE)

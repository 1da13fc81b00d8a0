"""The video of a visitor's ended call, which is made when it is first asked for."""

from fastapi import APIRouter, HTTPException, Request, Response

from personaplex_ui.channels.rest.api_responses import file
from personaplex_ui.channels.rest.films import Films
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.web.api_responses import NEEDS_VISITOR
from personaplex_ui.web.byte_ranges import RangeResponse
from personaplex_ui.web.call_routes import GONE
from personaplex_ui.web.error_answers import refusal
from personaplex_ui.web.security.session_cookie import session_key

RESPONSES = file(
    "video/mp4",
    GONE,
    e422="The call was too long for a video.",
    e503="The video is being made; see `Retry-After`.",
)


def build_call_video_router(films: Films) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/calls/{call_id}/face.mp4",
        summary="The video of a call of yours",
        response_class=Response,
        responses=RESPONSES,
        openapi_extra=NEEDS_VISITOR,
    )
    async def face(call_id: str, request: Request) -> Response:
        """A face that says what the assistant said: H.264, 25 pictures a second, and AAC. It is made on
        demand from the recording and kept as long. Only for the browser that made the call."""
        try:
            path = await films.of_call(session_key(request.cookies), call_id)
        except PersonaplexError as error:
            return refusal(error)
        if path is None:
            raise HTTPException(404, GONE)
        return RangeResponse(path, "video/mp4", download_name=f"personaplex-{call_id[:8]}.mp4", inline=True)

    return router

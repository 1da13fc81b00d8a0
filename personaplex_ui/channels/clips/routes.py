"""A few seconds of each voice over HTTP."""

from fastapi import APIRouter, HTTPException, Response

from personaplex_ui.channels.clips.preview import Previews
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.voices.library import VoiceLibrary
from personaplex_ui.web.api_responses import sound
from personaplex_ui.web.byte_ranges import RangeResponse


def build_preview_router(previews: Previews, voices: VoiceLibrary) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/voices/{name}/preview.wav",
        summary="A few seconds of one voice",
        response_class=Response,
        responses=sound(e404="There is no such voice.", e503="The model cannot speak now."),
    )
    async def preview(name: str) -> Response:
        try:
            wav = await previews.wav_of(name)
        except InvalidInput as error:
            raise HTTPException(404, str(error)) from error
        except PersonaplexError as error:
            raise HTTPException(503, str(error)) from error
        caching = "no-store" if voices.is_upload(name) else "max-age=3600"
        return RangeResponse(wav, "audio/wav", {"Cache-Control": caching})

    return router

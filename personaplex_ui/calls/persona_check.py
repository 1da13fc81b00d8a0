"""Checks a persona off the event loop, since a voice file that was just added has to be decoded first.

All checks share one thread, so that live calls lose no more than one core, and checks run in order. The
library keeps decoded voices, so a voice is decoded only once.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import NoFreeSlot

MOST_ASKERS = 256
"""Beyond this, nobody would wait long enough."""

TOO_MANY = "Too many calls are beginning at once. Please try again in a minute."

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="persona-check")
_askers = 0


async def check_persona_aside(model: SpeechModel, persona: Persona) -> None:
    """Run ``check_persona`` on a separate thread.

    Raises:
        InvalidInput: ``model`` cannot use the voice, or the role is too long for it.
        NoFreeSlot: too many checks are waiting.
    """
    global _askers
    if _askers >= MOST_ASKERS:
        raise NoFreeSlot(TOO_MANY)
    _askers += 1
    try:
        await asyncio.get_running_loop().run_in_executor(_thread, check_persona, model, persona)
    finally:
        _askers -= 1

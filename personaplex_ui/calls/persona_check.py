"""The check of a persona beside the event loop: a voice just dropped in has to be decoded first.

One thread for all who ask, so that live calls lose no more than one core to it, and askers keep their order.
Whoever asks for a voice that another asker had decoded finds it in the library.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import NoFreeSlot

MOST_ASKERS = 256
"""Beyond it nobody would wait long enough."""

TOO_MANY = "Too many calls are beginning at once. Please try again in a minute."

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="persona-check")
_askers = 0


async def check_persona_aside(model: SpeechModel, persona: Persona) -> None:
    """As ``check_persona``, on a thread of its own.

    Raises:
        InvalidInput: ``model`` cannot use the voice, or the role is too long for it.
        NoFreeSlot: too many ask at once.
    """
    global _askers
    if _askers >= MOST_ASKERS:
        raise NoFreeSlot(TOO_MANY)
    _askers += 1
    try:
        await asyncio.get_running_loop().run_in_executor(_thread, check_persona, model, persona)
    finally:
        _askers -= 1

"""Keeps one live call for its owner: the recording from its begin, and the call itself after its end."""

import asyncio
import logging
import time

from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.store import CallStore
from personaplex_ui.voices.library import shown_voice

log = logging.getLogger(__name__)


class CallKeeper:
    """Keeps nothing of a call without an ``owner``. The call begins with it."""

    def __init__(self, store: CallStore, writer: RecordingWriter, owner: str, call_id: str) -> None:
        self._store = store
        self._writer = writer
        self._owner = owner
        self._call_id = call_id
        self._started_at = time.time()

    def start_recording(self, settings: CallSettings) -> StereoRecording | None:
        """The recording of the call, if ``settings`` want one."""
        if not (settings.record and self._owner):
            return None
        voice, role = shown_voice(settings.persona.voice), settings.persona.text_prompt
        begun = asyncio.get_running_loop().run_in_executor(
            None, self._store.begin, self._owner, self._call_id, self._started_at, voice, role
        )
        begun.add_done_callback(_log_failure)
        return StereoRecording(self._store.recording_path(self._call_id), self._writer)

    async def keep(self, call: LiveCall, recorded: bool) -> None:
        """Store the call, which has ended."""
        if self._owner:
            ended = call.ended(self._started_at, recorded)
            await asyncio.to_thread(self._store.add, self._owner, ended)


def _log_failure(done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and done.exception() is not None:
        log.error("The store could not record that a call began.", exc_info=done.exception())

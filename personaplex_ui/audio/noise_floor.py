"""Tells speech from a noisy room by levels alone: speech stands out from what is always there."""

from personaplex_ui.audio.frames import FRAME_SEC

SPEECH_DBFS = -45.0
"""In a quiet room, sound above this is speech."""

SPEECH_OVER_NOISE_DB = 10.0
"""In a noisy room, speech must stand out this much."""

QUIET_ROOM_DBFS = -70.0


class NoiseFloor:
    """Follows the noise of a room, frame by frame."""

    def __init__(self) -> None:
        self._noise_dbfs = QUIET_ROOM_DBFS

    def is_speech(self, level_dbfs: float) -> bool:
        """Whether the next frame, of this level, is speech."""
        speech = level_dbfs > max(SPEECH_DBFS, self._noise_dbfs + SPEECH_OVER_NOISE_DB)
        # Falls at once, rises by 3 dB per second: speech hardly raises it, a fan that starts does. Noise
        # suppression sends zeros between words; they lower it only to the level of a quiet room.
        self._noise_dbfs = min(max(level_dbfs, QUIET_ROOM_DBFS), self._noise_dbfs + 3.0 * FRAME_SEC)
        return speech

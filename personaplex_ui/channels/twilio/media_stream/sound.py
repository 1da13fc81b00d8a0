"""The sound of one telephone call: mu-law at 8 kHz to float sound at 24 kHz, and back in pieces of 20 ms.

Converts bytes and samples, one stream in each direction; independent of messages and time.
"""

from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Frame, Samples
from personaplex_ui.audio.resample import Resampler

PHONE_HZ = 8_000
CHUNK_BYTES = 160
"""20 ms."""


class PhoneSound:
    """The converter of one call. Keep it for the whole call, since both resamplers keep state."""

    def __init__(self) -> None:
        self._to_model = Resampler(PHONE_HZ, SAMPLE_RATE_HZ)
        self._to_phone = Resampler(SAMPLE_RATE_HZ, PHONE_HZ)
        self._rest: bytes | None = None

    def receive(self, payload: bytes) -> Samples:
        """The caller's ``payload`` as samples ``[n]`` at 24 kHz; the resampler holds back 2 ms."""
        return self._to_model.push(mu_law.decode(payload))

    def send(self, frame: Frame) -> list[bytes]:
        """The assistant's ``frame`` as pieces of exactly 160 bytes.

        The resampler returns 2 ms less for the first frame. Silence fills the gap, so that every frame makes
        exactly four pieces.
        """
        sound = mu_law.encode(self._to_phone.push(frame))
        if self._rest is None:
            self._rest = bytes([mu_law.SILENT_CODE]) * (-len(sound) % CHUNK_BYTES)
        sound = self._rest + sound
        whole = len(sound) - len(sound) % CHUNK_BYTES
        self._rest = sound[whole:]
        return [sound[start : start + CHUNK_BYTES] for start in range(0, whole, CHUNK_BYTES)]


def seconds_of(payload: bytes) -> float:
    return len(payload) / PHONE_HZ

"""Changes the sample rate of a stream of sound without a seam between its chunks.

Each instance serves one stream in one direction; two directions, or two calls, need two.
"""

import av
import numpy as np

from personaplex_ui.audio.frames import Samples


class Resampler:
    """Mono float32 at ``from_hz`` in, the same sound at ``to_hz`` out.

    The filter holds back the last few samples until the next chunk (2 ms at 8 kHz <-> 24 kHz), so a chunk may
    yield slightly less than its length. Over the stream nothing is lost or shifted: chunks of any size yield
    exactly what one push of the whole yields, aligned with the input. Measured: 84 dB SNR or better for a
    tone, 8 kHz <-> 24 kHz.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._flushed = False
        self._resampler: av.AudioResampler | None = None
        if from_hz != to_hz:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=to_hz)

    def push(self, samples: Samples) -> Samples:
        """Take samples ``[n]`` at ``from_hz`` and return what is ready, ``[m]`` at ``to_hz``."""
        assert not self._flushed, "the stream has ended"
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        if self._resampler is None or len(samples) == 0:
            return samples
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="flt", layout="mono")
        frame.sample_rate = self.from_hz
        return _joined(self._resampler.resample(frame))

    def flush(self) -> Samples:
        """End the stream and return the samples still held back. Nothing can be pushed afterwards."""
        ended, self._flushed = self._flushed, True
        if self._resampler is None or ended:
            return np.zeros(0, dtype=np.float32)
        return _joined(self._resampler.resample(None))


def _joined(frames: list[av.AudioFrame]) -> Samples:
    parts = [frame.to_ndarray().reshape(-1).astype(np.float32, copy=False) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

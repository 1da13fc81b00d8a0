"""Somebody who talks on a telephone: speech of 24 kHz into a Twilio stream, and the answers back out of it.

The sound has what a telephone line leaves of it: 300 to 3,400 Hz, mu-law, 8,000 samples a second.
"""

import asyncio

import numpy as np

from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.audio.resample import Resampler
from tests.support.clients.twilio import TwilioPeer

PHONE_HZ = 8_000
LINE_HZ = (300.0, 3_400.0)
SPEECH_DBFS = -40.0
PIECE_SEC = 0.2
QUIET_SEC = 2.0
"""Longer than any pause between the sentences of an answer."""


async def ask(peer: TwilioPeer, question: Samples, answered_within_sec: float = 25.0) -> Samples:
    """Say ``question`` (24 kHz), and listen until the answer is over; returns the answer, at 24 kHz."""
    await peer.say(on_the_line(question))
    return await listen(peer, answered_within_sec)


async def listen(peer: TwilioPeer, within_sec: float = 25.0) -> Samples:
    """Say nothing until the other side has said something, and then nothing for a while."""
    begun, quiet_sec, spoke = len(peer.played), 0.0, False
    async with asyncio.timeout(within_sec):
        while not spoke or quiet_sec < QUIET_SEC:
            await peer.listen_for(PIECE_SEC)
            newest = mu_law.decode(bytes(peer.played[-round(PIECE_SEC * PHONE_HZ) :]))
            loud = rms_dbfs(newest) > SPEECH_DBFS
            spoke, quiet_sec = spoke or loud, 0.0 if loud else quiet_sec + PIECE_SEC
    return Resampler(PHONE_HZ, SAMPLE_RATE_HZ).push(mu_law.decode(bytes(peer.played[begun:])))


def on_the_line(sound: Samples) -> bytes:
    """As mu-law, with the band of a telephone line."""
    spectrum = np.fft.rfft(sound)
    pitches_hz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ)
    spectrum[(pitches_hz < LINE_HZ[0]) | (pitches_hz > LINE_HZ[1])] = 0
    band = np.fft.irfft(spectrum, len(sound)).astype(np.float32)
    return mu_law.encode(Resampler(SAMPLE_RATE_HZ, PHONE_HZ).push(band))

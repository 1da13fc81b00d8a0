"""How long the echo engine takes by itself: stepped frame by frame without waiting, and without an app around
it."""

import statistics

from benchmarks.soak.listening import Listening
from benchmarks.soak.speaking import Speaker
from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ, FrameCutter
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.models.echo.model import EchoModel

PACKET_SEC = 0.02
LISTENED_SEC = 30.0


def delay_alone(voice: str, skipped_samples: int = 0) -> float:
    """From the last loud sample of an utterance to the first one of the echo: the median, in seconds.

    A frame is answered the moment it is complete, and its answer is heard from then on. ``skipped_samples``
    at the beginning move the boundaries of the frames.
    """
    model = EchoModel(1, greeting="")
    model.join(0, complete(model.prepare(Persona(voice, ""))), Sampling(seed=1))
    speaker, listening, cutter = Speaker(SAMPLE_RATE_HZ, PACKET_SEC, seed=1), Listening(), FrameCutter()
    cutter.skip(skipped_samples)
    speaker.talk()
    frames = 0
    for number in range(round(LISTENED_SEC / PACKET_SEC)):
        spoken = speaker.next_packet()
        if spoken.quiet_since_sec is not None:
            listening.expect((number + 1) * PACKET_SEC - spoken.quiet_since_sec)
        for frame in cutter.cut(spoken.samples):
            frames += 1
            complete_at = frames * FRAME_SEC + skipped_samples / SAMPLE_RATE_HZ
            listening.hear(complete_at, model.step({0: frame})[0].frame, SAMPLE_RATE_HZ)
    return statistics.median(answer.delay_sec for answer in listening.answers)

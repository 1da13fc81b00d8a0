"""PersonaPlex on a Space with ZeroGPU hardware, which lends a GPU to one decorated function at a time.

The function runs in a process forked from this one, which may be reused for later clips, so data that arrived
after the fork, such as a visitor's recording, has to be passed along. Source: the ``spaces`` package, 0.51.
"""

import os

import spaces
from gradio.exceptions import Error as GradioError
from spaces import zero
from spaces.config import Config

from personaplex_ui.audio.frames import FRAMES_PER_SEC, SAMPLE_RATE_HZ, Samples
from personaplex_ui.engine.clip_batch import Clip
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.models.personaplex.clip_batch import answer_clips
from personaplex_ui.models.personaplex.model import PersonaPlexModel

NO_LIVE_CALLS = (
    "This Space runs on ZeroGPU, which lends a GPU for one clip at a time, so live calls are not possible "
    "here. Send a recording to the API's /converse, or duplicate the Space and choose an L4 as its hardware."
)

WAKE_SEC = 25.0
"""To move the weights to a GPU and prepare the persona."""

FRAME_SEC = 0.04
"""Upper bound per frame on an H200: a quarter is computation, the rest launches of many small kernels."""

LONGEST_SEC = 300

Pieces = tuple[tuple[int, str], ...]


def gpu_sec(samples: Samples, persona: Persona, sampling: Sampling, recording: Samples | None) -> int:
    """The requested GPU time, which counts against the visitor's quota."""
    return min(LONGEST_SEC, round(WAKE_SEC + len(samples) / SAMPLE_RATE_HZ * FRAMES_PER_SEC * FRAME_SEC))


class ZeroGpuModel(PersonaPlexModel):
    """See ``OfflineModel``."""

    def begin(self) -> None:
        """Call once, after all weights are in place; the platform then takes them over."""
        home = os.getpid()

        def answer_clip(
            samples: Samples, persona: Persona, sampling: Sampling, recording: Samples | None
        ) -> tuple[Samples, Pieces]:
            is_elsewhere = os.getpid() != home
            if is_elsewhere and recording is not None:
                self.voices.put_upload(persona.voice, recording)
            try:
                [answer] = answer_clips(self, [Clip(samples, persona, sampling)])
            finally:
                if is_elsewhere and recording is not None:
                    self.voices.forget_upload(persona.voice)
                    self.forget_lost_voices()
            return answer.samples, answer.pieces

        # The arguments are sent to the other process, which already has the model.
        self._answer_clip = spaces.GPU(duration=gpu_sec)(answer_clip)
        if Config.zero_gpu:
            zero.startup()  # usually called by gr.Blocks.launch, which this app does not use

    def answer_clip(self, samples: Samples, persona: Persona, sampling: Sampling) -> tuple[Samples, Pieces]:
        self.prompt_size(persona).check()  # a role that does not fit costs no quota
        voice = persona.voice
        recording = self.voices.recording(voice) if self.voices.is_upload(voice) else None
        try:
            return self._answer_clip(samples, persona, sampling, recording)
        except GradioError as error:  # from the platform, for example when the quota is used up
            raise EngineUnavailable(error.message) from error

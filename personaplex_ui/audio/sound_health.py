"""Whether what an assistant says could be speech, and whether it answers at all, judged while a call goes on.

It warns of what a broken model, codec or buffer does to sound, and never of what is merely said badly. Each
limit says why it is where it is. None of these comes near to one: 25 s of recorded speech, also as over a
telephone, notes held for 2 s, keys of a telephone, and music whose notes vary.
"""

import enum
from collections import deque

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame
from personaplex_ui.audio.loops import LoopFinder
from personaplex_ui.audio.noise_floor import NoiseFloor
from personaplex_ui.audio.sound_measure import FrameMeasure, measure


class SoundFault(enum.Enum):
    """``BROKEN``: samples are no numbers."""

    REPEATS = "repeats"
    NOISE = "noise"
    CLIPPED = "clipped"
    SILENT = "silent"
    BROKEN = "broken"


FLAT = 0.4
"""Flatness of noise, from 0 (a tone) to 0.56 (white noise). Speech has a median of 0.001 to 0.05."""

REPEATS_FRAMES = 60
"""4.8 s. A note that is sung or a key that is held repeats itself, too, but for 2 s or so."""

WINDOW_FRAMES = 36
"""2.9 s, over which noise and clipping are judged: no hiss of a voice lasts as long."""

MOSTLY = 0.9
"""Share of a window's frames that must be loud noise."""

CLIPPED_SHARE = 0.01
"""Of the samples in a window of loud frames: audible all the time. Speech that is 10 dB too loud has 0.1%."""

ASKED_FRAMES = 12
"""1 s of a caller's speech since the assistant last said something is more than a cough or a yes."""

UNANSWERED_FRAMES = 125
"""10 s in which both are silent after the caller spoke. Assistants answer within 1 to 3 s, and people who
think aloud do not wait so long."""

FALLS_SILENT_DB = 10.0
"""A caller is silent whose level has fallen by so much. A fan that is switched on, and music on hold, may
pass for speech at first, but go on as loud."""

SAID_FRAMES = 3
"""As many loud frames in a row are an answer; fewer may be a breath."""


class SoundHealth:
    """Of one call, which has a frame of the caller for each of the assistant's, more or less. ``hear`` and
    ``hear_caller`` take 0.05 ms a frame together; 30 KB are kept."""

    def __init__(self) -> None:
        self.faults: dict[SoundFault, None] = {}
        """What was found so far, each once, in the order in which it was found."""
        self._loops = LoopFinder()
        self._window = deque[FrameMeasure](maxlen=WINDOW_FRAMES)
        self._loud_clipped = deque[int](maxlen=WINDOW_FRAMES)
        self._answering = _Answering()

    def hear(self, frame: Frame) -> None:
        """The assistant's next frame, shape ``[1920]``."""
        sound = measure(frame)
        self._answering.assistant_said(sound.is_loud)
        self._window.append(sound)
        self._note(SoundFault.BROKEN, sound.is_broken)
        self._note(SoundFault.REPEATS, self._loops.hear(sound) >= REPEATS_FRAMES)
        if not sound.is_loud:
            return
        self._loud_clipped.append(sound.clipped_samples)
        noisy = sum(each.is_loud and each.flatness > FLAT for each in self._window)
        self._note(SoundFault.NOISE, noisy >= MOSTLY * WINDOW_FRAMES)
        clipped = sum(self._loud_clipped)
        whole = len(self._loud_clipped) == WINDOW_FRAMES
        self._note(SoundFault.CLIPPED, whole and clipped > CLIPPED_SHARE * WINDOW_FRAMES * FRAME_SAMPLES)

    def hear_caller(self, level_dbfs: float) -> bool:
        """The level of the caller's next frame. Returns whether it is speech that goes on."""
        self._note(SoundFault.SILENT, self._answering.caller_said(level_dbfs))
        return self._answering.caller_speaks

    def note(self, fault: SoundFault) -> None:
        """Something else found it."""
        self._note(fault, True)

    def _note(self, fault: SoundFault, found: bool) -> None:
        if found:
            self.faults.setdefault(fault)


class _Answering:
    """Whether the assistant answers."""

    def __init__(self) -> None:
        self.caller_speaks = False
        self._floor = NoiseFloor()
        self._speech_frames = 0
        """In a row."""
        self._asked_frames = 0
        """Frames of the caller's speech since the assistant last spoke."""
        self._speech_dbfs = 0.0
        """The mean level of that, newer frames first."""
        self._silent_frames = 0
        self._loud_frames = 0

    def assistant_said(self, loud: bool) -> None:
        self._loud_frames = self._loud_frames + 1 if loud else 0
        if self._loud_frames >= SAID_FRAMES:
            self._asked_frames = self._silent_frames = 0

    def caller_said(self, level_dbfs: float) -> bool:
        """Whether the caller has now waited too long for an answer."""
        speech = self._floor.is_speech(level_dbfs)
        self._speech_frames = self._speech_frames + 1 if speech else 0
        self.caller_speaks = self._speech_frames >= SAID_FRAMES
        self._asked_frames += speech
        if speech:
            self._speech_dbfs += (level_dbfs - self._speech_dbfs) / min(self._asked_frames, ASKED_FRAMES)
        silent = not speech and level_dbfs < self._speech_dbfs - FALLS_SILENT_DB
        self._silent_frames = self._silent_frames + 1 if silent else 0
        return self._asked_frames >= ASKED_FRAMES and self._silent_frames >= UNANSWERED_FRAMES

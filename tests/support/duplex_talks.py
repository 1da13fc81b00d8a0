"""Conversations made up move by move, with what a duplex report has to say of them, and their sound.

Who speaks when is known to the sample, and what a move is (an answer, an interruption, ...) is written down
as it is made, not found out afterwards.
"""

from dataclasses import dataclass, field

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import Segment
from personaplex_ui.duplex.measure import Stereo

EDGE_SEC = 0.03
"""A voice begins and ends so softly."""

NOISE_DBFS = -55.0


@dataclass
class Talk:
    """``now`` is where the last thing said ended."""

    now: float = 0.0
    caller: list[Segment] = field(default_factory=list[Segment])
    assistant: list[Segment] = field(default_factory=list[Segment])
    overlaps: list[Segment] = field(default_factory=list[Segment])
    responses: list[Segment] = field(default_factory=list[Segment])
    stops: list[Segment] = field(default_factory=list[Segment])
    ignored: list[Segment] = field(default_factory=list[Segment])
    take_overs: list[Segment] = field(default_factory=list[Segment])
    talk_overs: list[Segment] = field(default_factory=list[Segment])
    backchannels: list[Segment] = field(default_factory=list[Segment])
    dead_air: list[Segment] = field(default_factory=list[Segment])

    def ask(self, sec: float, after_sec: float = 0.8) -> None:
        """The caller says something, when nobody speaks."""
        self.caller.append(self._next(sec, after_sec))

    def answer(self, gap_sec: float, sec: float) -> None:
        """The assistant answers."""
        self.responses.append(Segment(self.now, self.now + gap_sec))
        self.assistant.append(self._next(sec, gap_sec))

    def wait(self, sec: float) -> None:
        """Nobody speaks for over 2 s."""
        self.dead_air.append(Segment(self.now, self.now + sec))
        self.now += sec

    def interrupt(self, sec: float, latency_sec: float) -> None:
        """The caller speaks over the last words of the assistant, which go on for ``latency_sec``."""
        spoken = self.assistant.pop()
        start = spoken.end_sec
        self.assistant.append(Segment(spoken.start_sec, start + latency_sec))
        self.caller.append(Segment(start, start + sec))
        self.stops.append(Segment(start, start + latency_sec))
        self.overlaps.append(Segment(start, start + min(sec, latency_sec)))
        self.now = start + max(sec, latency_sec)

    def be_ignored(self, sec: float, goes_on_sec: float) -> None:
        """The caller speaks over the assistant, which goes on for long after it."""
        start = self._speak_over(sec, goes_on_sec)
        self.ignored.append(Segment(start, self.now))

    def hum_along(self, sec: float, goes_on_sec: float) -> None:
        """ "Mhm" of the caller to an assistant that goes on: no interruption."""
        self._speak_over(sec, goes_on_sec)

    def be_taken_over(self, pause_sec: float, late_sec: float, sec: float, stops_sec: float) -> None:
        """The caller, who has just spoken, pauses; the assistant begins ``late_sec`` before they go on, and
        falls silent ``stops_sec`` after that."""
        start, again = self.now + pause_sec, self.now + pause_sec + late_sec
        self.assistant.append(Segment(start, again + stops_sec))
        self.caller.append(Segment(again, again + sec))
        self.take_overs.append(Segment(start, again))
        self.overlaps.append(Segment(again, again + min(sec, stops_sec)))
        self.now = again + max(sec, stops_sec)

    def be_talked_over(self, before_end_sec: float, sec: float) -> None:
        """The assistant begins so long before the caller's end."""
        end = self.now
        self.assistant.append(Segment(end - before_end_sec, end - before_end_sec + sec))
        self.talk_overs.append(Segment(end - before_end_sec, end))
        self.overlaps.append(Segment(end - before_end_sec, end))
        self.now = end - before_end_sec + sec

    def be_heard(self, before_end_sec: float, sec: float) -> None:
        """ "Mhm" of the assistant while the caller speaks."""
        start = self.now - before_end_sec
        self.assistant.append(Segment(start, start + sec))
        self.backchannels.append(self.assistant[-1])
        self.overlaps.append(self.assistant[-1])

    def be_heard_in_pause(self, pause_sec: float, sec: float, again_sec: float) -> None:
        """ "Mhm" of the assistant in the caller's pause, who goes on right after it."""
        self.assistant.append(self._next(sec, pause_sec))
        self.backchannels.append(self.assistant[-1])
        self.caller.append(self._next(again_sec, pause_sec))

    def _next(self, sec: float, after_sec: float) -> Segment:
        start = self.now + after_sec
        self.now = start + sec
        return Segment(start, self.now)

    def _speak_over(self, sec: float, goes_on_sec: float) -> float:
        spoken = self.assistant.pop()
        start = spoken.end_sec
        self.now = start + sec + goes_on_sec
        self.assistant.append(Segment(spoken.start_sec, self.now))
        self.caller.append(Segment(start, start + sec))
        self.overlaps.append(self.caller[-1])
        return start


def sound_of(
    talk: Talk,
    seed: int = 1,
    caller_dbfs: float = -22.0,
    assistant_dbfs: float = -22.0,
    noise_dbfs: float = NOISE_DBFS,
    after_sec: float = 1.0,
) -> Stereo:
    """Both sides with a quiet room behind each, and ``after_sec`` of it at the end."""
    random = np.random.default_rng(seed)
    samples = round((talk.now + after_sec) * SAMPLE_RATE_HZ)
    sides: list[Samples] = []
    for spans, dbfs in ((talk.caller, caller_dbfs), (talk.assistant, assistant_dbfs)):
        side = 10 ** (noise_dbfs / 20) * random.standard_normal(samples, np.float32)
        for span in spans:
            first = round(span.start_sec * SAMPLE_RATE_HZ)
            spoken = voice(round(span.end_sec * SAMPLE_RATE_HZ) - first, dbfs, random)
            side[first : first + len(spoken)] += spoken
        sides.append(side)
    return np.stack(sides, axis=1).astype(np.float32)


def voice(samples: int, dbfs: float, random: np.random.Generator) -> Samples:
    """Noise and a pitch with overtones, by turns, in syllables; it fades in and out."""
    time_sec = np.arange(samples) / SAMPLE_RATE_HZ
    pitch_hz = random.uniform(95, 220) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.3, 1.5) * time_sec))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    tones = sum(np.sin(n * phase) / n for n in range(1, 18))
    hiss = np.diff(random.standard_normal(samples + 1))
    hissing = np.convolve(random.random(samples // 4_800 + 3) < 0.3, [1.0], mode="same")
    share = np.interp(time_sec, np.arange(len(hissing)) * 0.2, hissing)
    sound = tones * (1 - share) + hiss * share
    syllables_hz = random.uniform(3.0, 5.0)
    sound *= 10 ** (-0.35 * (1 - np.cos(2 * np.pi * syllables_hz * time_sec)) / 2)  # dips of 7 dB
    sound *= 10 ** (dbfs / 20) / np.sqrt(np.mean(sound**2))
    edge = min(round(EDGE_SEC * SAMPLE_RATE_HZ), samples // 2)
    fade = np.sin(np.linspace(0, np.pi / 2, edge)) ** 2
    sound[:edge] *= fade
    sound[samples - edge :] *= fade[::-1]
    return sound.astype(np.float32)


def random_talk(random: np.random.Generator, moves: int) -> Talk:
    """Any order of moves that can follow each other. Times keep away from the limits of definitions."""

    def between(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    talk = Talk()
    talk.now = 0.5
    for _ in range(moves):
        talk.ask(between(1.2, 4.0), between(0.8, 1.6))
        before = int(random.integers(0, 4))
        match before:
            case 0:
                talk.be_heard(between(0.8, 1.0), between(0.3, 0.5))
            case 1:
                talk.be_heard_in_pause(between(0.25, 0.4), between(0.3, 0.7), between(1.2, 2.0))
            case 2:
                talk.be_taken_over(
                    between(0.4, 1.5), between(0.3, 0.8), between(1.5, 2.5), between(0.75, 1.3)
                )
            case _:
                pass
        match int(random.integers(0, 5)):
            case 0 if before in (1, 3):  # else the assistant has hardly stopped
                talk.be_talked_over(between(0.25, 0.6), between(1.6, 3.0))
            case 1:
                talk.wait(between(2.2, 4.0))
                talk.responses.append(talk.dead_air[-1])
                talk.assistant.append(Segment(talk.now, talk.now + 1.5))
                talk.now += 1.5
            case _:
                talk.answer(between(0.6 if before == 2 else 0.1, 1.8), between(1.6, 3.0))
        match int(random.integers(0, 5)):
            case 0 | 1:
                talk.interrupt(between(1.2, 2.5), between(0.1, 2.0))
            case 2:
                talk.be_ignored(between(1.2, 2.0), between(1.2, 3.0))
            case 3:
                talk.hum_along(between(0.3, 0.8), between(1.2, 3.0))
            case _:
                pass
    return talk

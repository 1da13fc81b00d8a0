"""What can be seen of a call from outside, at one moment and after its end, as plain values."""

import enum
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from personaplex_ui.calls.transcript import Utterance


class Phase(enum.Enum):
    WAITING = "waiting"
    PREPARING = "preparing"
    LIVE = "live"
    ENDED = "ended"


class Transport(enum.StrEnum):
    """The channel by which a call came."""

    BROWSER = "browser"
    CLIP = "clip"
    MOSHI = "moshi"
    TWILIO = "twilio"
    FASTRTC_PHONE = "fastrtc_phone"


class End(enum.StrEnum):
    """Why a call ended, in kinds that can be counted; the sentence for the caller is ``Call.reason``.

    ``HUNG_UP``: by the caller, or a clip was over. ``LOST``: the caller's end went silent or did not read.
    """

    HUNG_UP = "hung_up"
    TIME_LIMIT = "time_limit"
    LOST = "lost"
    REFUSED = "refused"
    FAILED = "failed"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class PacketCounts:
    """The caller's packets, on a network that loses some. ``lost``: were not there in their turn; ``late``:
    those of them that came after all, and were dropped; ``concealed``: packets made up in their place."""

    lost: int = 0
    late: int = 0
    concealed: int = 0


@dataclass(frozen=True, slots=True)
class CallStats:
    """Counters of one call. ``dropped_heard``: the caller's frames the model never heard;
    ``dropped_said``: answers the caller never heard; ``lag_frames``: frames waiting on both ways now;
    ``*_packets``: see ``PacketCounts``, 0 where the wire loses nothing."""

    dropped_heard: int = 0
    dropped_said: int = 0
    lag_frames: int = 0
    lost_packets: int = 0
    late_packets: int = 0
    concealed_packets: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One call now. Levels are dBFS of the last frame, -100 for silence.

    ``place``: position in the queue, from 1, of ``waiting`` callers. ``preparing_progress`` in [0, 1].
    ``reason``: the sentence that tells why the call ended. ``notes``: sentences the caller should see
    (recording stopped, goodbye in 10 seconds).
    """

    call_id: str
    phase: Phase
    place: int = 0
    waiting: int = 0
    preparing_progress: float = 0.0
    elapsed_sec: float = 0.0
    max_sec: float = 0.0
    reason: str = ""
    notes: tuple[str, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    caller_level_dbfs: float = -100.0
    assistant_level_dbfs: float = -100.0
    stats: CallStats = CallStats()


@dataclass(frozen=True, slots=True)
class EndedCall:
    """What is kept of a call after its end.

    ``caller_levels_dbfs`` and ``assistant_levels_dbfs`` hold one value a frame (80 ms), on the same
    clock as the utterances and the recording. ``recorded`` tells whether a WAV of it can be fetched. In
    JSON two fields have the names that the first version gave them.
    """

    __pydantic_config__: ClassVar = ConfigDict(strict=True, allow_inf_nan=False)

    call_id: str
    started_at: float
    duration_sec: float
    voice: str
    reason: str
    notes: tuple[str, ...]
    utterances: Annotated[tuple[Utterance, ...], Field(alias="lines")]
    caller_levels_dbfs: tuple[float, ...]
    assistant_levels_dbfs: tuple[float, ...]
    recorded: bool = True
    stats: Annotated[CallStats, Field(alias="figures")] = CallStats()

    @property
    def ended_at(self) -> float:
        return self.started_at + self.duration_sec

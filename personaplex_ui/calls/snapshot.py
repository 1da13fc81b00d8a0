"""The public state of a call as plain values: during the call and after its end."""

import enum
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from personaplex_ui.calls.conversation_lines import Line
from personaplex_ui.calls.transcript import Utterance


class Phase(enum.Enum):
    WAITING = "waiting"
    PREPARING = "preparing"
    LIVE = "live"
    ENDED = "ended"


class Transport(enum.StrEnum):
    """The channel through which a call came in. ``BROWSER_WEBSOCKET``: the page, where UDP is blocked."""

    BROWSER = "browser"
    BROWSER_WEBSOCKET = "browser_websocket"
    CLIP = "clip"
    MOSHI = "moshi"
    REALTIME = "realtime"
    TWILIO = "twilio"
    FASTRTC_PHONE = "fastrtc_phone"


class End(enum.StrEnum):
    """Why a call ended, as a countable category; ``Call.reason`` is the sentence for the caller.

    ``HUNG_UP``: the caller hung up, or a clip ended. ``LOST``: the caller went silent or stopped reading.
    ``TRANSFERRED``: the caller was put through to a person.
    """

    HUNG_UP = "hung_up"
    TIME_LIMIT = "time_limit"
    LOST = "lost"
    REFUSED = "refused"
    FAILED = "failed"
    SHUTDOWN = "shutdown"
    TRANSFERRED = "transferred"


@dataclass(frozen=True, slots=True)
class PacketCounts:
    """The caller's packets on a network that may lose some. ``lost``: missing when they were due; ``late``:
    the lost ones that arrived later and were dropped; ``concealed``: packets synthesised in their place."""

    lost: int = 0
    late: int = 0
    concealed: int = 0


@dataclass(frozen=True, slots=True)
class CallStats:
    """Counters of one call. ``dropped_heard``: the caller's frames the model never heard; ``dropped_said``:
    answers the caller never heard; ``lag_frames``: frames now waiting in both directions; ``*_packets``: see
    ``PacketCounts``, 0 on networks without loss; ``dropped_utterances``: what the caller said whose words
    were not recognised in time, or could not be."""

    dropped_heard: int = 0
    dropped_said: int = 0
    lag_frames: int = 0
    lost_packets: int = 0
    late_packets: int = 0
    concealed_packets: int = 0
    dropped_utterances: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The present state of one call. Levels are dBFS of the last frame, -100 for silence.

    ``place``: position in the queue, from 1, of ``waiting`` callers. ``preparing_progress`` in [0, 1].
    ``reason``: a sentence that says why the call ended; ``end``: the same as a category. ``notes``: sentences
    the caller should see (recording stopped, goodbye in 10 seconds). ``lines_version``, ``answer_sec``: see
    ``Conversation``.
    """

    call_id: str
    phase: Phase
    place: int = 0
    waiting: int = 0
    preparing_progress: float = 0.0
    elapsed_sec: float = 0.0
    max_sec: float = 0.0
    reason: str = ""
    end: End | None = None
    notes: tuple[str, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    lines_version: int = 0
    answer_sec: float | None = None
    caller_level_dbfs: float = -100.0
    assistant_level_dbfs: float = -100.0
    stats: CallStats = CallStats()


@dataclass(frozen=True, slots=True)
class EndedCall:
    """The record of a call after its end.

    ``caller_levels_dbfs`` and ``assistant_levels_dbfs`` hold one value per frame (80 ms), on the same clock
    as the utterances and the recording. ``recorded``: whether its WAV file can be fetched. ``text_prompt``
    and ``lines`` (both sides) are empty in calls that earlier versions kept. In JSON, two fields keep the
    names of the first version, so the lines are called ``conversation`` there.
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
    text_prompt: str = ""
    lines: Annotated[tuple[Line, ...], Field(alias="conversation")] = ()

    @property
    def ended_at(self) -> float:
        return self.started_at + self.duration_sec

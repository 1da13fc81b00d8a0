"""The server's current state for the page's status view, as plain values without any caller's data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from personaplex_ui.audio.sound_health import SoundFault
from personaplex_ui.calls.captions import CaptionsReport
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.engine.reports import CapacityReport, RuntimeReport


@dataclass(frozen=True, slots=True)
class ServerStats:
    """``live``, ``ended``: numbers of calls. ``model`` and ``device`` are empty while none is loaded; the
    times are None before the first step. ``dropped_heard``: callers' frames that the model never heard;
    ``dropped_said``: answers that no caller heard; ``*_packets``: see ``PacketCounts``;
    ``dropped_utterances``: what callers said that got no words, though ``captions`` were to find them;
    ``sound_faults``: in how many calls what the assistant said had a fault."""

    state: EngineState
    message: str = ""
    model: str = ""
    device: str = ""
    slots: int = 0
    slots_free: int = 0
    waiting: int = 0
    live: Mapping[Transport, int] = field(default_factory=dict[Transport, int])
    ended: Mapping[End, int] = field(default_factory=dict[End, int])
    tick_mean_sec: float | None = None
    tick_p95_sec: float | None = None
    real_time_factor: float | None = None
    dropped_heard: int = 0
    dropped_said: int = 0
    lost_packets: int = 0
    late_packets: int = 0
    concealed_packets: int = 0
    uptime_sec: float = 0.0
    capacity: CapacityReport | None = None
    runtime: RuntimeReport | None = None
    captions: CaptionsReport = field(default_factory=CaptionsReport)
    dropped_utterances: int = 0
    sound_faults: Mapping[SoundFault, int] = field(default_factory=dict[SoundFault, int])

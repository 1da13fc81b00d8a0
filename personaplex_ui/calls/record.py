"""What is kept of one ended call as JSON: read with every value checked, written the same way.

The format is that of the files ``call-<id>.json`` of earlier versions, which are still read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from personaplex_ui.calls.snapshot import CallStats, EndedCall
from personaplex_ui.calls.transcript import Utterance

Finite = Annotated[float, Field(allow_inf_nan=False)]
_LEVELS = tuple(float(level) for level in range(-100, 101))


@dataclass(frozen=True, slots=True)
class KeptCall:
    """``owner_hash``: the SHA-256 of the owner's key, as hex; empty for a call that is nobody's."""

    owner_hash: str
    call: EndedCall


class CallRecord(BaseModel):
    """``recorded`` is missing: the disk knows."""

    model_config = ConfigDict(strict=True)

    format: Literal["personaplex_ui call 1"] = "personaplex_ui call 1"
    owner_sha256: str
    call_id: str
    started_at: Finite
    duration_sec: Finite
    voice: str
    reason: str
    notes: tuple[str, ...]
    lines: tuple[Utterance, ...]
    caller_levels_dbfs: tuple[Finite, ...]
    assistant_levels_dbfs: tuple[Finite, ...]
    figures: CallStats

    @classmethod
    def of(cls, kept: KeptCall) -> "CallRecord":
        call = kept.call
        return cls(
            owner_sha256=kept.owner_hash,
            **{name: getattr(call, name) for name in cls.model_fields if hasattr(call, name)},
        )

    def kept(self) -> KeptCall:
        values = {name: getattr(self, name) for name in EndedCall.__dataclass_fields__ if name != "recorded"}
        return KeptCall(self.owner_sha256, with_whole_levels(EndedCall(recorded=True, **values)))


def to_json(kept: KeptCall) -> str:
    return CallRecord.of(kept).model_dump_json()


def from_json(text: str | bytes) -> KeptCall:
    """``recorded`` is True. Raises ValueError: it is not what ``to_json`` writes."""
    return CallRecord.model_validate_json(text).kept()


def with_whole_levels(call: EndedCall) -> EndedCall:
    """Levels in [-100, 100] dBFS as floats that all calls share: 8 bytes a value instead of 32."""
    return replace(
        call,
        caller_levels_dbfs=_whole_db(call.caller_levels_dbfs),
        assistant_levels_dbfs=_whole_db(call.assistant_levels_dbfs),
    )


def _whole_db(levels: Iterable[float]) -> tuple[float, ...]:
    return tuple(_LEVELS[min(max(round(level), -100), 100) + 100] for level in levels)

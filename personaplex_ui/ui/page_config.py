"""What the page's modules know from the beginning: limits, voices and roles, as JSON in the page's head.

The HTML is built for each visitor, so voices dropped in since the start are included.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.ui.presets import PRESETS
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary

LANGUAGE = "It speaks English"
OWN_ROLE_ID = "own"
DROPPED_IN_ABOUT = "a voice of this server"


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Told on the page before a call. ``keep_sec``: how long recordings are kept. ``visitor_minutes``: of
    calls a day for each visitor, 0 for no limit. ``busy_call_sec``: the longest call while others wait, 0 for
    the same as ever. ``knows_role_only``: where no language model answers for the small models. ``several``:
    other servers at the same address may take a call that this one does not. ``browser_calls``: the way they
    take, ``webrtc`` or ``websocket``."""

    max_call_sec: float
    keep_sec: float
    visitor_minutes: float = 0.0
    busy_call_sec: float = 0.0
    knows_role_only: bool = True
    several: bool = False
    browser_calls: str = "webrtc"


def page_config(voices: VoiceLibrary, default_prompt: str, limits: CallLimits) -> dict[str, Any]:
    """A JSON object; PROTOCOLS.md does not promise it to anybody but the page."""
    role = next((preset.id for preset in PRESETS if preset.text_prompt == default_prompt), OWN_ROLE_ID)
    return {
        "maxCallSec": limits.max_call_sec,
        "keepSec": limits.keep_sec,
        "recordDefault": True,
        "language": LANGUAGE,
        "voices": described(voices.offered()),
        "defaultVoice": voices.default,
        "roles": roles(),
        "defaultRole": role,
        "defaultText": default_prompt,
        "samplingDefaults": {**asdict(Sampling()), "seed": ""},
        "visitorMinutes": limits.visitor_minutes,
        "busyCallSec": limits.busy_call_sec,
        "knowsRoleOnly": limits.knows_role_only,
        "several": limits.several,
        "browserCalls": limits.browser_calls,
    }


def described(voices: Sequence[Voice]) -> list[dict[str, Any]]:
    """Voices as the page shows them."""
    return [
        {
            "name": voice.name,
            "label": voice.person or voice.label,
            "group": voice.group,
            "about": voice.about or DROPPED_IN_ABOUT,
            "featured": voice.featured,
        }
        for voice in voices
    ]


def roles() -> list[dict[str, Any]]:
    """The presets as the page shows them."""
    return [
        {
            "id": preset.id,
            "title": preset.short,
            "fullTitle": preset.title,
            "headline": preset.headline,
            "subtitle": preset.subtitle,
            "group": preset.group,
            "text": preset.text_prompt,
            "initials": preset.initials,
            "featured": preset.featured,
            "suggestions": list(preset.suggestions),
        }
        for preset in PRESETS
    ]

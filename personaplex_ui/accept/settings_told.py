"""The settings in the report, without secrets."""

from pydantic import SecretStr

from personaplex_ui.config.settings import Settings

TOLD = [
    "engine",
    "hf_repo",
    "hf_revision",
    "hf_token",
    "device",
    "quantize",
    "kv_cache",
    "pin_persona",
    "cpu_offload",
    "max_calls",
    "persona_cache_mb",
    "voices_dir",
    "default_voice_prompt",
    "default_text_prompt",
]
"""Settings that change what is measured; the others only say who may call."""


def settings_told(settings: Settings) -> dict[str, str]:
    """By the names of their variables; secrets only as set or not."""
    values = ((name, getattr(settings, name)) for name in TOLD)
    return {name.upper(): _told(value) for name, value in values}


def _told(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set, not shown"
    return "not set" if value is None else "1" if value is True else "0" if value is False else str(value)

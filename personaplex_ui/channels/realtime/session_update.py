"""How ``session.update`` changes what a session is set to, in either dialect. Pure.

A field that is not known is left out of account: other servers' clients send some.
"""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from personaplex_ui.calls.settings import check_prompt, check_sampling
from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.items import Dialect, Json
from personaplex_ui.channels.realtime.session_config import SAMPLING, SessionConfig, TurnDetection, Voices
from personaplex_ui.channels.realtime.sound import BETA_FORMATS, Format
from personaplex_ui.channels.realtime.voice_names import OPENAI_VOICES, our_voice
from personaplex_ui.errors import InvalidInput

MOST_TOOLS = 64
MOST_TOOLS_CHARACTERS = 32_000
"""Of all tools as JSON."""

LONGEST_PAUSE_MS = 10_000
BETA_FIELDS = (
    "modalities",
    "voice",
    "input_audio_format",
    "output_audio_format",
    "input_audio_transcription",
    "turn_detection",
    "temperature",
    "max_response_output_tokens",
)
"""That a session of the beta has at its top."""


def dialect_of(values: Json) -> Dialect | None:
    """The one that a ``session.update`` is written in; None if it may be either."""
    if "type" in values or "audio" in values or "output_modalities" in values:
        return Dialect.GA
    return Dialect.BETA if any(name in values for name in BETA_FIELDS) else None


def updated(config: SessionConfig, values: Json, voices: Voices) -> SessionConfig:
    """``config`` with what ``values`` says, in whichever dialect.

    Raises:
        RealtimeFault: the first value that cannot be used; nothing is changed then.
    """
    if values.get("type") not in (None, "realtime"):
        raise RealtimeFault(
            "This server holds conversations only: session.type is realtime.", param="session.type"
        )
    audio = _part(values, "audio", "session")
    heard, said = (_part(audio, name, "session.audio") for name in ("input", "output"))
    changes: tuple[Callable[[SessionConfig], SessionConfig], ...] = (
        lambda now: _instructions(now, values),
        lambda now: _voice(now, values, "session", voices),
        lambda now: _voice(now, said, "session.audio.output", voices),
        lambda now: _formats(now, values, heard, said),
        lambda now: _transcription(now, values, heard),
        lambda now: _turns(now, values, "session"),
        lambda now: _turns(now, heard, "session.audio.input"),
        lambda now: _modalities(now, values),
        lambda now: _tools(now, values),
        lambda now: _sampling(now, values),
    )
    for change in changes:
        config = change(config)
    return config


def _instructions(config: SessionConfig, values: Json) -> SessionConfig:
    given = values.get("instructions")
    if given is None:
        return config
    if isinstance(given, dict):  # Unmute's clients send {"type": "constant", "text": ...}
        given = cast(Json, given).get("text") or ""
    return replace(config, instructions=_checked(lambda: check_prompt(given), "session.instructions"))


def _voice(config: SessionConfig, values: Json, where: str, voices: Voices) -> SessionConfig:
    given = values.get("voice")
    if given is None:
        return config
    if isinstance(given, dict):  # {"id": ...}: a voice of the client's own
        given = cast(Json, given).get("id")
    if isinstance(given, str):
        given = our_voice(given, voices.names(), voices.default)
    try:
        return replace(config, voice=voices.check(given))
    except InvalidInput as error:
        names = ", ".join([*voices.names()[:40], *OPENAI_VOICES])
        raise RealtimeFault(f"{error} There are: {names}.", param=f"{where}.voice") from None


def _formats(config: SessionConfig, values: Json, heard: Json, said: Json) -> SessionConfig:
    for old, part, where, field in (
        ("input_audio_format", heard, "session.audio.input", "input_format"),
        ("output_audio_format", said, "session.audio.output", "output_format"),
    ):
        given = values.get(old)
        if given is not None:
            if not isinstance(given, str) or given not in BETA_FORMATS:
                known = ", ".join(BETA_FORMATS)
                raise RealtimeFault(f"The format must be one of {known}.", param=f"session.{old}")
            config = replace(config, **{field: BETA_FORMATS[given]})
        if part.get("format") is not None:
            config = replace(config, **{field: _format(part, where)})
    return config


def _format(part: Json, where: str) -> Format:
    given = part["format"]
    if isinstance(given, str) and given in BETA_FORMATS:
        return BETA_FORMATS[given]
    told = _part(part, "format", where)
    kinds = {str(each): each for each in Format}
    kind = kinds.get(str(_or(told.get("type"), Format.PCM)))
    if kind is None:
        raise RealtimeFault(f"The format must be one of {', '.join(kinds)}.", param=f"{where}.format.type")
    if kind is Format.PCM and told.get("rate") not in (None, 24_000):
        raise RealtimeFault("PCM has a rate of 24000 here.", param=f"{where}.format.rate")
    return kind


def _transcription(config: SessionConfig, values: Json, heard: Json) -> SessionConfig:
    for part, name in ((values, "input_audio_transcription"), (heard, "transcription")):
        if name in part:
            config = replace(config, transcribes=part[name] is not None)
    return config


def _turns(config: SessionConfig, values: Json, where: str) -> SessionConfig:
    if "turn_detection" not in values:
        return config
    given, where = values["turn_detection"], f"{where}.turn_detection"
    if given is None or given is False:
        return replace(config, turn_detection=None)
    told: Json = cast(Json, given) if isinstance(given, dict) else {}
    kind = _or(told.get("type"), "server_vad")
    if kind == "none":
        return replace(config, turn_detection=None)
    if not isinstance(given, dict) or kind not in ("server_vad", "semantic_vad"):
        raise RealtimeFault("Turns are found by server_vad or semantic_vad, or null.", param=f"{where}.type")
    usual = TurnDetection()
    return replace(
        config,
        turn_detection=TurnDetection(
            str(kind),
            _number(told, "threshold", usual.threshold, 1.0, where),
            round(_number(told, "prefix_padding_ms", usual.padding_ms, LONGEST_PAUSE_MS, where)),
            round(_number(told, "silence_duration_ms", usual.silence_ms, LONGEST_PAUSE_MS, where)),
        ),
    )


def _modalities(config: SessionConfig, values: Json) -> SessionConfig:
    for name in ("modalities", "output_modalities"):
        given = values.get(name)
        if given is None:
            continue
        if (
            not isinstance(given, list)
            or not given
            or set(map(str, cast(list[object], given))) - {"text", "audio"}
        ):
            raise RealtimeFault("Answers come as audio or as text.", param=f"session.{name}")
        config = replace(config, sounds="audio" in given)
    return config


def _tools(config: SessionConfig, values: Json) -> SessionConfig:
    choice = values.get("tool_choice")
    if choice is not None:
        config = replace(config, tool_choice=choice if isinstance(choice, str) else "auto")
    given = values.get("tools")
    if given is None:
        return config
    where = "session.tools"
    if not isinstance(given, list) or len(cast(list[object], given)) > MOST_TOOLS:
        raise RealtimeFault(f"Tools are a list of at most {MOST_TOOLS} functions.", param=where)
    tools = tuple(_tool(tool, f"{where}[{number}]") for number, tool in enumerate(cast(list[object], given)))
    if _length_of(tools) > MOST_TOOLS_CHARACTERS:
        raise RealtimeFault(f"All tools together may have {MOST_TOOLS_CHARACTERS:,} characters.", param=where)
    return replace(config, tools=tools)


def _length_of(tools: tuple[Json, ...]) -> float:
    """As JSON; infinite for what is none, such as numbers that are infinite themselves."""
    try:
        return len(json.dumps(tools, allow_nan=False))
    except (ValueError, RecursionError):
        return math.inf


def _tool(given: object, where: str) -> Json:
    tool: Json = cast(Json, given) if isinstance(given, dict) else {}
    if tool.get("type") not in (None, "function"):
        raise RealtimeFault("Only functions can be called, no MCP servers.", param=f"{where}.type")
    name, description, parameters = (tool.get(key) for key in ("name", "description", "parameters"))
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        raise RealtimeFault("A function needs a name of at most 64 characters.", param=f"{where}.name")
    if not isinstance(parameters, dict | None) or not isinstance(description, str | None):
        raise RealtimeFault(
            "The description of a function is a text, and its parameters an object (JSON schema).",
            param=where,
        )
    nothing: Json = {"type": "object", "properties": {}}
    schema: Json = cast(Json, parameters) if parameters else nothing
    return {"type": "function", "name": name, "description": description or "", "parameters": schema}


def _sampling(config: SessionConfig, values: Json) -> SessionConfig:
    """What of our own ``extra`` has, and the beta's ``temperature``."""
    extra = _part(values, "extra", "session")
    # Null is a new seed for each call, and for the others as if they were absent.
    given = {
        each: extra[each]
        for each in SAMPLING
        if each in extra and (each == "seed" or extra[each] is not None)
    }
    where = "session.extra"
    if "temperature" in values and values["temperature"] is not None and "text_temperature" not in given:
        given["text_temperature"] = values["temperature"]
        where = "session"
    if not given:
        return config
    now = {name: getattr(config.sampling, name) for name in SAMPLING}
    try:
        return replace(config, sampling=check_sampling(**{**now, **given}))
    except InvalidInput as error:
        field = error.field if where == "session.extra" else "temperature"
        raise RealtimeFault(str(error), param=f"{where}.{field}") from None


# Values ------------------------------------------------------------------------------------------------


def _part(values: Json, name: str, where: str) -> Json:
    given = values.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RealtimeFault(f"{where}.{name} must be an object.", param=f"{where}.{name}")
    return cast(Json, given)


def _number(values: Json, name: str, usual: float, most: float, where: str) -> float:
    given = values.get(name)
    if given is None:
        return usual
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise RealtimeFault(f"{name} must be a number.", param=f"{where}.{name}")
    if not 0 <= given <= most:  # nor is NaN, or a whole number that no float can hold
        raise RealtimeFault(f"{name} must be from 0 to {most:g}.", param=f"{where}.{name}")
    return given


def _or(given: object, usual: object) -> object:
    """``usual`` also for null, which some clients write for what they leave out."""
    return usual if given is None else given


def _checked(check: Callable[[], str], where: str) -> str:
    try:
        return check()
    except InvalidInput as error:
        raise RealtimeFault(str(error), param=where) from None

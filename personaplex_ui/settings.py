"""What can be configured, as one frozen object made from a mapping of variables.

Knows names, defaults and allowed values; it reads neither the environment nor a file itself.
"""

import enum
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from personaplex_ui.errors import SettingsError
from personaplex_ui.voices.catalogue import canonical_voice_name

IceServer: TypeAlias = dict[str, str | list[str]]
"""One entry of ``RTCConfiguration.iceServers``, as browsers spell it."""


YES, NO = ("1", "true", "yes", "on", "t"), ("0", "false", "no", "off", "f")


class EngineChoice(enum.StrEnum):
    """``auto``: the model where there is a GPU for it, else the echo."""

    AUTO = "auto"
    ECHO = "echo"
    PERSONAPLEX = "personaplex"


class Quantize(enum.StrEnum):
    """``int8``: the weights of the layers take one byte each."""

    NONE = "none"
    INT8 = "int8"


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Secret:
    """A text that is masked wherever it is printed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "********"

    def __repr__(self) -> str:
        return "Secret('********')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is the variable of the same name in capitals; ``.env.example`` explains them."""

    engine: EngineChoice
    port: int
    host: str
    device: str
    hf_token: Secret | None
    hf_repo: str
    hf_revision: str | None
    cpu_offload: bool
    quantize: Quantize
    persona_cache_mb: int
    max_calls: int
    max_waiting: int
    max_call_seconds: int
    recordings_dir: Path
    recordings_keep_hours: float
    voices_dir: Path | None
    default_voice_prompt: str
    default_text_prompt: str
    max_upload_mb: int
    server_url: str | None
    turn_urls: tuple[str, ...]
    turn_username: str | None
    turn_credential: Secret | None
    space_id: str | None
    spaces_zero_gpu: bool
    log_level: LogLevel

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> "Settings":
        """Read and check every variable. One that is absent or empty has its default.

        Raises:
            SettingsError: a value cannot be used; the sentence names the variable and what is allowed.
        """
        given = _Given(mapping)
        settings = cls(
            engine=given.one_of("ENGINE", EngineChoice.AUTO),
            port=given.whole_number("PORT", 7860, 1, 65_535),
            host=given.text("HOST") or "0.0.0.0",
            device=given.matching(
                "DEVICE", "auto", r"auto|cpu|cuda(:[0-9]+)?", "auto, cpu, cuda, or one GPU, as in cuda:0"
            ),
            hf_token=given.secret("HF_TOKEN"),
            hf_repo=given.text("HF_REPO") or "nvidia/personaplex-7b-v1",
            hf_revision=given.text("HF_REVISION"),
            cpu_offload=given.yes_or_no("CPU_OFFLOAD"),
            quantize=given.one_of("QUANTIZE", Quantize.NONE),
            persona_cache_mb=given.whole_number("PERSONA_CACHE_MB", 512, 0, 1_000_000),
            max_calls=given.whole_number("MAX_CALLS", 4, 1, 64),
            max_waiting=given.whole_number("MAX_WAITING", 20, 0, 1_000),
            max_call_seconds=given.whole_number("MAX_CALL_SECONDS", 600, 15, 86_400),
            recordings_dir=Path(given.text("RECORDINGS_DIR") or "recordings"),
            recordings_keep_hours=given.positive_number("RECORDINGS_KEEP_HOURS", 24.0),
            voices_dir=Path(folder) if (folder := given.text("VOICES_DIR")) else None,
            default_voice_prompt=canonical_voice_name(
                given.matching("DEFAULT_VOICE_PROMPT", "NATF2", r"[^/\\]+", "a voice's name, as in NATF2")
            ),
            default_text_prompt=given.text("DEFAULT_TEXT_PROMPT") or "You enjoy having a good conversation.",
            max_upload_mb=given.whole_number("MAX_UPLOAD_MB", 64, 1, 4_096),
            server_url=given.https_url("SERVER_URL"),
            turn_urls=given.ice_urls("TURN_URLS"),
            turn_username=given.text("TURN_USERNAME"),
            turn_credential=given.secret("TURN_CREDENTIAL"),
            space_id=given.text("SPACE_ID"),
            spaces_zero_gpu=given.yes_or_no("SPACES_ZERO_GPU"),
            log_level=given.one_of("LOG_LEVEL", LogLevel.INFO),
        )
        # Without both, browsers refuse the whole configuration, and no call would come about.
        if any(url.startswith("turn") for url in settings.turn_urls) and not (
            settings.turn_username and settings.turn_credential
        ):
            raise SettingsError(
                "TURN_URLS names a TURN server, which needs TURN_USERNAME and TURN_CREDENTIAL."
            )
        return settings

    @property
    def ice_servers(self) -> list[IceServer]:
        """``iceServers`` of an ``RTCConfiguration``, the credential in clear; empty without TURN_URLS."""
        if not self.turn_urls:
            return []
        server: IceServer = {"urls": list(self.turn_urls)}
        if self.turn_username and self.turn_credential:
            server |= {"username": self.turn_username, "credential": self.turn_credential.reveal()}
        return [server]


_Choice = TypeVar("_Choice", bound=enum.StrEnum)


class _Given:
    """The mapping, read by kind of value. Spaces around a value do not count, and an empty one is None."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping

    def text(self, name: str) -> str | None:
        return self._mapping.get(name, "").strip() or None

    def secret(self, name: str) -> Secret | None:
        value = self.text(name)
        return Secret(value) if value else None

    def one_of(self, name: str, default: _Choice) -> _Choice:
        value = self.text(name) or default
        choices = type(default)
        try:
            return choices(value.lower())
        except ValueError:
            raise _refusal(name, value, "one of " + ", ".join(choices)) from None

    def matching(self, name: str, default: str, pattern: str, allowed: str) -> str:
        value = self.text(name) or default
        if not re.fullmatch(pattern, value):
            raise _refusal(name, value, allowed)
        return value

    def whole_number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            raise _refusal(name, value, f"a whole number from {least} to {most}")
        return number

    def yes_or_no(self, name: str) -> bool:
        value = (self.text(name) or "0").lower()
        if value not in (*YES, *NO):
            raise _refusal(name, value, "1 or 0")
        return value in YES

    def positive_number(self, name: str, default: float) -> float:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise _refusal(name, value, "a number above 0")
        return number

    def https_url(self, name: str) -> str | None:
        """The URL without a slash at its end, so that paths can be appended."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"https://[\w.-]+(:[0-9]+)?(/[^\s?#]*)?", value):
            raise _refusal(name, value, "the public address of this server, as in https://example.org")
        return value.rstrip("/")

    def ice_urls(self, name: str) -> tuple[str, ...]:
        urls = tuple(url.strip() for url in (self.text(name) or "").split(",") if url.strip())
        for url in urls:
            if not re.fullmatch(r"(turns?|stuns?):[^\s/]+", url):
                raise _refusal(
                    name, url, "a list of URLs, as in turn:example.org:3478, with commas between them"
                )
        return urls


def _refusal(name: str, value: str, allowed: str) -> SettingsError:
    return SettingsError(f"{name} is {value!r}, but it must be {allowed}.")

"""The configuration, as one frozen object made from a mapping of variables.

Defines names, defaults and allowed values; reads neither the environment nor a file itself.
"""

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from personaplex_ui.config.values import (
    MOST_CALLS,
    AnyCase,
    AskFiller,
    AskPhrases,
    CallCount,
    DeviceName,
    HttpsUrl,
    IceUrls,
    InstancePath,
    Networks,
    Origins,
    PhoneNumber,
    PositiveNumber,
    ServerUrl,
    Unusable,
    VoiceName,
    shown,
)
from personaplex_ui.errors import SettingsError

LOOPBACK = ("127.0.0.1", "::1")
PROXIES_OF_SPACES = (*LOOPBACK, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""A Space is reached only through proxies at private addresses."""


SHORTEST_CALL = 15
"""Seconds: a call ends with a goodbye of ten."""


LONGEST_DRAIN_SEC = 86_400
"""As long as the longest call."""


class EngineChoice(enum.StrEnum):
    """``auto``: PersonaPlex if there is a GPU for it, else the cascade, else the echo."""

    AUTO = "auto"
    CASCADE = "cascade"
    ECHO = "echo"
    PERSONAPLEX = "personaplex"

    @property
    def needs_no_gpu(self) -> bool:
        """Whether it is an engine of which a GPU would be of no use."""
        return self in (EngineChoice.CASCADE, EngineChoice.ECHO)


USUAL_CALLS = 4
"""Calls at once with ``MAX_CALLS=auto`` where nothing says how many a machine can take: on a CPU, and before
a model is loaded."""


class Quantize(enum.StrEnum):
    """``int8``: the weights of the layers take one byte each. ``auto``: where the GPU needs it for its
    calls."""

    AUTO = "auto"
    OFF = "off"
    INT8 = "int8"

    @classmethod
    def _missing_(cls, value: object) -> "Quantize | None":
        return cls.OFF if value == "none" else None  # its name in earlier versions

    @property
    def wanted(self) -> bool | None:
        """Whether int8 is wanted; None: auto."""
        return None if self is Quantize.AUTO else self is Quantize.INT8


class KvCache(enum.StrEnum):
    """Keys and values of the calls: ``bf16`` as the model computes, ``int8`` one byte each. ``auto``: int8
    where the GPU could serve fewer than four calls otherwise."""

    AUTO = "auto"
    BF16 = "bf16"
    INT8 = "int8"

    @property
    def wanted(self) -> bool | None:
        """Whether int8 is wanted; None: auto."""
        return None if self is KvCache.AUTO else self is KvCache.INT8


class CaptionsChoice(enum.StrEnum):
    """Who finds the words of callers. ``auto``: the engine where it hears words, else Whisper, in threads of
    its own. ``kyutai``: PersonaPlex, with Kyutai's speech recognition."""

    AUTO = "auto"
    WHISPER = "whisper"
    KYUTAI = "kyutai"
    OFF = "off"

    @property
    def of_personaplex(self) -> bool | None:
        """Whether PersonaPlex is to find them; None: where it can."""
        return None if self is CaptionsChoice.AUTO else self is CaptionsChoice.KYUTAI


class BrowserCalls(enum.StrEnum):
    """Which way the page's calls take at first. ``websocket``: where no UDP reaches the server."""

    WEBRTC = "webrtc"
    WEBSOCKET = "websocket"


class LogFormat(enum.StrEnum):
    """``json``: one object a line, for machines."""

    TEXT = "text"
    JSON = "json"


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Settings(BaseModel):
    """Each field is the variable of the same name in capitals; ``.env.example`` explains them."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=str.upper,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    engine: Annotated[EngineChoice, AnyCase] = EngineChoice.AUTO
    port: Annotated[int, Field(ge=1, le=65_535)] = 7860
    host: str = "0.0.0.0"
    device: DeviceName = "auto"
    hf_token: SecretStr | None = None
    hf_repo: str = "nvidia/personaplex-7b-v1"
    hf_revision: str | None = None
    captions_repo: str = "kyutai/stt-1b-en_fr"
    captions_revision: str | None = None
    cpu_offload: bool = False
    quantize: Annotated[Quantize, AnyCase] = Quantize.AUTO
    kv_cache: Annotated[KvCache, AnyCase] = KvCache.AUTO
    pin_persona: bool = True
    captions: Annotated[CaptionsChoice, AnyCase] = CaptionsChoice.AUTO
    llm_base_url: ServerUrl | None = None
    llm_api_key: SecretStr | None = None
    llm_model: str | None = None
    stt_base_url: ServerUrl | None = None
    stt_api_key: SecretStr | None = None
    stt_model: str | None = None
    tts_base_url: ServerUrl | None = None
    tts_api_key: SecretStr | None = None
    tts_model: str | None = None
    tts_voice: str | None = None
    speech_weights_dir: Path | None = None
    ask_phrases: AskPhrases = ("!!!",)
    ask_filler: AskFiller = "One moment, let me check."
    ask_seconds: Annotated[int, Field(ge=1, le=60)] = 8
    documents_dir: Path | None = None
    tools_file: Path | None = None
    persona_cache_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 512
    max_calls: CallCount = None
    max_waiting: Annotated[int, Field(ge=0, le=1_000)] = 20
    max_call_seconds: Annotated[int, Field(ge=SHORTEST_CALL, le=86_400)] = 600
    busy_call_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    visitor_minutes: Annotated[int, Field(ge=0, le=1_440)] = 0
    recordings_dir: Path = Path("recordings")
    recordings_keep_hours: PositiveNumber = 24.0
    voices_dir: Path | None = None
    default_voice_prompt: VoiceName = "NATF2"
    default_text_prompt: str = "You enjoy having a good conversation."
    max_upload_mb: Annotated[int, Field(ge=1, le=4_096)] = 64
    app_password: SecretStr | None = None
    api_key: SecretStr | None = None
    trusted_proxies: Networks = LOOPBACK
    allowed_origins: Origins = ()
    max_calls_per_address: Annotated[int, Field(ge=0, le=1_000)] = 3
    calls_per_minute: Annotated[int, Field(ge=0, le=10_000)] = 12
    upload_mb_per_hour: Annotated[int, Field(ge=0, le=1_000_000)] = 512
    server_url: HttpsUrl | None = None
    instance_path: InstancePath = ""
    drain_seconds: Annotated[int, Field(ge=0, le=LONGEST_DRAIN_SEC)] = 0
    static_path: Path | None = None
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_phone_number: PhoneNumber | None = None
    phone_personas: str | None = None
    phone_record: bool = False
    phone_announcement: str | None = None
    outbound_daily_limit: Annotated[int, Field(ge=0, le=100_000)] = 20
    human_number: str | None = None
    human_hours: str | None = None
    human_timezone: str = "UTC"
    human_phrases: str | None = None
    human_daily_limit: Annotated[int, Field(ge=0, le=100_000)] = 20
    fastrtc_phone: bool = False
    browser_calls: Annotated[BrowserCalls, AnyCase] = BrowserCalls.WEBRTC
    turn_urls: IceUrls = ()
    turn_username: str | None = None
    turn_credential: SecretStr | None = None
    space_id: str | None = None
    spaces_zero_gpu: bool = False
    log_level: Annotated[LogLevel, AnyCase] = LogLevel.INFO
    log_format: Annotated[LogFormat, AnyCase] = LogFormat.TEXT

    _tool_secrets: dict[str, SecretStr] = PrivateAttr(default_factory=dict[str, SecretStr])

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> "Settings":
        """Read and check every variable. Absent or empty ones get their default. White space around a value
        is ignored, as is a pair of quotes, which ``docker run --env-file`` keeps.

        Raises:
            SettingsError: values cannot be used; one sentence each names the variable and the allowed values.
        """
        names = {field.upper() for field in cls.model_fields} | {"SPACE_HOST"}
        given = {name: value for name in names if (value := bare(mapping.get(name, "")))}
        if host := given.pop("SPACE_HOST", None):
            given.setdefault("SERVER_URL", f"https://{host}")
        if "SPACE_ID" in given:
            given.setdefault("TRUSTED_PROXIES", ",".join(PROXIES_OF_SPACES))
        try:
            settings = cls.model_validate(given)
        except ValidationError as refused:
            errors = refused.errors(include_url=False)
            sentences = "\n".join(_sentence(given, error) for error in errors)
            raise SettingsError(sentences, _name_of(errors[0]) if len(errors) == 1 else "") from None
        settings._check_what_belongs_together()
        settings._tool_secrets.update(
            (name, SecretStr(value))
            for name in mapping
            if name.startswith("TOOL_") and (value := bare(mapping[name]))
        )
        return settings

    @property
    def tool_secrets(self) -> Mapping[str, SecretStr]:
        """All variables whose names begin with TOOL_, which the headers in TOOLS_FILE may hold."""
        return self._tool_secrets

    def _check_what_belongs_together(self) -> None:
        if self.busy_call_seconds and not SHORTEST_CALL <= self.busy_call_seconds <= self.max_call_seconds:
            allowed = (
                f"from {SHORTEST_CALL} to MAX_CALL_SECONDS ({self.max_call_seconds}), or 0 for no such limit"
            )
            raise SettingsError(
                f"BUSY_CALL_SECONDS is {self.busy_call_seconds}, but it must be {allowed}.",
                "BUSY_CALL_SECONDS",
            )
        # Without both, browsers refuse the whole configuration, and no call can start.
        if any(url.startswith("turn") for url in self.turn_urls) and not (
            self.turn_username and self.turn_credential
        ):
            needs = "TURN_URLS names a TURN server, which needs TURN_USERNAME and TURN_CREDENTIAL."
            raise SettingsError(needs, "TURN_URLS")
        if self.twilio_account_sid and not self.twilio_auth_token:
            where = "both are on the first page of Twilio's console."
            raise SettingsError(f"TWILIO_ACCOUNT_SID needs TWILIO_AUTH_TOKEN; {where}", "TWILIO_AUTH_TOKEN")
        if self.twilio_phone_number and not self.twilio_auth_token:
            where = "which is on the first page of Twilio's console."
            raise SettingsError(f"TWILIO_PHONE_NUMBER needs TWILIO_AUTH_TOKEN, {where}", "TWILIO_AUTH_TOKEN")
        if self.human_number and not self.twilio_auth_token:
            where = "since only calls by Twilio can be put through to a person. docs/PHONE.md says how."
            raise SettingsError(f"HUMAN_NUMBER needs TWILIO_AUTH_TOKEN, {where}", "TWILIO_AUTH_TOKEN")

        self._check_servers()

        if self.tools_file is not None and self.llm_base_url is None:
            needs = "TOOLS_FILE needs LLM_BASE_URL, the server of the language model that calls the tools."
            raise SettingsError(needs, "LLM_BASE_URL")

    def _check_servers(self) -> None:
        """A key or a name of a model is for some server, and must not go to another one by mistake."""
        for part in ("llm", "stt", "tts"):
            address = f"{part}_base_url"
            given = [name for name in type(self).model_fields if name.startswith(f"{part}_")]
            lost = [name.upper() for name in given if name != address and getattr(self, name) is not None]
            if lost and getattr(self, address) is None:
                needs = f"{lost[0]} needs {address.upper()}, the address of the server that it is for"
                raise SettingsError(f"{needs}, as in https://api.example.org/v1.", address.upper())
        for name in ("llm_model", "stt_model", "tts_model", "tts_voice"):
            part, _, what = name.partition("_")
            address = f"{part}_base_url"
            if getattr(self, address) is not None and not getattr(self, name):
                needs = f"{address.upper()} needs {name.upper()}, the name of a {what} of that server."
                raise SettingsError(needs, name.upper())

    @property
    def expected_calls(self) -> int:
        """Calls at once, before a loaded model says how many it takes."""
        return self.max_calls or USUAL_CALLS

    @property
    def most_calls(self) -> int:
        """Calls at once that no model exceeds."""
        return self.max_calls or MOST_CALLS

    @property
    def ice_servers(self) -> list[dict[str, Any]]:
        """``iceServers`` of an ``RTCConfiguration``, the credential in clear; empty without TURN_URLS."""
        if not self.turn_urls:
            return []
        server: dict[str, Any] = {"urls": list(self.turn_urls)}
        if self.turn_username and self.turn_credential:
            server |= {"username": self.turn_username, "credential": self.turn_credential.get_secret_value()}
        return [server]


def revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def bare(value: str) -> str:
    """``value`` without white space around it, and without the pair of quotes that encloses it."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].strip()
    return value


def _sentence(given: Mapping[str, str], error: ErrorDetails) -> str:
    name = _name_of(error)
    value = given[name]
    match error:
        case {"ctx": {"error": Unusable() as unusable}}:
            value, allowed = unusable.value, unusable.allowed
        case {"type": "bool_parsing"}:
            allowed = "1 or 0"
        case {"type": "enum", "ctx": {"expected": str(expected)}}:
            allowed = "one of " + expected.replace("'", "").replace(" or ", ", ")
        case _:
            allowed = _range_of(Settings.model_fields[name.lower()].metadata)
    return f"{name} is {shown(value)}, but it must be {allowed}."


def _name_of(error: ErrorDetails) -> str:
    return str(error["loc"][0]).upper()


def _range_of(constraints: list[Any]) -> str:
    """The words for a number within ``constraints``."""
    bounds = {
        kind: getattr(constraint, kind)
        for constraint in constraints
        for kind in ("ge", "le", "gt")
        if hasattr(constraint, kind)
    }
    if "ge" in bounds:
        return f"a whole number from {bounds['ge']} to {bounds['le']}"
    return f"a number above {bounds['gt']}"

"""What can be configured, as one frozen object made from a mapping of variables.

Knows names, defaults and allowed values; it reads neither the environment nor a file itself.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from personaplex_ui.errors import SettingsError
from personaplex_ui.setting_values import Given, Secret
from personaplex_ui.voices.catalogue import canonical_voice_name

IceServer: TypeAlias = dict[str, str | list[str]]
"""One entry of ``RTCConfiguration.iceServers``, as browsers spell it."""


LOOPBACK = ("127.0.0.1", "::1")
PROXIES_OF_SPACES = (*LOOPBACK, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""A Space is reached through proxies at private addresses, and in no other way."""


class EngineChoice(enum.StrEnum):
    """``auto``: the model where there is a GPU for it, else the echo."""

    AUTO = "auto"
    ECHO = "echo"
    PERSONAPLEX = "personaplex"


class Quantize(enum.StrEnum):
    """``int8``: the weights of the layers take one byte each."""

    NONE = "none"
    INT8 = "int8"


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
    app_password: Secret | None
    api_key: Secret | None
    trusted_proxies: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    max_calls_per_address: int
    calls_per_minute: int
    upload_mb_per_hour: int
    server_url: str | None
    static_path: Path | None
    twilio_account_sid: str | None
    twilio_auth_token: Secret | None
    twilio_phone_number: str | None
    phone_personas: str | None
    phone_record: bool
    phone_announcement: str | None
    outbound_daily_limit: int
    fastrtc_phone: bool
    turn_urls: tuple[str, ...]
    turn_username: str | None
    turn_credential: Secret | None
    space_id: str | None
    spaces_zero_gpu: bool
    log_level: LogLevel
    log_format: LogFormat

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> "Settings":
        """Read and check every variable. One that is absent or empty has its default.

        Raises:
            SettingsError: a value cannot be used; the sentence names the variable and what is allowed.
        """
        given = Given(mapping)
        space_id, space_host = given.text("SPACE_ID"), given.text("SPACE_HOST")
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
            app_password=given.secret("APP_PASSWORD"),
            api_key=given.secret("API_KEY"),
            trusted_proxies=given.networks("TRUSTED_PROXIES")
            or (PROXIES_OF_SPACES if space_id else LOOPBACK),
            allowed_origins=given.origins("ALLOWED_ORIGINS"),
            max_calls_per_address=given.whole_number("MAX_CALLS_PER_ADDRESS", 3, 0, 1_000),
            calls_per_minute=given.whole_number("CALLS_PER_MINUTE", 12, 0, 10_000),
            upload_mb_per_hour=given.whole_number("UPLOAD_MB_PER_HOUR", 512, 0, 1_000_000),
            server_url=given.https_url("SERVER_URL") or (f"https://{space_host}" if space_host else None),
            static_path=Path(path) if (path := given.text("STATIC_PATH")) else None,
            twilio_account_sid=given.text("TWILIO_ACCOUNT_SID"),
            twilio_auth_token=given.secret("TWILIO_AUTH_TOKEN"),
            twilio_phone_number=given.phone_number("TWILIO_PHONE_NUMBER"),
            phone_personas=given.text("PHONE_PERSONAS"),
            phone_record=given.yes_or_no("PHONE_RECORD"),
            phone_announcement=given.text("PHONE_ANNOUNCEMENT"),
            outbound_daily_limit=given.whole_number("OUTBOUND_DAILY_LIMIT", 20, 0, 100_000),
            fastrtc_phone=given.yes_or_no("FASTRTC_PHONE"),
            turn_urls=given.ice_urls("TURN_URLS"),
            turn_username=given.text("TURN_USERNAME"),
            turn_credential=given.secret("TURN_CREDENTIAL"),
            space_id=space_id,
            spaces_zero_gpu=given.yes_or_no("SPACES_ZERO_GPU"),
            log_level=given.one_of("LOG_LEVEL", LogLevel.INFO),
            log_format=given.one_of("LOG_FORMAT", LogFormat.TEXT),
        )
        settings._check_what_belongs_together()
        return settings

    def _check_what_belongs_together(self) -> None:
        # Without both, browsers refuse the whole configuration, and no call would come about.
        if any(url.startswith("turn") for url in self.turn_urls) and not (
            self.turn_username and self.turn_credential
        ):
            raise SettingsError(
                "TURN_URLS names a TURN server, which needs TURN_USERNAME and TURN_CREDENTIAL."
            )
        if self.twilio_account_sid and not self.twilio_auth_token:
            raise SettingsError(
                "TWILIO_ACCOUNT_SID needs TWILIO_AUTH_TOKEN; both are on the first page of Twilio's console."
            )
        if self.twilio_phone_number and not self.twilio_auth_token:
            raise SettingsError(
                "TWILIO_PHONE_NUMBER needs TWILIO_AUTH_TOKEN, which is on the first page of Twilio's console."
            )

    @property
    def ice_servers(self) -> list[IceServer]:
        """``iceServers`` of an ``RTCConfiguration``, the credential in clear; empty without TURN_URLS."""
        if not self.turn_urls:
            return []
        server: IceServer = {"urls": list(self.turn_urls)}
        if self.turn_username and self.turn_credential:
            server |= {"username": self.turn_username, "credential": self.turn_credential.reveal()}
        return [server]

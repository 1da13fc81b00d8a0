"""Settings: defaults, what is accepted, what is refused and in which words, and that secrets stay hidden."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from personaplex_ui.config.settings import (
    CaptionsChoice,
    EngineChoice,
    KvCache,
    LogFormat,
    Quantize,
    Settings,
)
from personaplex_ui.errors import SettingsError

ENV_EXAMPLE = Path(__file__).parents[3] / ".env.example"
READ_BESIDES = {"SPACE_HOST", "NO_TORCH_COMPILE", "ENV_FILE"}
"""What SERVER_URL is made of on a Space, what moshi reads, and where all this may stand."""

TURN = {"TURN_URLS": "turn:a.example:3478", "TURN_USERNAME": "ann", "TURN_CREDENTIAL": "hunter2"}


def test_an_empty_mapping_gives_the_defaults() -> None:
    settings = Settings.from_mapping({})
    assert settings == Settings()
    assert (settings.engine, settings.port, settings.host) == (EngineChoice.AUTO, 7860, "0.0.0.0")
    assert (settings.max_calls, settings.max_waiting, settings.max_call_seconds) == (None, 20, 600)
    assert (settings.expected_calls, settings.most_calls) == (4, 64)
    assert (settings.quantize, settings.kv_cache, settings.pin_persona) == (Quantize.AUTO, KvCache.AUTO, True)
    assert (settings.max_calls_per_address, settings.calls_per_minute) == (3, 12)
    assert (settings.recordings_keep_hours, settings.outbound_daily_limit) == (24.0, 20)
    assert settings.trusted_proxies == ("127.0.0.1", "::1")
    secrets = (settings.hf_token, settings.app_password, settings.api_key, settings.twilio_auth_token)
    assert secrets == (None, None, None, None)
    assert settings.ice_servers == []


def test_an_empty_value_means_not_set_and_other_variables_nothing() -> None:
    empty = {field.upper(): " " for field in Settings.model_fields}
    others = {"PATH": "/bin", "port": "1"}
    assert Settings.from_mapping(empty | others) == Settings.from_mapping({})


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("ENGINE", " PersonaPlex ", "engine", EngineChoice.PERSONAPLEX),
        ("ENGINE", "Cascade", "engine", EngineChoice.CASCADE),
        ("ASK_PHRASES", "!!! | let me look that up", "ask_phrases", ("!!!", "let me look that up")),
        ("ASK_PHRASES", "Off", "ask_phrases", ()),
        ("ASK_FILLER", "off", "ask_filler", ""),
        ("DOCUMENTS_DIR", "/data/texts", "documents_dir", Path("/data/texts")),
        ("SPEECH_WEIGHTS_DIR", "/data/weights", "speech_weights_dir", Path("/data/weights")),
        ("PORT", "8080", "port", 8080),
        ("DEVICE", "cuda:1", "device", "cuda:1"),
        ("HF_TOKEN", "hf_abc", "hf_token", SecretStr("hf_abc")),
        ("HF_REPO", "someone/a-copy.v2", "hf_repo", "someone/a-copy.v2"),
        ("CAPTIONS_REPO", "someone/stt", "captions_repo", "someone/stt"),
        ("CAPTIONS_REVISION", "v2", "captions_revision", "v2"),
        ("CPU_OFFLOAD", "1", "cpu_offload", True),
        ("CPU_OFFLOAD", "No", "cpu_offload", False),
        ("QUANTIZE", "INT8", "quantize", Quantize.INT8),
        ("QUANTIZE", "off", "quantize", Quantize.OFF),
        ("QUANTIZE", "None", "quantize", Quantize.OFF),
        ("KV_CACHE", "Int8", "kv_cache", KvCache.INT8),
        ("KV_CACHE", "bf16", "kv_cache", KvCache.BF16),
        ("PIN_PERSONA", "0", "pin_persona", False),
        ("CAPTIONS", "Whisper", "captions", CaptionsChoice.WHISPER),
        ("SPACES_ZERO_GPU", "true", "spaces_zero_gpu", True),
        ("PERSONA_CACHE_MB", "0", "persona_cache_mb", 0),
        ("MAX_CALLS", "64", "max_calls", 64),
        ("MAX_CALLS", "1", "max_calls", 1),
        ("MAX_CALLS", "Auto", "max_calls", None),
        ("MAX_CALL_SECONDS", "15", "max_call_seconds", 15),
        ("BUSY_CALL_SECONDS", "180", "busy_call_seconds", 180),
        ("VISITOR_MINUTES", "20", "visitor_minutes", 20),
        ("RECORDINGS_DIR", "/data/recordings", "recordings_dir", Path("/data/recordings")),
        ("RECORDINGS_KEEP_HOURS", "0.5", "recordings_keep_hours", 0.5),
        ("DEFAULT_VOICE_PROMPT", "VARM3.pt", "default_voice_prompt", "VARM3"),
        ("SERVER_URL", "https://talk.example.org/", "server_url", "https://talk.example.org"),
        ("SERVER_URL", "https://a.example:8443/app", "server_url", "https://a.example:8443/app"),
        ("INSTANCE_PATH", "/gpu-1", "instance_path", "/gpu-1"),
        ("DRAIN_SECONDS", "600", "drain_seconds", 600),
        ("LOG_FORMAT", "JSON", "log_format", LogFormat.JSON),
        ("APP_PASSWORD", "open sesame", "app_password", SecretStr("open sesame")),
        ("TRUSTED_PROXIES", "10.0.0.0/8, fd00::1", "trusted_proxies", ("10.0.0.0/8", "fd00::1")),
        ("ALLOWED_ORIGINS", "*", "allowed_origins", ("*",)),
        ("ALLOWED_ORIGINS", "https://a.a/, http://b:8", "allowed_origins", ("https://a.a", "http://b:8")),
        ("STATIC_PATH", "dist.tgz", "static_path", Path("dist.tgz")),
        ("PHONE_PERSONAS", '{"*": {}}', "phone_personas", '{"*": {}}'),
    ],
)
def test_a_value_is_read(name: str, value: str, field: str, expected: object) -> None:
    assert getattr(Settings.from_mapping({name: value}), field) == expected


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ENGINE", "parrot", "one of auto, cascade, echo, personaplex"),
        ("PORT", "0", "a whole number from 1 to 65535"),
        ("PORT", "http", "a whole number from 1 to 65535"),
        ("ASK_PHRASES", "!", "off, or up to 8 phrases with | between them"),
        ("ASK_PHRASES", "one two three four five six seven eight nine", "off, or up to 8 phrases"),
        ("ASK_PHRASES", "|".join(["!!"] * 9), "off, or up to 8 phrases"),
        ("ASK_FILLER", "x" * 201, "off, or a sentence of 200 characters"),
        ("ASK_SECONDS", "61", "a whole number from 1 to 60"),
        ("DEVICE", "cuda:", "auto, cpu, cuda, or one GPU"),
        ("DEVICE", "tpu", "auto, cpu, cuda, or one GPU"),
        ("CPU_OFFLOAD", "maybe", "1 or 0"),
        ("QUANTIZE", "int4", "one of auto, off, int8"),
        ("PERSONA_CACHE_MB", "-1", "a whole number from 0 to 1000000"),
        ("KV_CACHE", "fp8", "one of auto, bf16, int8"),
        ("PIN_PERSONA", "always", "1 or 0"),
        ("CAPTIONS", "yes", "one of auto, whisper, kyutai, off"),
        ("MAX_CALLS", "0", "auto, or a whole number from 1 to 64"),
        ("MAX_CALLS", "65", "auto, or a whole number from 1 to 64"),
        ("MAX_CALLS", "2.5", "auto, or a whole number from 1 to 64"),
        ("MAX_CALLS", "many", "auto, or a whole number from 1 to 64"),
        ("MAX_WAITING", "-1", "a whole number from 0 to 1000"),
        ("MAX_CALL_SECONDS", "14", "a whole number from 15 to 86400"),
        ("RECORDINGS_KEEP_HOURS", "0", "a number above 0"),
        ("RECORDINGS_KEEP_HOURS", "nan", "a number above 0"),
        ("RECORDINGS_KEEP_HOURS", "inf", "a number above 0"),
        ("RECORDINGS_KEEP_HOURS", "a day", "a number above 0"),
        ("DEFAULT_VOICE_PROMPT", "../NATF2.pt", "a voice's name"),
        ("MAX_UPLOAD_MB", "0", "a whole number from 1 to 4096"),
        ("SERVER_URL", "http://example.org", "the public address of this server"),
        ("SERVER_URL", "https://", "the public address of this server"),
        ("SERVER_URL", "https://example.org/?a=b", "the public address of this server"),
        ("INSTANCE_PATH", "gpu-1", "one segment of letters, digits and -, as in /gpu-1"),
        ("INSTANCE_PATH", "/gpu-1/", "one segment of letters"),
        ("INSTANCE_PATH", "/gpu/1", "one segment of letters"),
        ("INSTANCE_PATH", "/gpu%201", "one segment of letters"),
        ("DRAIN_SECONDS", "86401", "a whole number from 0 to 86400"),
        ("LLM_BASE_URL", "ftp://example.org", "the address of an OpenAI-compatible server"),
        ("STT_BASE_URL", "example.org/v1", "the address of an OpenAI-compatible server"),
        ("TTS_BASE_URL", "https://example.org/v1?key=a", "the address of an OpenAI-compatible server"),
        ("TURN_URLS", "https://turn.example.org", "a list of URLs"),
        ("TRUSTED_PROXIES", "the.proxy", "a list of addresses or networks"),
        ("ALLOWED_ORIGINS", "example.org", "* or a list of origins"),
        ("ALLOWED_ORIGINS", "https://example.org/page", "* or a list of origins"),
        ("TWILIO_PHONE_NUMBER", "555 1234", "a number with its country code"),
        ("OUTBOUND_DAILY_LIMIT", "-1", "a whole number from 0 to 100000"),
        ("HUMAN_DAILY_LIMIT", "-1", "a whole number from 0 to 100000"),
        ("LOG_FORMAT", "xml", "one of text, json"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error, critical"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_mapping({name: value})
    sentence = str(refused.value)
    assert sentence.startswith(f"{name} is {value!r}, but it must be {allowed}")
    assert sentence.endswith(".")


def test_turn_servers_become_ice_servers() -> None:
    settings = Settings.from_mapping(
        TURN | {"TURN_URLS": "turn:a.example:3478, turns:b.example:443?transport=tcp,"}
    )
    assert settings.ice_servers == [
        {
            "urls": ["turn:a.example:3478", "turns:b.example:443?transport=tcp"],
            "username": "ann",
            "credential": "hunter2",
        }
    ]
    # A STUN server needs no credential.
    stun = {"TURN_URLS": "stun:a.example:3478"}
    assert Settings.from_mapping(stun).ice_servers == [{"urls": ["stun:a.example:3478"]}]


@pytest.mark.parametrize("missing", ["TURN_USERNAME", "TURN_CREDENTIAL"])
def test_a_turn_server_without_its_credential_is_refused(missing: str) -> None:
    with pytest.raises(SettingsError, match=f"TURN_URLS .* {missing}") as refused:
        Settings.from_mapping({name: value for name, value in TURN.items() if name != missing})
    assert "hunter2" not in str(refused.value)


def test_secrets_are_masked_wherever_settings_are_printed() -> None:
    settings = Settings.from_mapping(TURN | {"HF_TOKEN": "hf_abc"})
    for shown in (repr(settings), str(settings), f"{settings.hf_token}", str(settings.model_dump())):
        assert "hf_abc" not in shown
        assert "hunter2" not in shown
    assert settings.hf_token is not None
    assert settings.hf_token.get_secret_value() == "hf_abc"
    assert settings.hf_token != SecretStr("hf_abd")
    assert len({settings.hf_token, SecretStr("hf_abc")}) == 1


def test_what_auto_means_is_decided_when_a_model_is_loaded() -> None:
    usual = Settings.from_mapping({})
    assert (usual.quantize.wanted, usual.kv_cache.wanted) == (None, None)
    said = Settings.from_mapping({"QUANTIZE": "int8", "KV_CACHE": "int8", "MAX_CALLS": "7"})
    assert (said.quantize.wanted, said.kv_cache.wanted) == (True, True)
    assert (said.expected_calls, said.most_calls) == (7, 7)
    plain = Settings.from_mapping({"QUANTIZE": "none", "KV_CACHE": "bf16"})
    assert (plain.quantize.wanted, plain.kv_cache.wanted) == (False, False)


SERVER = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"LLM_API_KEY": "sk-hunter2"}, "LLM_API_KEY needs LLM_BASE_URL"),
        ({"LLM_MODEL": "small"}, "LLM_MODEL needs LLM_BASE_URL"),
        ({"LLM_BASE_URL": SERVER, "LLM_API_KEY": "sk-hunter2"}, "LLM_BASE_URL needs LLM_MODEL"),
        (
            {"LLM_BASE_URL": SERVER, "LLM_MODEL": "m", "STT_API_KEY": "sk-hunter2"},
            "STT_API_KEY needs STT_BASE",
        ),
        ({"TTS_VOICE": "alloy"}, "TTS_VOICE needs TTS_BASE_URL"),
        ({"STT_BASE_URL": SERVER}, "STT_BASE_URL needs STT_MODEL, the name of a model"),
        ({"TTS_BASE_URL": SERVER, "TTS_MODEL": "m"}, "TTS_BASE_URL needs TTS_VOICE, the name of a voice"),
    ],
)
def test_what_is_for_a_server_needs_its_address(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as refused:
        Settings.from_mapping(given)
    assert "hunter2" not in str(refused.value)


def test_servers_may_stand_for_all_parts_and_their_keys_are_masked() -> None:
    keys = {f"{part}_API_KEY": "sk-hunter2" for part in ("LLM", "STT", "TTS")}
    addresses = {f"{part}_BASE_URL": SERVER for part in ("LLM", "STT", "TTS")}
    names = {"LLM_MODEL": "a", "STT_MODEL": "b", "TTS_MODEL": "c", "TTS_VOICE": "alloy"}
    settings = Settings.from_mapping({**keys, **addresses, **names})
    assert "hunter2" not in repr(settings)
    assert settings.stt_api_key == SecretStr("sk-hunter2")
    assert (settings.llm_model, settings.tts_voice) == ("a", "alloy")


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8000/v1/", "https://[::1]:8443", "https://api.example.org"]
)
def test_a_server_is_anywhere_and_its_address_ends_without_a_slash(address: str) -> None:
    settings = Settings.from_mapping({"STT_BASE_URL": address, "STT_MODEL": "m"})
    assert settings.stt_base_url == address.rstrip("/")


def test_settings_cannot_be_changed() -> None:
    settings = Settings.from_mapping({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_on_a_space_the_public_address_and_the_proxies_are_known() -> None:
    space = {"SPACE_ID": "ann/talk", "SPACE_HOST": "ann-talk.hf.space"}
    settings = Settings.from_mapping(space)
    assert settings.server_url == "https://ann-talk.hf.space"
    assert "10.0.0.0/8" in settings.trusted_proxies
    assert (
        Settings.from_mapping(space | {"SERVER_URL": "https://a.example"}).server_url == "https://a.example"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWILIO_ACCOUNT_SID", "AC0"),
        ("TWILIO_PHONE_NUMBER", "+15551234567"),
        ("HUMAN_NUMBER", "+15551234567"),
    ],
)
def test_a_twilio_account_or_number_needs_the_token(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} needs TWILIO_AUTH_TOKEN"):
        Settings.from_mapping({name: value})


def test_a_telephone_number_is_read_however_it_is_written() -> None:
    given = {"TWILIO_PHONE_NUMBER": "+1 (555) 123-4567", "TWILIO_AUTH_TOKEN": "a token"}
    assert Settings.from_mapping(given).twilio_phone_number == "+15551234567"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("SERVER_URL", "https://ann:hunter2@example.org", "https://***@example.org"),
        ("SERVER_URL", "https://ann:hunter2/@@example.org/app", "https://***@example.org/app"),
        ("SERVER_URL", "ann:hunter2@example.org", "***@example.org"),
        ("ALLOWED_ORIGINS", "https://ann:hunter2@example.org", "https://***@example.org"),
    ],
)
def test_the_password_of_a_url_is_not_shown(name: str, value: str, shown: str) -> None:
    with pytest.raises(SettingsError, match="but it must be") as refused:
        Settings.from_mapping({name: value})
    assert str(refused.value).startswith(f"{name} is {shown!r}")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("busy", "longest"), [("14", "600"), ("601", "600"), ("300", "299")])
def test_a_call_while_others_wait_is_no_longer_than_others(busy: str, longest: str) -> None:
    with pytest.raises(SettingsError, match=f"BUSY_CALL_SECONDS is {busy}, .* from 15 to MAX_CALL_SECONDS"):
        Settings.from_mapping({"BUSY_CALL_SECONDS": busy, "MAX_CALL_SECONDS": longest})


def test_the_example_file_shows_every_variable_with_its_default() -> None:
    shown = dict(re.findall(r'^# ([A-Z_]+)="?(.*?)"?$', ENV_EXAMPLE.read_text(), re.MULTILINE))
    assert shown.keys() == {*(field.upper() for field in Settings.model_fields), *READ_BESIDES}
    assert Settings.from_mapping(shown) == Settings.from_mapping({})

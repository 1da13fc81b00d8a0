"""Which of the app's settings go to the Space: secrets and variables, from the environment and ``.env``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.space.errors import PushError
from personaplex_ui.config.env_file import read_chosen_file
from personaplex_ui.config.settings import Settings
from personaplex_ui.errors import SettingsError

SECRETS = (
    *("HF_TOKEN", "APP_PASSWORD", "API_KEY", "TWILIO_AUTH_TOKEN", "TURN_CREDENTIAL"),
    *("LLM_API_KEY", "STT_API_KEY", "TTS_API_KEY"),
)
PRIVATE = (
    *(
        "ALLOWED_ORIGINS",
        "DEFAULT_TEXT_PROMPT",
        "HUMAN_NUMBER",
        "LLM_BASE_URL",
        "PHONE_ANNOUNCEMENT",
        "PHONE_PERSONAS",
    ),
    *(
        "STT_BASE_URL",
        "TTS_BASE_URL",
        "TURN_URLS",
        "TURN_USERNAME",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_PHONE_NUMBER",
    ),
)
"""Numbers, names, roles and addresses, which are people's or a company's. The hub shows variables and copies
them into duplicates of a Space, so these are given as secrets; the app reads both from its environment."""

OF_THIS_MACHINE = frozenset(
    {
        *("PORT", "HOST", "DEVICE", "CPU_OFFLOAD", "SERVER_URL", "TRUSTED_PROXIES", "FASTRTC_PHONE"),
        *("SPEECH_WEIGHTS_DIR", "DOCUMENTS_DIR", "TOOLS_FILE", "RECORDINGS_DIR", "VOICES_DIR", "STATIC_PATH"),
        *("SPACE_ID", "SPACES_ZERO_GPU", "INSTANCE_PATH", "DRAIN_SECONDS"),
    }
)
"""Named in ``.env`` for this machine, or known to a Space by itself."""

VARIABLES = tuple(
    sorted({name.upper() for name in Settings.model_fields} - {*SECRETS, *PRIVATE} - OF_THIS_MACHINE)
)
ON_STORAGE = {"HF_HOME": "/data/.huggingface", "RECORDINGS_DIR": "/data/recordings"}
"""With persistent storage: a restart fetches nothing again, and visitors find their calls."""

PUSH_TOKEN = "HF_PUSH_TOKEN"


@dataclass(frozen=True)
class Wanted:
    """``secrets``: of SECRETS and PRIVATE. ``push_token``: with which the hub is asked; None: the one of
    ``hf auth login``."""

    secrets: Mapping[str, str] = field(repr=False)
    variables: Mapping[str, str]
    push_token: str | None = field(repr=False)

    def hide(self, text: str) -> str:
        """``text`` without any passwords and keys."""
        hidden = [*(self.secrets.get(name, "") for name in SECRETS), self.push_token or ""]
        for value in sorted(filter(None, hidden), key=len, reverse=True):
            text = text.replace(value, "***")
        return text


def read_wanted(environment: Mapping[str, str], folder: Path, with_storage: bool) -> Wanted:
    """What stands in the environment wins.

    Raises:
        PushError: a value cannot be used.
    """
    try:
        file = read_chosen_file(environment, folder)
        # Without spaces and line ends around it, which come along when a value is copied or read from a file.
        stripped = {name: value.strip() for name, value in {**file, **environment}.items()}
        given = {name: value for name, value in stripped.items() if value}
        for name in (*SECRETS, PUSH_TOKEN):
            if len(given.get(name, "").splitlines()) > 1:
                raise PushError(f"{name} has several lines; give it as one.")
        secrets = {name: _usable(name, given[name], folder) for name in (*SECRETS, *PRIVATE) if name in given}
        variables = {name: _usable(name, given[name], folder) for name in VARIABLES if name in given}
        Settings.from_mapping({**secrets, **variables, "SPACE_ID": "check/only"})
    except SettingsError as error:
        raise PushError(str(error)) from error
    if with_storage:
        variables |= ON_STORAGE
    return Wanted(secrets, variables, given.get(PUSH_TOKEN) or given.get("HF_TOKEN"))


def _usable(name: str, value: str, folder: Path) -> str:
    if name == "HF_REPO" and not re.fullmatch(r"[\w.-]+/[\w.-]+", value):
        raise PushError("HF_REPO names a folder of this machine; a Space needs a repository of the hub.")
    if name == "PHONE_PERSONAS" and not value.lstrip().startswith("{"):
        try:
            return (folder / value).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PushError(f"PHONE_PERSONAS names {value}, which cannot be read.") from error
    return value

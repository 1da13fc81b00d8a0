"""The exceptions of this project. The text of each is a sentence a user may read.

Depends on nothing; every other module may import it. A sentence names a setting with ``setting``, so that
each front end can say it in its own words: the app as an environment variable, the command line as an option.
"""

import re
from collections.abc import Callable
from typing import ClassVar

_SETTING = re.compile("\ue000([A-Z_]+)(?:=([^\ue001]*))?\ue001")


def setting(name: str, value: object = "") -> str:
    """How a sentence of an error names the environment variable ``name``, alone or with a value to set."""
    return f"\ue000{name}={value}\ue001" if value != "" else f"\ue000{name}\ue001"


def as_variable(name: str, value: str) -> str:
    """``HF_REPO``, ``QUANTIZE=int8``."""
    return f"{name}={value}" if value else name


class PersonaplexError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` says what happened and what to do next.

    ``code`` names the kind of error and never changes. ``setting`` is the environment variable that is to
    blame, if one alone is.
    """

    code: ClassVar[str] = "error"

    def __init__(self, sentence: str = "", setting: str = "") -> None:
        super().__init__(sentence)
        self.setting = setting

    def __str__(self) -> str:
        return self.worded(as_variable)

    def worded(self, name_setting: Callable[[str, str], str]) -> str:
        """The sentence, with each setting as ``name_setting`` calls it, given its name and value (or "")."""
        return _SETTING.sub(lambda found: name_setting(found[1], found[2] or ""), super().__str__())


class InvalidInput(PersonaplexError):
    """A value a user gave cannot be used.

    ``field`` names the input it belongs to (``text_prompt``, ``voice``, ``seed``, ...), so that a page
    or an API can show the sentence beside it.
    """

    code = "invalid_input"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class SettingsError(PersonaplexError):
    """An environment variable holds a value that cannot be used."""

    code = "invalid_setting"


class NoFreeSlot(PersonaplexError):
    """All slots of the engine are taken and the queue is full."""

    code = "busy"


class TooManyCalls(PersonaplexError):
    """One network address has as many calls, or began as many just now, as it may."""

    code = "too_many_calls"


class ProtocolError(PersonaplexError):
    """A peer sent what its protocol does not allow; the sentence says what."""

    code = "protocol"


class PhoneUnavailable(PersonaplexError):
    """The phone is not set up, or the service behind it refused; the sentence says what to do."""

    code = "phone_unavailable"


class CallOver(PersonaplexError):
    """The call has ended, so what was asked of it can no longer be done."""

    code = "call_over"


class EngineUnavailable(PersonaplexError):
    """The engine is loading, has failed or is shutting down; calls cannot be taken."""

    code = "engine_unavailable"


class EngineFailure(PersonaplexError):
    """The speech model raised while it served a call; that call is over, the engine goes on."""

    code = "engine_failure"


class SpeakQueueFull(PersonaplexError):
    """Too many forced texts wait to be spoken in one call."""

    code = "speak_queue_full"


class RecordingFailed(PersonaplexError):
    """A recording could not be started or continued; the call goes on without it."""

    code = "recording_failed"


class StorageFailed(PersonaplexError):
    """What is to outlive the process cannot be read or written; the process goes on with what it has."""

    code = "storage_failed"

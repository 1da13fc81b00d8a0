"""The exceptions of this project. The text of each is a sentence a user may read.

Depends on nothing; every other module may import it. A sentence names a setting with ``setting``, so that
each front end can say it in its own words: the app as an environment variable, the command line as an option.
"""

import re
from collections.abc import Callable
from typing import ClassVar

_SETTING = re.compile("\ue000([A-Z_]+)(?:=([^\ue001]*))?\ue001")


def setting(name: str, value: object = "") -> str:
    """How an error's sentence names the environment variable ``name``, alone or with a value to set."""
    return f"\ue000{name}={value}\ue001" if value != "" else f"\ue000{name}\ue001"


def as_variable(name: str, value: str) -> str:
    """``HF_REPO``, ``QUANTIZE=int8``."""
    return f"{name}={value}" if value else name


class PersonaplexError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` says what happened and what to do next.

    ``code`` names the kind of error and never changes. ``setting`` is the environment variable at fault, if
    there is exactly one.
    """

    code: ClassVar[str] = "error"

    def __init_subclass__(cls, code: str = "") -> None:
        cls.code = code or cls.code

    def __init__(self, sentence: str = "", setting: str = "") -> None:
        super().__init__(sentence)
        self.setting = setting

    def __str__(self) -> str:
        return self.worded(as_variable)

    def worded(self, name_setting: Callable[[str, str], str]) -> str:
        """The sentence, with each setting named by ``name_setting``, which gets its name and value (or
        "")."""
        return _SETTING.sub(lambda found: name_setting(found[1], found[2] or ""), super().__str__())


class InvalidInput(PersonaplexError, code="invalid_input"):
    """A value a user gave cannot be used.

    ``field`` names the input it belongs to (``text_prompt``, ``voice``, ``seed``, ...), so that a page
    or an API can show the sentence beside it.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class SettingsError(PersonaplexError, code="invalid_setting"):
    """An environment variable holds a value that cannot be used."""


class NoFreeSlot(PersonaplexError, code="busy"):
    """All slots of the engine are taken and the queue is full."""


class TooManyCalls(PersonaplexError, code="too_many_calls"):
    """One network address has reached its limit of calls, or of recently started calls."""


class MinutesUsedUp(TooManyCalls, code="minutes_used_up"):
    """A visitor has nothing, or not enough, left of the day's minutes."""


class ProtocolError(PersonaplexError, code="protocol"):
    """A peer sent what its protocol does not allow; the sentence says what."""


class PhoneUnavailable(PersonaplexError, code="phone_unavailable"):
    """The phone is not set up, or the service behind it refused; the sentence says what to do."""


class CallOver(PersonaplexError, code="call_over"):
    """The call has ended, so the request can no longer be carried out."""


class CallInProgress(PersonaplexError, code="call_in_progress"):
    """The call still goes on, so it cannot be deleted."""


class EngineUnavailable(PersonaplexError, code="engine_unavailable"):
    """The engine is loading, has failed or is shutting down; calls cannot be taken."""


class EngineFailure(PersonaplexError, code="engine_failure"):
    """The speech model raised while serving a call; the call is over, and the engine goes on."""


class SpeakQueueFull(PersonaplexError, code="speak_queue_full"):
    """Too many forced texts wait to be spoken in one call."""


class RecordingFailed(PersonaplexError, code="recording_failed"):
    """A recording could not be started or continued; the call goes on without it."""


class StorageFailed(PersonaplexError, code="storage_failed"):
    """Persistent data cannot be read or written; the process goes on with what it has in memory."""


def why_of(error: Exception) -> str:
    """What went wrong, for the log; the text of an OSError would also reveal the file's full path."""
    return (isinstance(error, OSError) and error.strerror) or str(error)

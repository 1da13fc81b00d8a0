"""The exceptions of this project. The text of each is a sentence a user may read.

Knows words only; every other module may import it.
"""


class PersonaplexError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` says what happened and what to do next."""


class InvalidInput(PersonaplexError):
    """A value a user gave cannot be used.

    ``field`` names the input it belongs to (``text_prompt``, ``voice``, ``seed``, ...), so that a page
    or an API can show the sentence beside it.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class SettingsError(PersonaplexError):
    """An environment variable holds a value that cannot be used."""


class LinesBusy(PersonaplexError):
    """All lines are taken and the queue is full."""


class TooManyCalls(PersonaplexError):
    """One network address has as many calls, or began as many just now, as it may."""


class ProtocolError(PersonaplexError):
    """A peer sent what its protocol does not allow; the sentence says what."""


class PhoneUnavailable(PersonaplexError):
    """The phone is not set up, or the service behind it refused; the sentence says what to do."""


class CallOver(PersonaplexError):
    """The call has ended, so what was asked of it can no longer be done."""


class EngineUnavailable(PersonaplexError):
    """The engine is loading, has failed or is shutting down; calls cannot be taken."""


class EngineFailure(PersonaplexError):
    """The speech model raised while it served a call; that call is over, the engine goes on."""


class SpeakQueueFull(PersonaplexError):
    """Too many forced texts wait to be spoken in one call."""


class RecordingFailed(PersonaplexError):
    """A recording could not be started or continued; the call goes on without it."""


class StorageFailed(PersonaplexError):
    """What is to outlive the process cannot be read or written; the process goes on with what it has."""

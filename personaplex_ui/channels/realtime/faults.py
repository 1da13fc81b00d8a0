"""What is wrong with something that a client sent, as OpenAI's ``error`` event tells it. Pure."""

from typing import ClassVar

from personaplex_ui.errors import ProtocolError

INVALID, SERVER = "invalid_request_error", "server_error"
"""The two kinds of errors: of what the client sent, and of ours."""


class RealtimeFault(ProtocolError):
    """``code``: a word for programs. ``param``: the field at fault, as in ``session.audio.output.voice``.
    ``event_id``: the client's own name of the event that caused it; empty if it has none."""

    kind: ClassVar[str] = INVALID

    def __init__(
        self, sentence: str, fault: str = "invalid_value", param: str = "", event_id: str = ""
    ) -> None:
        super().__init__(sentence)
        self.fault = fault
        self.param = param
        self.event_id = event_id

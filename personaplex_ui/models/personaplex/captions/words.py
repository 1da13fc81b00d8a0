"""One caller's words, with their times, out of the text tokens of a recogniser."""

from personaplex_ui.engine.speech_model import Heard
from personaplex_ui.models.personaplex.runtime.text import PieceReader, Tokenizer


class CallerWords:
    """``delay``: by how many frames the text comes later than the sound."""

    def __init__(self, tokenizer: Tokenizer, delay: int) -> None:
        self._pieces = PieceReader(tokenizer)
        self._delay = delay
        self._frames = 0

    def push(self, token: int) -> Heard | None:
        """The token of the next frame; None if it is no part of a word."""
        self._frames += 1
        text = self._pieces.push(token)
        if not text:
            return None
        # A token stands for the frame that was said ``delay`` frames ago, but never before the call.
        begun = min(self._delay + 1, self._frames)
        return Heard(text, begun, begun - 1)

"""The inner monologue as text: sentencepiece tokens become transcript pieces, and texts become tokens.

Depends on a tokenizer and token numbers, not on tensors.
"""

import codecs
import re
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from personaplex_ui.engine.speech_model import MAX_TEXTS_WAITING, QUEUE_FULL
from personaplex_ui.errors import SpeakQueueFull
from personaplex_ui.models.personaplex.runtime.prompt import TEXT_PADDING

END_OF_PADDING = 0
"""Said before a word begins (Moshi paper, section 3.4.4)."""

FRAMES_PER_CHARACTER = 0.85
"""12.5 frames a second at some 15 characters a second, the rate of calm speech."""

BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")


class Tokenizer(Protocol):
    """The part of ``sentencepiece.SentencePieceProcessor`` that is used."""

    def encode(self, text: str) -> list[int]: ...

    def id_to_piece(self, token: int) -> str: ...


class PieceReader:
    """Turns one caller's text tokens into text as they arrive. Padding and control tokens give nothing."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that ``token`` completes; a piece that begins a word starts with a space. A letter made of
        several byte tokens appears with its last one."""
        if token in (END_OF_PADDING, TEXT_PADDING):
            return ""
        try:
            piece = self._tokenizer.id_to_piece(token)
        except IndexError:  # a model may have more token numbers than its tokenizer has pieces
            return ""
        byte = BYTE_PIECE.fullmatch(piece)
        if byte is not None:
            return self._bytes.decode(bytes([int(byte[1], 16)]))
        if piece.startswith("<") and piece.endswith(">"):
            return ""
        return self._bytes.decode(b"", final=True) + piece.replace("▁", " ")


class ForcedSpeech:
    """Texts for one caller's assistant to say: forced into the inner monologue at the pace of speech.

    Without padding between the words the voice would speak far too fast.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._waiting: deque[list[int]] = deque()
        self._tokens: deque[int] = deque()

    def add(self, text: str) -> None:
        """Say ``text`` after the texts that are already waiting.

        Raises:
            SpeakQueueFull: ten texts are waiting.
        """
        if len(self._waiting) >= MAX_TEXTS_WAITING:
            raise SpeakQueueFull(QUEUE_FULL)
        self._waiting.append(paced_tokens(self._tokenizer, text))

    def next_token(self) -> int | None:
        """The text token of the next position, or None if the model chooses it."""
        if not self._tokens and self._waiting:
            self._tokens.extend(self._waiting.popleft())
        return self._tokens.popleft() if self._tokens else None


def paced_tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    """One token per frame: each word's tokens, then padding for as long as it takes to say it."""
    tokens: list[int] = []
    for word in text.split():
        spelled: Sequence[int] = tokenizer.encode(word)
        frames = round((len(word) + 1) * FRAMES_PER_CHARACTER)
        paddings = max(0, frames - len(spelled) - 1)
        tokens += [END_OF_PADDING, *spelled, *[TEXT_PADDING] * paddings]
    return tokens

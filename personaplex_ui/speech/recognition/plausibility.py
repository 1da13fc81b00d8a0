"""Whether Whisper heard words, or made them up from silence, noise or music. Pure.

Measured with tiny.en, beam 5, sound at an even level: speech down to 5 dB above white noise has a probability
of "no speech" up to 0.43, and up to 0.21 after a context, which pulls it down; silence, noises, tones and
chords have 0.46 and more, 0.25 after a context, or repeat themselves.
"""

import re
import zlib
from dataclasses import dataclass

MOST_NO_SPEECH = 0.6
MOST_NO_SPEECH_AFTER_CONTEXT = 0.3
SURE_NO_SPEECH = 0.1
"""Above, what a context has pulled down is asked for again without it."""

LEAST_LOG_PROBABILITY = -1.3
DOUBTFUL_NO_SPEECH = 0.3
DOUBTFUL_LOG_PROBABILITY = -0.9
LEAST_SURE_LOG_PROBABILITY = -0.8
LEAST_SURE_WORDS = 3
"""Recorded English has -0.54 and more, also by telephone and 5 dB above white noise; what tiny.en makes of
German, French, Spanish, Italian and Polish has -0.93 and less. Single words have as little in English."""

LEAST_PASSAGE_WORDS = 6
"""People do say a short sentence twice."""

MOST_WORDS_PER_SEC = 4.5
MOST_COMPRESSION = 2.4
"""OpenAI's limit: text that compresses better repeats itself."""

SUBTITLES = frozenset(
    {
        *("thank you", "thank you so much", "thank you very much", "thanks", "thank you for watching"),
        *("thanks for watching", "bye", "bye bye", "you", "oh", "so", "okay", "hmm", "the end", "i'm sorry"),
        *("i'll see you next time", "see you next time", "please subscribe", "subscribe", "music"),
        *("applause", "silence", "foreign"),
    }
)
"""What Whisper learnt from subtitles where nobody speaks. People say it, too: then Whisper is sure."""


@dataclass(frozen=True, slots=True)
class Heard:
    """``text`` and how sure Whisper is of it: the mean log probability of its tokens, and the probability
    that nobody speaks."""

    text: str
    log_probability: float
    no_speech: float


def is_loop(text: str) -> bool:
    """Whether ``text`` says the same again and again."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) > MOST_COMPRESSION


def without_repeats(text: str, seconds: float) -> str:
    """``text``, said in ``seconds`` of speech, with each sentence once in a row if it is too much for that
    time: of a short question, or in noise, "Ten of clubs." may come twice."""
    if len(text.split()) <= MOST_WORDS_PER_SEC * seconds:
        return text
    once: list[str] = []
    for sentence in re.split(r"(?<=[.!?]) +", text):
        if not once or _plain(once[-1]) != _plain(sentence):
            once.append(sentence)
    return " ".join(once)


def is_speech(heard: Heard, has_context: bool) -> bool:
    """Whether somebody said ``heard.text``."""
    if re.search(r"\w", heard.text) is None:
        return False
    no_speech_limit = MOST_NO_SPEECH_AFTER_CONTEXT if has_context else MOST_NO_SPEECH
    if heard.no_speech > no_speech_limit or heard.log_probability < LEAST_LOG_PROBABILITY:
        return False
    is_doubtful = heard.no_speech > DOUBTFUL_NO_SPEECH or heard.log_probability < DOUBTFUL_LOG_PROBABILITY
    return not (is_doubtful and _plain(heard.text) in SUBTITLES)


def is_doubtful(heard: Heard) -> bool:
    """Whether ``heard``, which ``is_speech``, may have been said in another language."""
    is_short = len(heard.text.split()) < LEAST_SURE_WORDS
    return not is_short and (
        heard.log_probability < LEAST_SURE_LOG_PROBABILITY or _is_a_passage_twice(heard.text)
    )


def _is_a_passage_twice(text: str) -> bool:
    """Whisper is surer of what it repeats, which hides how unsure it was at first."""
    words = _plain(text).split()
    half = len(words) // 2
    return half >= LEAST_PASSAGE_WORDS and words[:half] == words[half:]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower()).split())

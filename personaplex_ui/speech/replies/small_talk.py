"""What is said in a conversation without facts: greetings, thanks, who the assistant is. Pure.

The words of the caller are never repeated: whatever they ask for, only sentences of this file and facts of
the role are said.
"""

import re
from collections.abc import Sequence

from personaplex_ui.speech.parts import Turn
from personaplex_ui.speech.replies.identity import Identity
from personaplex_ui.speech.replies.languages import is_other_language
from personaplex_ui.speech.replies.question import plain, without_introduction
from personaplex_ui.speech.replies.small_talk_patterns import OVERRIDES, TALK

HELP = ("How can I help?", "What can I do for you?", "What would you like to know?")
NOT_HERE = (
    "I don't have that here.",
    "Sorry, I don't have that information.",
    "I don't know that, I'm afraid.",
    "That's something I don't have here.",
)
NOT_UNDERSTOOD = (
    "Sorry, I did not understand that. Could you say it again?",
    "I'm sorry, I didn't catch that. Could you repeat it?",
)
OTHER_LANGUAGE = "I'm sorry, I only speak English here."
LISTENING = (
    "I don't have anything on that here, but I'm listening. Tell me more.",
    "I don't know about that, but I'd like to hear what you think.",
    "I don't have an answer to that here. What do you think?",
)
LONGEST_REPEATED = 300

_OVERRIDES = re.compile("|".join(OVERRIDES))
_LEADING = re.compile(
    r"^(?:(?:ok|okay|well|yes|yeah|alright|right|so|oh|um|uh|and|hi|hello|hey|sorry|excuse me|"
    r"please)\b[ ,.]*)+"
)
_TALK = tuple((name, re.compile("|".join(patterns))) for name, patterns in TALK.items())


def about(identity: Identity) -> str:
    """``about City Bikes``, or ``here``."""
    return f"about {identity.company}" if identity.company else "here"


def introduction(identity: Identity) -> str:
    """Who is speaking, as a sentence; empty if the role does not say."""
    if identity.name and identity.company:
        return f"This is {identity.name} from {identity.company}."
    if identity.company:
        return f"You have reached {identity.company}."
    return f"My name is {identity.name}." if identity.name else ""


def greeting(identity: Identity) -> str:
    """What the assistant says first."""
    if identity.name and identity.company:
        return f"Hello, this is {identity.name} from {identity.company}. {HELP[0]}"
    if identity.company:
        return f"Hello, you have reached {identity.company}. {HELP[0]}"
    if identity.name:
        return f"Hello, I'm {identity.name}. Nice to talk to you."
    return "Hello, nice to talk to you."


def overrides(said: str) -> bool:
    """Whether ``said`` wants the assistant to be something else, or to read out its role."""
    return bool(_OVERRIDES.search(said))


def small_talk(said: str, text: str, identity: Identity, turns: Sequence[Turn], knows: bool) -> str | None:
    """The answer to ``said`` (plain) and ``text`` (as heard), if no facts are asked for. ``turns``: all
    before; ``knows``: whether the role has facts."""
    turn = len(turns) // 2
    if not re.search(r"\w", said):
        return NOT_UNDERSTOOD[turn % len(NOT_UNDERSTOOD)]
    if is_other_language(text):
        return OTHER_LANGUAGE
    if overrides(said):
        return f"I can only answer questions {about(identity)}." if knows else "I'd rather just talk."
    shorter = _LEADING.sub("", said)
    if not plain(without_introduction(text)):
        return "Nice to meet you. What would you like to know?" if knows else "Nice to meet you."
    for name, pattern in _TALK:
        if pattern.fullmatch(said) or (shorter and pattern.fullmatch(shorter)):
            return _answer(name, identity, turns, knows, turn)
    return None


def _answer(name: str, identity: Identity, turns: Sequence[Turn], knows: bool, turn: int) -> str | None:
    match name:
        case "company" if not identity.company:
            return None
        case "name" | "company":
            return introduction(identity) or "I'm an AI assistant, and I have no name here."
        case "well" | "fine" if knows:
            return f"{_FIXED[name].removesuffix(' How about you?')} {HELP[1]}"
        case "able" if knows:
            return f"I can answer questions {about(identity)}. {HELP[2]}"
        case "repeat":
            said = [turn.text for turn in turns if turn.speaker == "assistant" and turn.text]
            return said[-1][:LONGEST_REPEATED] if said else HELP[0]
        case "hello":
            return f"Hello. {introduction(identity)} {HELP[0]}".replace("  ", " ")
        case "yes":
            return HELP[2] if turn % 2 else "All right. What else would you like to know?"
        case _:
            return _FIXED[name]


_FIXED = {
    "human": "I'm sorry, I can't put you through to a person myself.",
    "emergency": "If this is an emergency, please hang up and call your local emergency number right away.",
    "robot": "I'm an AI assistant, not a person.",
    "able": "I can talk with you, but I have no facts to look up here.",
    "well": "I'm doing well, thank you. How about you?",
    "fine": "Good to hear.",
    "heard": "Yes, I can hear you.",
    "thanks": "You're welcome. Is there anything else?",
    "bye": "Thank you for calling. Goodbye.",
    "sorry": "No problem at all.",
    "no": "All right. Just ask if anything comes to mind.",
}

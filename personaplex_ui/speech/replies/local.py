"""Answers from the role's own text: small talk, facts, and otherwise an honest sentence. Never invents.

Depends on no model and no network. What the caller says decides which facts are said, and is itself never
repeated.
"""

import re
from collections.abc import Iterator, Sequence

from personaplex_ui.speech.documents.retrieval import Documents
from personaplex_ui.speech.parts import Turn
from personaplex_ui.speech.replies import small_talk
from personaplex_ui.speech.replies.address import without_address
from personaplex_ui.speech.replies.answers import answer_with, offers, related
from personaplex_ui.speech.replies.identity import identity_of
from personaplex_ui.speech.replies.matching import Certainty, Match, find
from personaplex_ui.speech.replies.question import Question, continued, is_question, plain, read_question
from personaplex_ui.speech.replies.role_facts import RoleFacts, facts_of, joined
from personaplex_ui.speech.replies.sentences import sentences_of

MOST_QUESTIONS = 2
"""In one turn; the first ones are answered."""

LONGEST_TURN = 1_000
"""Characters; of more, the last are read."""

MOST_TURNS_BACK = 6
"""How many of the caller's turns before this one may tell what it is about."""

_TWO_QUESTIONS = re.compile(
    r",?\s+and\s+(?=(?:how|what|when|where|who|which|do|is|are|can)\b)", re.IGNORECASE
)
_OF_CALLER = re.compile(r"^(?:i|i'm|i've|my|we|our|it|it's|that|that's|this|he|she)\b")
_CASUAL_FACTS = 2
"""A role of so few facts and no company is for talking, not for asking."""


class LocalReplier:
    """A ``Replier`` without a model: says what the role and the ``documents`` state, and no more."""

    def __init__(self, documents: Documents | None = None) -> None:
        self._documents = documents

    def greet(self, role: str) -> str:
        """``Hello, this is Alex from City Bikes. How can I help?``"""
        return small_talk.greeting(identity_of(role))

    def reply(self, role: str, turns: Sequence[Turn]) -> Iterator[str]:
        """The answer to the last of ``turns``, sentence by sentence."""
        yield from sentences_of(self._answer(self._facts(role, turns), turns))

    def _facts(self, role: str, turns: Sequence[Turn]) -> RoleFacts:
        facts = facts_of(role)
        # Each by itself, so that one whose words change is not read anew with the others.
        for passage in self._documents.about(turns) if self._documents is not None else ():
            facts = joined(facts, facts_of(passage))
        return facts

    def _answer(self, facts: RoleFacts, turns: Sequence[Turn]) -> str:
        last = turns[-1].text[-LONGEST_TURN:] if turns else ""
        before = [turn.text[-LONGEST_TURN:] for turn in turns[:-1] if turn.speaker == "caller"]
        before = before[-MOST_TURNS_BACK:]
        knows = _knows(facts)
        talk = small_talk.small_talk(plain(last), last, facts.identity, turns[:-1], knows)
        if talk is not None:
            return talk
        parts = [without_address(part, facts.identity.name) for part in _parts(last)]
        return self._from_facts(facts, parts, before, len(turns) // 2)

    def _from_facts(self, facts: RoleFacts, parts: list[str], before: list[str], turn: int) -> str:
        context = _context(facts, before)
        asked_before = context.said if context else ""
        answers: list[str] = []
        missing = False
        asked = [part for part in parts if is_question(part)]
        for part in parts:
            question = read_question(part, facts)
            if small_talk.small_talk(question.said, part, facts.identity, (), True) is not None:
                continue
            empty = not (question.hard or question.soft or question.kind or question.days)
            if context is not None and (question.points_back or (empty and context.said != asked_before)):
                question = continued(question, context)
            context = question
            if asked and part not in asked:
                continue
            answer = _answer_to(question, facts)
            missing = missing or answer is None
            if answer and answer not in answers:
                answers.append(answer)
            if len(answers) == MOST_QUESTIONS:
                break
        if not answers:
            return self._honest(facts, parts, bool(asked), turn)
        rest = [small_talk.NOT_HERE[0].replace("that here", "the rest here")] if missing else []
        return " ".join([*answers, *rest])

    def _honest(self, facts: RoleFacts, parts: list[str], asked: bool, turn: int) -> str:
        if not _knows(facts):
            return small_talk.LISTENING[turn % len(small_talk.LISTENING)]
        if not asked and _OF_CALLER.match(plain(parts[-1]) if parts else ""):
            topic = small_talk.about(facts.identity)
            return f"I see. I don't have anything on that, but I can answer questions {topic}."
        return small_talk.NOT_HERE[turn % len(small_talk.NOT_HERE)]


def _knows(facts: RoleFacts) -> bool:
    return bool(facts.identity.company) or len(facts.facts) > _CASUAL_FACTS


def _parts(text: str) -> list[str]:
    """The sentences and joined questions of what was said, each to be answered."""
    return [
        part for sentence in sentences_of(text) for part in _TWO_QUESTIONS.split(sentence) if part.strip()
    ]


def _context(facts: RoleFacts, before: list[str]) -> Question | None:
    """What the caller's earlier turns, taken together, were about last."""
    context: Question | None = None
    for text in before:
        for part in _parts(text):
            question = read_question(part, facts)
            if not (question.hard or question.soft or question.kind):
                continue
            context = continued(question, context) if context and question.points_back else question
    return context


def _answer_to(question: Question, facts: RoleFacts) -> str | None:
    """The answer to one question; None if the role does not tell."""
    if question.overview and not question.unknown and not question.hard:
        return offers(facts)
    match find(question, facts):
        case Match(certainty=Certainty.ANSWERS, facts=found, together=together):
            return answer_with(found, question, facts, together)
        case Match(certainty=Certainty.RELATED, facts=found):
            return related(found[0], question)
        case _:
            return None

"""Questions about roles with what a right answer contains, and how a replier does on them.

``python tests/unit/speech/replies/question_set.py`` prints the table of the questions to tune with;
``--kept-back`` of those that nobody looked at while tuning; ``--freely`` of a second set, in freer words;
``--last`` of a third, tried when all else was done;
``--wrong`` adds the answers that are not right.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[4]))

from personaplex_ui.speech.parts import Replier, Turn
from personaplex_ui.ui.presets import PRESETS

FOLDER = Path(__file__).parent
FREELY = FOLDER / "spoken_freely.txt"
LAST = FOLDER / "spoken_last.txt"
ALL_QUESTIONS = (FOLDER / "questions.txt", FREELY, LAST)
HONEST = ("don't have", "don't know", "not something i know", "can't tell", "no information", "nothing on")


@dataclass(frozen=True, slots=True)
class Question:
    """``wanted``: has to be in the answer, alternatives apart by ``|``; empty if the role is silent."""

    role: str
    text: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]
    kept_back: bool


@dataclass(frozen=True, slots=True)
class Result:
    """``verdict``: ``right``, ``honest`` (the answer is known, but the replier says that it is not),
    ``wrong``; for a question without an answer ``refused`` or ``invented``."""

    question: Question
    answer: str
    verdict: str


def roles() -> dict[str, str]:
    """The presets and the roles of roles.json by their names."""
    own: dict[str, str] = json.loads((FOLDER / "roles.json").read_text(encoding="utf-8"))
    return {preset.id: preset.text_prompt for preset in PRESETS} | own


def read_questions(path: Path = FOLDER / "questions.txt") -> list[Question]:
    """The questions in ``path``; each third one is kept back."""
    found: list[Question] = []
    role = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            role = line[1:]
        elif "=>" in line and not line.startswith("#"):
            text, _, marks = (part.strip() for part in line.partition("=>"))
            terms = [] if marks == "?" else marks.lower().split()
            wanted = tuple(term for term in terms if not term.startswith("!"))
            unwanted = tuple(term[1:] for term in terms if term.startswith("!"))
            found.append(Question(role, text, wanted, unwanted, kept_back=len(found) % 3 == 2))
    return found


def judge(question: Question, answer: str) -> str:
    """The verdict on ``answer``, as in ``Result``."""
    said = answer.lower()
    honest = any(words in said for words in HONEST)
    if not question.wanted:
        return "refused" if honest else "invented"
    if any(term in said for term in question.unwanted):
        return "wrong"
    if all(any(one in said for one in term.split("|") if one != "?") for term in question.wanted):
        return "right"
    return "honest" if honest else "wrong"


def ask(replier: Replier, role: str, *said: str) -> str:
    """The answer to the last of what the caller ``said``, with the replier's own answers in between."""
    turns: list[Turn] = []
    answer = ""
    for text in said:
        turns.append(Turn("caller", text))
        answer = " ".join(replier.reply(role, turns))
        turns.append(Turn("assistant", answer))
    return answer


def try_questions(replier: Replier, questions: Sequence[Question]) -> list[Result]:
    """Each question, asked alone."""
    texts = roles()
    results: list[Result] = []
    for question in questions:
        answer = ask(replier, texts[question.role], question.text)
        results.append(Result(question, answer, judge(question, answer)))
    return results


def table(results: Sequence[Result]) -> str:
    """Verdicts by role, and their sum."""
    columns = ("right", "honest", "wrong", "refused", "invented")
    lines = [f"{'role':<12}" + "".join(f"{column:>10}" for column in columns)]
    for role in [*dict.fromkeys(result.question.role for result in results), ""]:
        counts = Counter(result.verdict for result in results if role in ("", result.question.role))
        lines.append(f"{role or 'all':<12}" + "".join(f"{counts[column]:>10}" for column in columns))
    return "\n".join(lines)


def main() -> None:
    """Prints the table."""
    from personaplex_ui.speech.replies.local import LocalReplier

    kept_back = "--kept-back" in sys.argv
    chosen = [question for question in read_questions() if question.kept_back == kept_back]
    for option, path in (("--freely", FREELY), ("--last", LAST)):
        chosen = read_questions(path) if option in sys.argv else chosen
    results = try_questions(LocalReplier(), chosen)
    print(table(results))
    if "--wrong" in sys.argv:
        for result in results:
            if result.verdict not in ("right", "refused"):
                print(
                    f"{result.verdict:>9}  {result.question.role}: {result.question.text} -> {result.answer}"
                )


if __name__ == "__main__":
    main()

"""Answers the cases of a folder that have no whole answer, several at a time, even if some of them fail."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from personaplex_ui.offline.engines import voice_of
from personaplex_ui.offline.folder.arguments import FolderRequest
from personaplex_ui.offline.folder.cases import DEEPEST, FoundCases, find_cases
from personaplex_ui.offline.folder.groups import GroupRun
from personaplex_ui.offline.folder.lock import only_one
from personaplex_ui.offline.folder.roles import dataset_of
from personaplex_ui.offline.folder.tasks import Outcome, Task, open_groups, tasks_of
from personaplex_ui.offline.path_words import readable

SHOWN = 20
"""Failed cases that are named again at the end, and datasets whose roles are told."""


def answer_folder(request: FolderRequest) -> Outcome:
    """Answer what is not answered yet, telling on stderr how far it is.

    Raises:
        PersonaplexError: nothing more can be answered. What was written by then is whole.
    """
    found = find_cases(request.folder)
    with only_one(request.folder) as locks:
        voice = voice_of(request)
        outcome = Outcome(failed=list(found.unread))
        tasks = tasks_of(request, voice, found.cases, outcome, locks)
        _say(_told(found, tasks, outcome))
        groups = open_groups(tasks, request.batch)
        if groups:
            slots = min(request.batch, len(found.cases))
            GroupRun(request, voice, slots, groups, outcome, locks).go()
    return outcome


def _told(found: FoundCases, tasks: Sequence[Task], outcome: Outcome) -> str:
    whole = f", {outcome.whole} are answered already" if outcome.whole else ""
    to_answer = [task for task in tasks if not task.whole]
    lines = [f"{len(found.cases)} recordings{whole}; {len(to_answer)} to answer."]
    roles = Counter((dataset_of(task.case), task.role) for task in to_answer)
    for (dataset, role), count in sorted(roles.items())[:SHOWN]:
        lines.append(f"  {readable(dataset)} ({count}): {' '.join(role[:80].split()) or 'no role'}")
    lines += [f"  {name} could not be answered: {sentence}" for name, sentence in outcome.failed[:SHOWN]]
    more = len(outcome.failed) - SHOWN
    lines += [f"  and {more} more."] if more > 0 else []
    if found.too_deep:
        first, *others = found.too_deep
        more = f" and {len(others)} more" if others else ""
        lines.append(f"  Not searched, more than {DEEPEST} levels deep: {first}{more}")
    return "\n".join(lines)


def _say(lines: str) -> None:
    print(lines, file=sys.stderr, flush=True)


def summary_of(outcome: Outcome, folder: Path) -> str:
    """What to tell at the end."""
    lines = [f"{outcome.answered} recordings answered in {readable(folder)}."]
    if outcome.failed:
        lines.append(f"{len(outcome.failed)} could not be answered:")
        lines += [f"  {name}: {sentence}" for name, sentence in outcome.failed[:SHOWN]]
        more = len(outcome.failed) - SHOWN
        lines += [f"  and {more} more."] if more > 0 else []
        lines.append("Mend them and run the command again: what is answered stays.")
    return "\n".join(lines)

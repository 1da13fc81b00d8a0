"""docs/API.md says the limits that hold."""

import re
from pathlib import Path

from personaplex_ui.calls.record import LONGEST_FACE_SEC
from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS
from personaplex_ui.channels.rest import bodies, events, kept_answers, places, values, work

DOCUMENT = Path(__file__).parents[4] / "docs" / "API.md"


def test_the_limits_are_those_of_the_code() -> None:
    text = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    stated = (
        rf"a sound \| {values.MAX_AUDIO_SEC:.0f} s",
        rf"a message, .* \| {values.MAX_MESSAGE_CHARACTERS:,} characters",
        rf"the history \| {values.MAX_HISTORY} messages",
        rf"`text_prompt` \| {MAX_PROMPT_CHARACTERS:,} characters",
        rf"a JSON body \| {bodies.MOST_JSON_BYTES // 1024} KiB",
        rf"`max_tokens` \| {values.LEAST_TOKENS} to {values.MOST_TOKENS:,}, by default {values.USUAL_TOKENS}",
        rf"an answer \| {work.MOST_SENTENCES} sentences, {work.MOST_ANSWER_SEC:.0f} s of sound",
        rf"more wait, at most {places.WAITS_AT_MOST_SEC:.0f} s",
        rf"an hour, {kept_answers.MOST_JOBS} answers, {kept_answers.MOST_BYTES // 1_000_000} MB",
        rf"the video of a call \| {LONGEST_FACE_SEC / 60:.0f} minutes",
        rf"A comment comes every {events.KEEP_ALIVE_SEC:.0f} s",
    )
    assert [limit for limit in stated if not re.search(limit, text)] == []
    assert kept_answers.KEEP_SEC == 3_600.0
    assert values.CHARACTERS_PER_TOKEN == 4

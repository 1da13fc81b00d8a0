"""Step b: does this app say what the reference says? By plain moshi on the same weights, token by token.

In float32 all tokens are the same. In bf16 two right ways of adding up the same numbers part sooner or later,
and a conversation that has parted goes on differently. So the first difference is judged by how close the two
tokens were, and the same conversation is compared once more position by position."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import torch
from moshi.models.compression import MimiModel
from moshi.utils.compile import no_compile

from personaplex_ui.accept.agreement import (
    HEADING,
    Agreement,
    Difference,
    Forced,
    agreement,
    first_difference,
    rounding_of,
)
from personaplex_ui.accept.conversation import Conversation, OnFrame, converse
from personaplex_ui.accept.reference import Reference, prompt_frames_of
from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Finding
from personaplex_ui.accept.teacher_forcing import forced_as_in_calls, forced_by_moshi, to_numpy
from personaplex_ui.audio.frames import Samples
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.models.personaplex.model import PersonaPlexModel

GREEDY = Sampling(greedy=True)

SAME_COSINE = {"float32": (0.99999, 0.9999), "bfloat16": (0.999, 0.99), "float16": (0.9999, 0.999)}
"""Mean cosine of the hidden states, by dtype: good from the first number on, a problem below the second.
Rounding to bf16 (one part in 256) in each of some thirty layers leaves some 0.9995."""

REPORT_IT = "Do not go live. Please report it with this report: the app computes something else than moshi."

NAMES = "Tokens, beside plain moshi", "Position by position, beside plain moshi"


def compare_with_moshi(
    model: PersonaPlexModel, mimi: MimiModel, persona: Persona, sound: Samples, on_frame: OnFrame
) -> Iterator[Finding]:
    """``persona`` has a recorded voice; ``mimi`` is the reference's own. ``sound`` ``[n, 1920]``: the last
    frame is not compared, since nothing comes after it that shows what followed from it."""
    dtype = str(model.stepper.temporal.dtype).removeprefix("torch.")
    ours = converse(model, persona, sound, GREEDY, lambda part: on_frame(part / 2))
    theirs = _said_by_moshi(model, mimi, ours, sound, lambda part: on_frame((1 + part) / 2))
    positions = theirs.positions(model)
    by_moshi = forced_by_moshi(model.language_model, positions)
    first = ours.prompt.shape[1]
    agreed = agreement(forced_as_in_calls(model, positions), by_moshi, first)
    difference = first_difference(ours.said[:-1], theirs.said[:-1])
    if difference is not None:
        difference = measured(difference, by_moshi, first, dtype)
    yield _on_tokens(difference, len(sound) - 1, dtype)
    yield _on_positions(agreed, dtype)


def _said_by_moshi(
    model: PersonaPlexModel, mimi: MimiModel, ours: Conversation, sound: Samples, on_frame: OnFrame
) -> Conversation:
    lm = model.language_model
    said: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
    with no_compile(), torch.no_grad():
        reference = Reference(lm, mimi, greedy=True)
        try:
            for frame in prompt_frames_of(ours.prompt, lm.device):
                reference.step_prompt(frame)
            for number, heard in enumerate(sound):
                tokens, _ = reference.step(heard)
                said.append(to_numpy(tokens))
                on_frame((number + 1) / len(sound))
        finally:
            reference.close()
    return replace(ours, said=np.array(said, dtype=np.int32))


def measured(difference: Difference, forced: Forced, prompt_positions: int, dtype: str) -> Difference:
    """``difference`` with the margin in the logits of ``forced``, whose conversation begins after so many
    positions."""
    # Text and first codebook of a frame are chosen one position before it, the others at it.
    position = prompt_positions + difference.frame - (difference.stream <= 1)
    if difference.stream == 0:
        logits = forced.text_logits[position]
    else:
        logits = forced.audio_logits[position, difference.stream - 1]
    margin = float(logits[difference.other] - logits[difference.one])
    return replace(difference, margin=margin, rounding=rounding_of(logits, dtype))


def _on_tokens(difference: Difference | None, frames: int, dtype: str) -> Finding:
    name = NAMES[0]
    if difference is None:
        sentence = f"All greedy tokens of {frames} frames are the reference's ({dtype})."
        return Finding(name, OK, f"{frames} of {frames} frames equal", sentence, data={"frames": frames})
    data = asdict(difference) | {"frames": frames, "dtype": dtype}
    number = f"{difference.frame} of {frames} frames equal"
    if not difference.is_rounding:
        return Finding(
            name, PROBLEM, number, f"{difference.words} That is no rounding.", REPORT_IT, data=data
        )
    expected = dtype != "float32"
    sentence = f"{difference.words} {'In ' + dtype + ' that is to be expected.' if expected else ''}".strip()
    step = (
        "" if expected else "Compare the numbers of the next line; both ways should give the same in float32."
    )
    return Finding(name, OK if expected else WARNING, number, sentence, step, data=data)


def _on_positions(agreed: Agreement, dtype: str) -> Finding:
    good, bad = SAME_COSINE[dtype]
    cosine = agreed.hidden_cosine
    sentence = (
        f"Given the same {agreed.positions} positions, the app's hidden states and moshi's have a mean "
        f"cosine of {cosine:.6f}, and both would say the same text in {agreed.text_top1:.1%} of them and the "
        f"same codes in {agreed.audio_top1:.1%} ({dtype}; good from {good})."
    )
    verdict = OK if cosine >= good else WARNING if cosine >= bad else PROBLEM
    step = (
        ""
        if verdict is OK
        else REPORT_IT
        if verdict is PROBLEM
        else "Listen to some calls before you go live."
    )
    table = (HEADING, agreed.row)
    return Finding(NAMES[1], verdict, f"cosine {cosine:.5f}", sentence, step, table, asdict(agreed))

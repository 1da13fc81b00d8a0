"""Step c: what int8 weights change. The same positions through the model with int8 weights and the one
without."""

from dataclasses import asdict

from personaplex_ui.accept.agreement import HEADING, Agreement
from personaplex_ui.accept.report import OK, PROBLEM, WARNING, Finding

NAME = "int8 against whole weights"

COSINES = 0.995, 0.98
TEXT_TOP1 = 0.95, 0.90
AUDIO_TOP1 = 0.80, 0.60
"""Good from the first number on, a problem below the second. They are what int8 weights with one scale a row
cost language models of this size as a rule; for PersonaPlex nobody has measured it yet. Audio is drawn from
flatter distributions than text, so that its likeliest token changes more easily, and is heard less."""

LISTEN = (
    "Set QUANTIZE=off if the GPU has room for it, and compare by ear: answer the same recordings with both "
    "(personaplex-ui offline --quantize int8)."
)


def on_fidelity(agreed: Agreement, here: str, there: str) -> Finding:
    """``here``: what is in int8 in the model whose conversation it was; ``there``: in the other."""
    measured = (
        (agreed.hidden_cosine, *COSINES),
        (agreed.text_top1, *TEXT_TOP1),
        (agreed.audio_top1, *AUDIO_TOP1),
    )
    if any(value < bad for value, _, bad in measured):
        verdict = PROBLEM
    else:
        verdict = OK if all(value >= good for value, good, _ in measured) else WARNING
    sentence = (
        f"A conversation of the model with {here} was given to it and to the one with {there}. At "
        f"{agreed.positions} positions their hidden states have a mean cosine of {agreed.hidden_cosine:.5f}; "
        f"the text's likeliest token is the same in {agreed.text_top1:.1%}, the sound's in "
        f"{agreed.audio_top1:.1%}."
    )
    number = f"cosine {agreed.hidden_cosine:.5f}, text {agreed.text_top1:.1%}, audio {agreed.audio_top1:.1%}"
    step = "" if verdict is OK else LISTEN
    return Finding(NAME, verdict, number, sentence, step, (HEADING, agreed.row), asdict(agreed))

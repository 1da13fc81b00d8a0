"""The steps of the acceptance test, in the order of the report."""

from personaplex_ui.accept.report import Step

MACHINE = Step(
    "a",
    "The machine",
    "GPU, driver, versions, memory and the model's loading, as `personaplex-ui doctor` sees them.",
)
PARITY = Step(
    "b",
    "The same tokens as the reference",
    "Whole weights, greedy. Plain moshi runs one caller with its own `LMGen` on the same weights, and "
    "conversations that NVIDIA's implementation recorded are played with `--reference`. In float32 all "
    "tokens are equal. In bf16 two right ways of adding up part sooner or later: what counts is how close "
    "the two tokens were where they part, and "
    "how alike the hidden states are when both are given the same conversation.",
)
FIDELITY = Step(
    "c",
    "int8 against whole weights",
    "Both models are given the same positions of one conversation (teacher forcing), one after the other. "
    "Cosine 1 and 100 % mean the same. The limits (0.995, 95 % for text, 80 % for sound) are usual for int8 "
    "weights in language "
    "models, not measured for PersonaPlex.",
)
TIMES = Step(
    "d",
    "Frame times",
    "One step hears 80 ms of every caller and answers, so it must take less. *Early* is the beginning of a "
    "call, "
    "*full* a call after four minutes, which reads the most memory. Good: 99 % of the steps within 64 ms.",
)
SOAK = Step(
    "e",
    "Soak",
    "The app's own engine with all its callers in real time. Half of them stay, the others come and go, each "
    "with a "
    "role nobody has had before. Good: no step over 80 ms, no frame dropped, no growth.",
)
SOUND = Step(
    "f",
    "Sound of what was said",
    "Numbers that a broken model, codec or buffer changes: silence, samples at full scale, frames repeated "
    "bit by bit, sound that repeats itself for seconds, noise (flatness above 0.4; speech has 0.001 to "
    "0.05), level. They do not "
    "say whether it sounds good.",
)

STEPS = (MACHINE, PARITY, FIDELITY, TIMES, SOAK, SOUND)

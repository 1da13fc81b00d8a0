"""What hardware costs an hour, as the hub lists it. README.md has the date and the source."""

from huggingface_hub import SpaceHardware

PRICES = {
    "cpu-basic": 0.0,
    "cpu-upgrade": 0.03,
    "zero-a10g": 0.0,
    "t4-small": 0.40,
    "t4-medium": 0.60,
    "l4x1": 0.80,
    "l4x4": 3.80,
    "l40sx1": 1.80,
    "l40sx4": 8.30,
    "a10g-small": 1.00,
    "a10g-large": 1.50,
    "a100-large": 2.50,
}
"""US dollars an hour. Others exist; of those nothing is said."""


def cost_of(hardware: str, sleep_minutes: int | None) -> str:
    """One sentence."""
    price = PRICES.get(hardware)
    if price is None:
        return f"{hardware}: see https://huggingface.co/pricing for its price."
    if price == 0:
        return f"{hardware} costs nothing."
    awake = f"{hardware} costs {price:.2f} USD an hour while it is awake (list price)"
    if sleep_minutes is None:
        altogether = f"{24 * price:.0f} a day, {730 * price:.0f} a month"
        return f"{awake}: {altogether}. It never sleeps by itself; --sleep-minutes changes that."
    return f"{awake}, which it is until {sleep_minutes} minutes after the last visitor."


def unknown_hardware(hardware: str | None) -> str:
    """A warning if the installed huggingface_hub does not know the name, else an empty text. The hub may have
    newer ones."""
    known = sorted({*(one.value for one in SpaceHardware), *PRICES})
    if hardware is None or hardware in known:
        return ""
    return f"{hardware} is not known here, so the hub may refuse it. Known are {', '.join(known)}."

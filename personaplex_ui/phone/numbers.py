"""Telephone numbers: which can be dialled, and how one is shown. Pure; knows E.164 and no service.

Numbers are in E.164: ``+``, country code, number, 7 to 15 digits. Emergency and other short numbers have no
such form and are refused with all that has none. The premium ranges are those that are dialled by mistake or
by fraud most often; what an account may call at all is set in Twilio's console (geographic permissions).
"""

import re

from personaplex_ui.errors import InvalidInput

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
PUNCTUATION = re.compile(r"[\s().\-\u2010-\u2015/]")

PREMIUM = (
    "+1900",  # North America
    "+1976",
    "+3389",  # France
    "+43900",  # Austria
    "+43930",
    "+41900",  # Switzerland
    "+41901",
    "+41906",
    "+4470",  # United Kingdom
    "+449",
    "+4487",
    "+49137",  # Germany: mass calls
    "+49900",
    "+870",  # satellites
    "+881",
    "+882",
    "+883",
    "+979",  # international premium rate
)
SHOWN_DIGITS = 4


def normalised(text: str) -> str | None:
    """The number in E.164, without spaces and punctuation; None when it has no such form."""
    number = PUNCTUATION.sub("", text)
    return number if E164.fullmatch(number) else None


def check_number(value: object, field: str = "to") -> str:
    """A number that may be dialled, in E.164.

    Raises:
        InvalidInput: it has another form, or belongs to a range that costs extra. The sentence does not
            repeat the number.
    """
    number = normalised(value) if isinstance(value, str) and len(value) <= 40 else None
    if number is None:
        raise InvalidInput(
            field,
            "The number must be written with + and its country code, 7 to 15 digits, as in +15551234567. "
            "Short numbers, such as emergency services, cannot be called.",
        )
    if number.startswith(PREMIUM):
        raise InvalidInput(field, "This number belongs to a premium or satellite range, which is not called.")
    return number


def masked(number: str) -> str:
    """How a number is shown and logged: its first digits and its last, as in ``+49…1234``; of a short one
    fewer. Anything else (a SIP address, a withheld number) is ``unknown``."""
    found = normalised(number)
    if found is None:
        return "unknown"
    shown = SHOWN_DIGITS if len(found) > 10 else SHOWN_DIGITS // 2
    return f"{found[:3]}…{found[-shown:]}"

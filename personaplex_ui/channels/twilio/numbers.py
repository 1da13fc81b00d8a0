"""Telephone numbers: which can be dialled, and how they are shown. Pure; independent of any service.

``phonenumbers`` parses what people write (``+44 (0)20 7946 0018``, ``0044 20 ...``); it knows each country's
trunk prefix and number lengths. The result is E.164: ``+``, country code and number, 7 to 15 digits.
Emergency and other short numbers have no such form and are refused. The premium ranges are those dialled most
often by mistake or fraud; Twilio's console sets which countries an account may call (geographic permissions).
"""

import re
import unicodedata

import phonenumbers

from personaplex_ui.errors import InvalidInput

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
PUNCTUATION = re.compile(r"[\s().\-\u2010-\u2015/]")
TELEPHONE_URI = re.compile(r"^tel:", re.IGNORECASE)
INTERNATIONAL_PREFIX = re.compile(r"^(\(?)00")
WRITTEN = re.compile(r"\(?\+[0-9A-Za-z\s().\-\u2010-\u2015/,;=#]+")
"""One plus sign, digits, separators, and an extension."""
LONGEST_WRITTEN = 250

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
    """The number in E.164 from any notation; None if it has no such form or has an extension."""
    number = _parse(text)
    return None if number is None or number.extension else _e164(number)


def check_number(value: object, field: str = "to") -> str:
    """Check a number to dial; returns it in E.164.

    Raises:
        InvalidInput: it is malformed, or belongs to a range that costs extra. The message does not quote the
            number.
    """
    number = _parse(value) if isinstance(value, str) and len(value) <= 40 else None
    if number is None:
        raise InvalidInput(
            field,
            "The number must be written with + and its country code, 7 to 15 digits, as in +15551234567. "
            "Short numbers, such as emergency services, cannot be called.",
        )
    if number.extension:
        raise InvalidInput(field, "The number has an extension, which cannot be dialled. Leave it out.")
    dialled = _e164(number)
    if dialled.startswith(PREMIUM):
        raise InvalidInput(field, "This number belongs to a premium or satellite range, which is not called.")
    return dialled


def masked(number: str) -> str:
    """The form in which a number is shown and logged: its first and last digits, such as ``+49…1234``, or
    fewer if it is short. Anything else (a SIP address, a withheld number) is ``unknown``."""
    found = normalised(number) or PUNCTUATION.sub("", number)
    if not E164.fullmatch(found):  # a caller's number may have any length
        return "unknown"
    shown = SHOWN_DIGITS if len(found) > 10 else SHOWN_DIGITS // 2
    return f"{found[:3]}…{found[-shown:]}"


def _parse(text: str) -> phonenumbers.PhoneNumber | None:
    """None if it is not an international number, or not a possible one in its country."""
    written = "".join(
        letter
        for letter in unicodedata.normalize("NFKC", text[:LONGEST_WRITTEN])
        if unicodedata.category(letter) != "Cf"  # text direction marks, copied along with a number
    )
    written = TELEPHONE_URI.sub("", written.strip())
    written = INTERNATIONAL_PREFIX.sub(r"\1+", written)
    if not WRITTEN.fullmatch(written):
        return None
    try:
        number = phonenumbers.parse(written)
    except phonenumbers.NumberParseException:
        return None
    possible = (
        phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    )
    return number if possible and E164.fullmatch(_e164(number)) else None


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

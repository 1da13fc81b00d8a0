"""The configured Twilio account, and which settings are missing to answer or to dial."""

import re
from dataclasses import dataclass, field

from personaplex_ui.errors import SettingsError

ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class PhoneAccount:
    """``auth_token``: the account's secret, with which Twilio signs its requests. Empty values are not set.

    Raises:
        SettingsError: ``account_sid`` is malformed.
    """

    account_sid: str = ""
    auth_token: str = field(default="", repr=False)
    phone_number: str = ""

    def __post_init__(self) -> None:
        if self.account_sid and not ACCOUNT_SID.fullmatch(self.account_sid):
            raise SettingsError(
                "TWILIO_ACCOUNT_SID must be AC and 32 hexadecimal digits, as on the first page of Twilio's "
                "console."
            )

    @property
    def can_answer(self) -> bool:
        """Whether calls to the number can be answered, because Twilio's signatures can be checked."""
        return bool(self.auth_token)

    @property
    def can_dial(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """The missing variables without which no call can be made."""
        given = {
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_PHONE_NUMBER": self.phone_number,
        }
        return tuple(name for name, value in given.items() if not value)

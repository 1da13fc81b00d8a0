"""What was given of a Twilio account."""

from pathlib import Path

import pytest

from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.errors import SettingsError
from tests.support.phone_app import phone_app

SID = "AC" + "0f" * 16


def test_what_is_missing_to_make_calls_is_named() -> None:
    assert PhoneAccount().missing == ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER")
    answering = PhoneAccount(auth_token="secret")
    assert (answering.can_answer, answering.can_dial) == (True, False)
    assert answering.missing == ("TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER")
    assert PhoneAccount(SID, "secret", "+15551234567").can_dial


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(PhoneAccount(SID, "secret"))


@pytest.mark.parametrize("sid", ["SK" + "0f" * 16, "AC123", SID + "\n", "../" + SID])
def test_another_sid_is_a_sentence(sid: str) -> None:
    with pytest.raises(SettingsError, match="TWILIO_ACCOUNT_SID"):
        PhoneAccount(sid)


async def test_an_announcement_that_cannot_be_said_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PHONE_ANNOUNCEMENT"):
        async with phone_app(tmp_path, announcement="x" * 301, loaded=False):
            pass

"""The HTML of the phone tab: the setup of your own number, an outbound call, and FastRTC's number.

Callers' numbers are never shown in full.
"""

from collections.abc import Sequence

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.fastrtc_phone.number import NumberState, NumberView
from personaplex_ui.channels.twilio.call_log import PhoneCall
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.ui.field_view import field_message_html
from personaplex_ui.ui.rendering import plural, render

STATES = {
    "unknown": "Waiting for Twilio",
    "queued": "Queued",
    "initiated": "Dialling",
    "ringing": "Ringing",
    "in-progress": "Talking",
    "completed": "Ended",
    "busy": "Busy",
    "failed": "Not connected",
    "no-answer": "Nobody answered",
    "canceled": "Cancelled",
}
WITH_A_PERSON = "Talking with a person"
NOBODY = Human()


def setup_html(
    configured: bool,
    webhook_url: str | None,
    phone_number: str,
    recorded: bool,
    missing: Sequence[str],
    human: Human = NOBODY,
    transfers_left: int = 0,
) -> str:
    """The three steps to set up your own number, or the number that is set up.

    ``webhook_url``: None if the public address is unknown. ``missing``: the missing variables without which
    no calls can be made. ``human``: to whom callers are put through, ``transfers_left`` times more today.
    """
    return render(
        "phone_setup",
        configured=configured,
        webhook_url=webhook_url,
        phone_number=phone_number,
        recorded=recorded,
        missing=missing,
        human=human,
        transfers_left=plural(transfers_left, "more caller"),
    )


def call_html(call: PhoneCall | None, message: str = "") -> str:
    """The state of an outbound call, or why there is none."""
    if call is None:
        return field_message_html(message)
    state = STATES.get(call.status, call.status)
    if call.end is End.TRANSFERRED and not call.over:
        state = WITH_A_PERSON
    return render("phone_call", call=call, state=state)


def left_today_html(left: int) -> str:
    return render("calls_left", calls=plural(left, "more call"))


def number_html(number: NumberView) -> str:
    """FastRTC's number: what to dial, the code and the minutes left; or its state."""
    return render(
        "fastrtc_number",
        number=number,
        ready=number.state is NumberState.READY,
        failed=number.state is NumberState.FAILED,
    )

"""The HTML of the page's phone tab: how to get there, what is set up, a call being made, FastRTC's number.

Pure functions from plain values to strings, as in ``render``; nothing here shows a caller's number in full.
"""

from collections.abc import Sequence
from html import escape

from personaplex_ui.channels.fastrtc_phone.number import NumberState, NumberView
from personaplex_ui.channels.twilio.call_log import PhoneCall

CONSOLE = "https://console.twilio.com/"
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
    "canceled": "Taken back",
}


def setup_html(
    configured: bool,
    webhook_url: str | None,
    phone_number: str,
    recorded: bool,
    missing: Sequence[str],
) -> str:
    """The three steps to a number of one's own, or that it is set up. ``webhook_url`` None: the public
    address is not known. ``missing``: the variables without which no calls can be made."""
    address = _address(webhook_url)
    if configured:
        number = f"<p>Your number: <strong>{_text(phone_number)}</strong></p>" if phone_number else ""
        recording = (
            "Telephone calls are recorded, and callers are told so first."
            if recorded
            else "Telephone calls are not recorded."
        )
        return (
            f'<div class="pp-phone"><p><strong>Twilio calls are taken.</strong> {recording}</p>{number}'
            f"<p>Webhook of the number, under “A call comes in”:</p>{address}</div>"
        )
    names = ", ".join(f"<code>{_text(name)}</code>" for name in missing)
    return (
        '<div class="pp-phone"><p>With a number of Twilio, anyone can call the assistant. Three steps:</p>'
        "<ol>"
        f'<li>Create an account at <a href="{CONSOLE}" target="_blank" rel="noopener">Twilio</a> and buy a '
        "number that takes voice calls.</li>"
        f"<li>Give this app the account and the number, as environment variables or secrets of the Space: "
        f"{names}. Then start it again.</li>"
        "<li>In the Twilio console, open the number and paste this address under “A call comes in”, as a "
        f"webhook with HTTP POST:{address}</li></ol>"
        "<p>docs/PHONE.md in the repository goes through each step, and shows how to give each number a role "
        "of its own.</p></div>"
    )


def call_html(call: PhoneCall | None, message: str = "") -> str:
    """A call that is being made, in words; or why there is none."""
    if call is None:
        return f'<p class="pp-field-message"{_alert(message)}>{_text(message)}</p>'
    state = STATES.get(call.status, call.status)
    reason = f" {_text(call.reason)}" if call.over and call.reason else ""
    return (
        f'<div class="pp-phone-call" data-announce="{_text(state)}."><p><strong>{_text(state)}</strong> '
        f"{_text(call.number)}{reason}</p></div>"
    )


def left_today_html(left: int) -> str:
    calls = "1 more call" if left == 1 else f"{left} more calls"
    return f'<p class="pp-counter">{calls} may be made today.</p>'


def number_html(view: NumberView) -> str:
    """FastRTC's number: what to dial, the code, the minutes left; or what goes on instead."""
    if view.state is not NumberState.READY:
        look = "pp-field-message" if view.state is NumberState.FAILED else "pp-empty"
        return f'<p class="{look}" data-announce="{_text(view.sentence)}">{_text(view.sentence)}</p>'
    minutes = ""
    if view.remaining:
        until = f" until {_text(view.reset_date)}" if view.reset_date else ""
        minutes = f"<dt>Minutes left</dt><dd>{_text(view.remaining)}{until}</dd>"
    return (
        f'<div data-announce="{_text(view.sentence)}"><dl class="pp-number"><dt>Call</dt>'
        f"<dd><strong>{_text(view.number)}</strong></dd><dt>Code</dt><dd><strong>{_text(view.code)}</strong>"
        f"</dd>{minutes}</dl></div>"
    )


def _address(webhook_url: str | None) -> str:
    if webhook_url is None:
        return (
            '<p class="pp-address"><code>https://<em>your address</em>/twilio/inbound</code></p>'
            "<p>Set <code>SERVER_URL</code> to the address at which the internet reaches this app, as in "
            "https://example.org.</p>"
        )
    return f'<p class="pp-address"><code>{_text(webhook_url)}</code></p>'


def _alert(message: str) -> str:
    return ' role="alert"' if message else ""


def _text(words: str) -> str:
    return escape(words, quote=True)

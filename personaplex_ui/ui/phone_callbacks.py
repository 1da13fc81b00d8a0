"""The callbacks of the phone tab: component values in, HTML out. Whatever costs money needs the key."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import time
from collections.abc import AsyncIterator

import gradio as gr

from personaplex_ui.channels.fastrtc_phone.number import FastRtcNumber, NumberState
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.ui import page_request, phone_view
from personaplex_ui.web.security.credentials import Credentials, Shown
from personaplex_ui.web.security.operator import IsOperator

FOLLOWED_EVERY_SEC = 0.5
RINGS_WITHIN_SEC = 120.0
UNANSWERED = ("unknown", "queued", "initiated", "ringing")
"""If a call keeps one of these for longer, Twilio's status reports do not reach us."""

NO_KEY = "Calls cost money, so they need a key: set API_KEY, start the app again, and enter the key here."
WRONG_KEY = "This is not the API_KEY of this server."
NO_ADDRESS = (
    "Twilio must reach this server: set SERVER_URL to its public address, such as https://example.org."
)
NOT_OPERATOR = (
    "Only whoever runs this server may ask for a number: open the link in the server's log, "
    "or start the app with: personaplex-ui serve --phone"
)

NumberShown = tuple[object, str]
"""The number, and the reason for a refusal."""

CallView = tuple[object, object, object]
"""The SID of the call, its HTML, and how many more calls may be made today."""


class PhoneCallbacks:
    """Calls through Twilio; one object for all visitors.

    ``record``: whether telephone calls are recorded. ``number``: FastRTC's, or None if none is lent.
    ``is_operator``: who sees the set-up and the number.
    """

    def __init__(
        self,
        phone: PhoneService,
        number: FastRtcNumber | None,
        keys: Credentials,
        record: bool,
        is_operator: IsOperator,
    ) -> None:
        self.number = NumberCallbacks(number, keys, is_operator) if number is not None else None
        self._phone = phone
        self._keys = keys
        self._record = record
        self._is_operator = is_operator

    @property
    def can_dial(self) -> bool:
        return self._phone.account.can_dial

    def show_setup(self, request: gr.Request) -> str:
        """When the tab is opened; empty for visitors."""
        if not self.may_see(request):
            return ""
        public_url = page_request.public_url(request)
        return phone_view.setup_html(
            self._phone.configured,
            self._phone.webhook_url(public_url) if public_url else None,
            self._phone.account.phone_number,
            self._record,
            self._phone.account.missing,
            self._phone.human,
            self._phone.transfers.left_today,
        )

    def may_see(self, request: gr.Request) -> bool:
        return page_request.asked_by_operator(request, self._is_operator)

    def show_number(self, request: gr.Request) -> str:
        """FastRTC's number, if one may be lent; empty for visitors."""
        return self.number.show() if self.number is not None and self.may_see(request) else ""

    def show_left(self, request: gr.Request) -> str:
        """How many more calls may be made today; empty for visitors."""
        return self._left() if self.may_see(request) else ""

    def _left(self) -> str:
        return phone_view.left_today_html(self._phone.outbound.left_today)

    async def call(
        self, key: str, number: str, voice: str, role: str, request: gr.Request
    ) -> AsyncIterator[CallView]:
        """Call ``number`` and follow the call to its end."""
        try:
            check_key(self._keys, key, request)
            url = page_request.own_url(request)
            if url is None:
                raise InvalidInput("server_url", NO_ADDRESS)
            call = await self._phone.outbound.dial(number, voice, role, url)
        except PersonaplexError as error:
            yield "", phone_view.call_html(None, str(error)), self._left()
            return
        shown = ""
        while True:
            html = phone_view.call_html(call)
            if html != shown:
                shown = html
                yield call.call_sid, html, self._left()
            else:
                yield gr.skip(), gr.skip(), gr.skip()  # lets Gradio notice that the page was closed
            if call.over or (call.status in UNANSWERED and time.time() > call.started_at + RINGS_WITHIN_SEC):
                return
            await asyncio.sleep(FOLLOWED_EVERY_SEC)

    async def hang_up(self, key: str, call_sid: str, request: gr.Request) -> object:
        """End the call that this page made; ``call`` shows its end."""
        unchanged: object = gr.skip()
        if not call_sid:
            return unchanged
        try:
            check_key(self._keys, key, request)
            await self._phone.endings.hang_up(call_sid)
        except PersonaplexError as error:
            return phone_view.call_html(None, str(error))
        return unchanged


class NumberCallbacks:
    """FastRTC's number, for whoever has the key or, if none is set, is the operator."""

    def __init__(self, number: FastRtcNumber, keys: Credentials, is_operator: IsOperator) -> None:
        self._number = number
        self._keys = keys
        self._is_operator = is_operator

    def show(self) -> str:
        return phone_view.number_html(self._number.view())

    async def get(self, key: str, request: gr.Request) -> AsyncIterator[NumberShown]:
        """Ask FastRTC for a number and show the progress."""
        try:
            self._check_operator(key, request)
        except PersonaplexError as error:
            yield gr.skip(), phone_view.call_html(None, str(error))
            return
        opening = asyncio.create_task(self._number.open())
        opening.add_done_callback(_take_note)
        try:
            while not (await asyncio.wait([opening], timeout=FOLLOWED_EVERY_SEC))[0]:
                yield self.show(), ""
            opening.result()
        except PersonaplexError:
            pass  # the number's view says why
        yield self.show(), ""

    async def give_back(self, key: str, request: gr.Request) -> NumberShown:
        """Give the number back to FastRTC, if there is one."""
        try:
            self._check_operator(key, request)
        except PersonaplexError as error:
            unchanged: object = gr.skip()
            return unchanged, phone_view.call_html(None, str(error))
        if self._number.state is not NumberState.OFF:
            await self._number.close()
        return self.show(), ""

    def _check_operator(self, key: str, request: gr.Request) -> None:
        if self._keys.has_api_key:
            check_key(self._keys, key, request)
        elif not page_request.asked_by_operator(request, self._is_operator):
            raise InvalidInput("api_key", NOT_OPERATOR)


def check_key(keys: Credentials, key: str, request: gr.Request) -> None:
    """Raises PersonaplexError if ``key`` is not the API key, or after too many wrong keys."""
    if not keys.has_api_key:
        raise InvalidInput("api_key", NO_KEY)
    shown = Shown(bearer=(key or "").strip().encode(errors="replace"))
    if not keys.admits_machine(shown, page_request.address_of(request)):
        raise InvalidInput("api_key", WRONG_KEY)


def _take_note(opening: "asyncio.Task[None]") -> None:
    # The number's view says why; without this, asyncio would complain if the page was closed meanwhile.
    if not opening.cancelled():
        opening.exception()

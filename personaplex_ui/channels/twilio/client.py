"""Outbound calls through Twilio's REST API, and what its errors mean.

The sentences contain neither keys nor numbers.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError

from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

ANSWERS_WITHIN_SEC = 4.0
"""A shutdown may also have to wait this long, because the client blocks a thread."""

RINGS_SEC = 40
"""Most voice mailboxes answer later than that."""

STATUS_EVENTS = ["initiated", "ringing", "answered", "completed"]

KEYS_REFUSED = "Twilio refused our keys. Please check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."
SENTENCES = {
    (20003,): KEYS_REFUSED,
    (20005, 10001, 10005): "This Twilio account is suspended or may make no calls. Its console says why.",
    (21201, 21202, 21211, 21214, 21217, 13223, 13224): (
        "Twilio cannot call this number. Please check that it is right."
    ),
    (21219, 21608): (
        "A trial account of Twilio calls only numbers that were verified in its console. "
        "Verify this number there, or upgrade the account."
    ),
    (13227, 32205, 21215, 21216): (
        "This Twilio account may not call that country. Permit it in the console under Voice, Settings, "
        "Geographic permissions."
    ),
    (21210, 21212, 21606): (
        "TWILIO_PHONE_NUMBER is not a number this Twilio account may call from. Please check it."
    ),
}
"""By Twilio's error codes."""

UNREACHABLE = "Twilio could not be reached. Please try again in a minute."
IS_OVER = (21220, 20404)
"""Twilio's codes for ending a call that has already ended."""

TUNNEL_REFUSED = "Tunnel connection failed"
"""The start of the message that ``http.client`` raises when a proxy refuses to connect."""

_NOT_UNDERSTOOD = (ValueError, TypeError, AttributeError, KeyError)
"""Twilio's client does not check answers, so an unexpected one, such as a proxy's, raises these."""

_Result = TypeVar("_Result")


class NobodyCalled(PhoneUnavailable):
    """No call was made for certain: Twilio said so, or nothing was ever sent to it. ``twilio_code``: Twilio's
    error code, or 0."""

    def __init__(self, sentence: str, twilio_code: int = 0) -> None:
        super().__init__(sentence)
        self.twilio_code = twilio_code


class TwilioClient:
    """One account's outbound calls. ``client``: replaces the client built from the account, for tests."""

    def __init__(self, account: PhoneAccount, client: Client | None = None) -> None:
        self._from_number = account.phone_number
        self._client = client or _client(account)

    async def dial(self, to: str, url: str, status_url: str) -> str:
        """Call ``to`` (E.164); returns the SID of the queued call. Twilio asks the webhook ``url`` what to do
        when the call is answered, and reports its progress to ``status_url``.

        Raises:
            NobodyCalled: Twilio refused, or the connection was never made.
            PhoneUnavailable: Twilio did not answer, or not understandably; it may have made the call.
        """
        return await self._ask(lambda: self._create(to, url, status_url))

    async def hang_up(self, call_sid: str) -> str:
        """End a ringing or live call; returns the status Twilio then reports, or an empty string if the call
        was already over.

        Raises:
            PhoneUnavailable: Twilio refused or did not answer.
        """
        try:
            return await self._ask(lambda: self._end(call_sid))
        except NobodyCalled as refused:
            if refused.twilio_code not in IS_OVER:
                raise
            return ""

    async def look(self) -> tuple[str, str | None]:
        """The account's status, and the webhook of the account's number; None if the account does not own the
        number.

        Raises:
            PhoneUnavailable: Twilio refused or did not answer.
        """
        return await self._ask(self._look)

    def _create(self, to: str, url: str, status_url: str) -> str:
        call = self._client.calls.create(
            to=to,
            from_=self._from_number,
            url=url,
            method="POST",
            status_callback=status_url,
            status_callback_event=STATUS_EVENTS,
            status_callback_method="POST",
            timeout=RINGS_SEC,
        )
        if not call.sid:
            raise ValueError("an answer without a SID")
        return call.sid

    def _end(self, call_sid: str) -> str:
        status: object = self._client.calls(call_sid).update(status="completed").status
        return status if isinstance(status, str) else ""

    def _look(self) -> tuple[str, str | None]:
        status: object = self._client.api.account.fetch().status
        numbers = self._client.incoming_phone_numbers.list(phone_number=self._from_number, limit=1)
        webhook: object = numbers[0].voice_url if numbers else None
        return str(status), None if webhook is None else str(webhook)

    async def _ask(self, request: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.to_thread(request)
        except (TwilioRestException, TwilioServiceException) as error:
            log.warning("Twilio refused a request: status %s, code %s.", error.status, error.code)
            raise _refusal(int(error.code or 0), int(error.status)) from None
        except (TwilioException, requests.RequestException, *_NOT_UNDERSTOOD) as error:
            log.warning("Twilio could not be asked: %s.", type(error).__name__)
            raise (NobodyCalled if _never_connected(error) else PhoneUnavailable)(UNREACHABLE) from None


def _refusal(code: int, status: int) -> PhoneUnavailable:
    if status >= 500:
        return PhoneUnavailable("Twilio has a problem at the moment. Please try again in a few minutes.")
    sentence = f"Twilio refused this (error {code}). Its console explains it under Monitor, Logs, Errors."
    if status == 429:
        sentence = "Twilio accepts no more calls from this account at the moment. Please try again later."
    elif known := next((told for codes, told in SENTENCES.items() if code in codes), ""):
        sentence = known
    elif status in (401, 403):
        sentence = KEYS_REFUSED
    return NobodyCalled(sentence, code)


def _never_connected(error: Exception) -> bool:
    """Whether no connection was ever made over which the request could have been sent, directly or by
    proxy."""
    reason: object = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else error
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    if isinstance(reason, ProxyError):  # also raised for connections that broke later
        reason = reason.original_error
    if isinstance(reason, ConnectTimeoutError | NewConnectionError):  # includes names that do not resolve
        return True
    return isinstance(reason, OSError) and str(reason).startswith(TUNNEL_REFUSED)


def _client(account: PhoneAccount) -> Client:
    # Its own logger would show the account and the addresses of every request at level INFO.
    silent = logging.getLogger(f"{__name__}.requests")
    silent.disabled = True
    http = TwilioHttpClient(timeout=ANSWERS_WITHIN_SEC, logger=silent)
    # Pass an environment; otherwise the client reads keys and regions from the process environment.
    environment = {"TWILIO_ACCOUNT_SID": account.account_sid}
    return Client(account.account_sid, account.auth_token, http_client=http, environment=environment)

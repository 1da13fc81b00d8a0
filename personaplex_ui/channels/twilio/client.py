"""Outbound calls through Twilio's REST API, so many a day. Knows Twilio's client and what its errors mean.

Its sentences hold neither keys nor numbers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TypeVar

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError

from personaplex_ui.channels.twilio.daily_count import DailyCount
from personaplex_ui.errors import PhoneUnavailable, StorageFailed

log = logging.getLogger(__name__)

ANSWERS_WITHIN_SEC = 4.0
"""Also what the end of the server may have to wait for: the client blocks a thread."""

RINGS_SEC = 40
"""Most mailboxes answer later than that."""

STATUS_EVENTS = ["initiated", "ringing", "answered", "completed"]

KEYS_REFUSED = "Twilio refused our keys. Please check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."
NUMBER_REFUSED = "Twilio cannot call this number. Please check that it is right."
UNVERIFIED = (
    "A trial account of Twilio calls only numbers that were verified in its console. "
    "Verify this number there, or upgrade the account."
)
NOT_PERMITTED = (
    "This Twilio account may not call that country. Permit it in the console under Voice, Settings, "
    "Geographic permissions."
)
SENDER_REFUSED = "TWILIO_PHONE_NUMBER is not a number this Twilio account may call from. Please check it."
SUSPENDED = "This Twilio account is suspended or may make no calls. Its console says why."
SENTENCES = {
    20003: KEYS_REFUSED,
    20005: SUSPENDED,
    10001: SUSPENDED,
    10005: SUSPENDED,
    21201: NUMBER_REFUSED,
    21202: NUMBER_REFUSED,
    21211: NUMBER_REFUSED,
    21214: NUMBER_REFUSED,
    21217: NUMBER_REFUSED,
    13223: NUMBER_REFUSED,
    13224: NUMBER_REFUSED,
    21219: UNVERIFIED,
    21608: UNVERIFIED,
    13227: NOT_PERMITTED,
    32205: NOT_PERMITTED,
    21215: NOT_PERMITTED,
    21216: NOT_PERMITTED,
    21210: SENDER_REFUSED,
    21212: SENDER_REFUSED,
    21606: SENDER_REFUSED,
}
UNREACHABLE = "Twilio could not be reached. Please try again in a minute."
IS_OVER = (21220, 20404)
"""What Twilio says when a call is ended that has ended."""

TUNNEL_REFUSED = "Tunnel connection failed"
"""So begins what ``http.client`` raises when a proxy does not connect us."""

_NOT_UNDERSTOOD = (ValueError, TypeError, AttributeError, KeyError)
"""What Twilio's client raises for an answer in another form, as of a proxy in between: it checks none."""

_Result = TypeVar("_Result")


class DailyLimitReached(PhoneUnavailable):
    """As many calls were made today as OUTBOUND_DAILY_LIMIT allows."""


class TwilioClient:
    """One account's outbound calls, as many a day as ``count`` allows. ``client``: another one than of the
    account's own keys, as tests need."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        from_number: str,
        count: DailyCount,
        client: Client | None = None,
    ) -> None:
        self._from_number = from_number
        self._count = count
        self._client = client or _client(account_sid, auth_token)

    @property
    def left_today(self) -> int:
        return self._count.left_today

    async def open(self) -> None:
        """See what earlier runs have used of today."""
        try:
            await asyncio.to_thread(self._count.look)
        except StorageFailed as error:
            log.warning("How many calls were made today is not known: %s", error)

    async def dial(self, to: str, url: str, status_url: str) -> str:
        """Call ``to`` (E.164); returns the call's SID while it is queued. When it is answered, Twilio asks
        the webhook ``url`` what to do, and tells ``status_url`` how it goes.

        Raises:
            DailyLimitReached: no call was tried.
            PhoneUnavailable: Twilio refused or did not answer. An attempt that may have reached it and that
                it did not answer counts: somebody may have been called.
        """
        day = await self._take_attempt()
        try:
            return await self._ask(lambda: self._create(to, url, status_url))
        except _NobodyCalled:
            with contextlib.suppress(StorageFailed):  # then it counts all the same
                await asyncio.to_thread(self._count.give_back, day)
            raise

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

    async def hang_up(self, call_sid: str) -> str:
        """End a call that rings or goes on; returns the status that Twilio then tells of it, which is empty
        for one that was over already.

        Raises:
            PhoneUnavailable: Twilio refused or did not answer.
        """
        try:
            return await self._ask(lambda: self._end(call_sid))
        except _Refused as refused:
            if refused.twilio_code not in IS_OVER:
                raise
            return ""

    def _end(self, call_sid: str) -> str:
        status: object = self._client.calls(call_sid).update(status="completed").status
        return status if isinstance(status, str) else ""

    async def look(self) -> tuple[str, str | None]:
        """The account's status, and what Twilio asks when the account's number is called; None for a number
        that it does not own.

        Raises:
            PhoneUnavailable: Twilio refused or did not answer.
        """
        return await self._ask(self._look)

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
            raise (_NobodyCalled if _never_connected(error) else PhoneUnavailable)(UNREACHABLE) from None

    async def _take_attempt(self) -> int:
        """The day it counts for."""
        try:
            day = await asyncio.to_thread(self._count.take)
        except StorageFailed as error:
            log.error("A call was not made, because it cannot be counted: %s", error)
            raise PhoneUnavailable(
                "No calls can be made now: the server cannot count them. Please check that RECORDINGS_DIR "
                "can be written and that its disk is not full."
            ) from None
        if day is None:
            raise DailyLimitReached(
                f"OUTBOUND_DAILY_LIMIT allows {self._count.limit} calls a day, and they are used up. "
                "The count begins anew at midnight UTC."
                if self._count.limit
                else "OUTBOUND_DAILY_LIMIT is 0, so no calls are made."
            )
        return day


class _NobodyCalled(PhoneUnavailable):
    """For certain no call was made: Twilio said so, or nothing was ever sent to it."""


class _Refused(_NobodyCalled):
    """Twilio answered, and no call was made."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.twilio_code = code


def _refusal(code: int, status: int) -> PhoneUnavailable:
    if status >= 500:
        return PhoneUnavailable("Twilio has a fault of its own just now. Please try again in a few minutes.")
    if status == 429:
        return _Refused(code, "Twilio takes no more calls of this account just now. Please try again later.")
    sentence = SENTENCES.get(code) or (KEYS_REFUSED if status in (401, 403) else "")
    return _Refused(
        code,
        sentence
        or f"Twilio refused this (error {code}). Its console explains it under Monitor, Logs, Errors.",
    )


def _never_connected(error: Exception) -> bool:
    """Whether there never was a connection, or none behind a proxy, over which a request could have gone."""
    reason: object = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else error
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    if isinstance(reason, ProxyError):  # by itself it says little: one that broke later is told so, too
        reason = reason.original_error
    if isinstance(reason, ConnectTimeoutError | NewConnectionError):  # names that are not found are of these
        return True
    return isinstance(reason, OSError) and str(reason).startswith(TUNNEL_REFUSED)


def _client(account_sid: str, auth_token: str) -> Client:
    # At level INFO its own logger would show account and addresses of every request.
    silent = logging.getLogger(f"{__name__}.requests")
    silent.disabled = True
    http = TwilioHttpClient(timeout=ANSWERS_WITHIN_SEC, logger=silent)
    # An environment of ours: otherwise it would look for keys and regions in the process's.
    environment = {"TWILIO_ACCOUNT_SID": account_sid}
    return Client(account_sid, auth_token, http_client=http, environment=environment)

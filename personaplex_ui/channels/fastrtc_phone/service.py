"""The client of FastRTC's phone service, which lends a telephone number to a public host.

Depends on the service's two requests, not on the tunnel or the calls. The service's answers appear on pages
and in logs, so everything is checked before it is passed on. The token is sent only to the service.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler
from pydantic.functional_validators import WrapValidator

from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

SERVICE_URLS = ("https://api.fastrtc.org", "https://fastrtc-fastphone.hf.space")
"""The second is used if the first cannot be reached, as in FastRTC."""

REGISTERS_WITHIN_SEC = 15.0
UNREGISTERS_WITHIN_SEC = 3.0
MOST_BYTES = 65_536
"""Longer answers are discarded; the service's are short."""

TOKENS_PAGE = "https://huggingface.co/settings/tokens"

NO_TOKEN = (
    "A FastRTC number needs a Hugging Face token. Create one (kind “read”) at "
    f"{TOKENS_PAGE}, set HF_TOKEN to it, and start the app again."
)
WRONG_TOKEN = (
    "FastRTC's phone service does not accept HF_TOKEN. Create a new token (kind “read”) at "
    f"{TOKENS_PAGE}, set HF_TOKEN to it, and start the app again."
)
UNREACHABLE = (
    "FastRTC's phone service does not answer. Check the internet connection, and try again in a few minutes; "
    "a Twilio number works without it."
)
NOT_UNDERSTOOD = (
    "FastRTC's phone service sent an answer that this app does not understand. Try again later; if it "
    "happens again, look for a newer version of this app, or use a Twilio number."
)


@dataclass(frozen=True, slots=True)
class Registration:
    """The lent number. Callers are asked for ``code`` and then connected to the host.

    ``remaining_sec``: total talk time left until ``reset_date`` (the service's text); None and "" if it did
    not say. ``service_url``: the service that lent it.
    """

    number: str
    code: str
    remaining_sec: float | None
    reset_date: str
    service_url: str


def _or_nothing(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:
        return None


def _text(pattern: str) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, pattern=pattern)


OR_NOTHING = WrapValidator(_or_nothing)


class _Answer(BaseModel, coerce_numbers_to_str=True):
    """A malformed field counts as missing."""

    phone: Annotated[str | None, _text(r"^\+?[0-9(][0-9 ().-]{2,30}$"), OR_NOTHING] = None
    code: Annotated[str | None, _text(r"^[0-9A-Za-z-]{1,16}$"), OR_NOTHING] = None
    time_remaining: Annotated[float | None, Field(strict=True, allow_inf_nan=False), OR_NOTHING] = None
    reset_date: Annotated[str | None, _text(r"^[\w ,.:+/-]{1,40}$"), OR_NOTHING] = None


class FastRtcService:
    """Sends requests to the service. ``hf_token``: a Hugging Face token, by which it counts the minutes."""

    def __init__(
        self,
        hf_token: str | None,
        urls: Sequence[str] = SERVICE_URLS,
        make_client: Callable[[], httpx.AsyncClient] = httpx.AsyncClient,
    ) -> None:
        self._token = hf_token or ""
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._make_client = make_client

    def check_token(self) -> None:
        """Raises: PhoneUnavailable: the token is missing or malformed."""
        if not self._token:
            raise PhoneUnavailable(NO_TOKEN)
        if not re.fullmatch(r"[!-~]+", self._token):
            raise PhoneUnavailable(WRONG_TOKEN)

    async def register(self, host: str) -> Registration:
        """Register a number that leads to ``https://host/telephone/incoming``.

        Raises:
            PhoneUnavailable: the service refused or did not answer; the message says why.
        """
        self.check_token()
        for url in self._urls:
            try:
                status, content = await self._ask(url, "/register", {"url": host}, REGISTERS_WITHIN_SEC)
            except (httpx.RequestError, TimeoutError) as error:
                log.warning("%s does not answer: %s", url, type(error).__name__)
                continue
            if status >= 500 or status == 404:
                log.warning("%s is out of order: HTTP %d", url, status)
                continue
            return registration_in(status, content, url)
        raise PhoneUnavailable(UNREACHABLE)

    async def unregister(self, host: str, registration: Registration) -> None:
        """Give the number back, if the service can be reached within 3 s."""
        body = {"url": host, "code": registration.code}
        try:
            url = registration.service_url
            status, _ = await self._ask(url, "/unregister", body, UNREGISTERS_WITHIN_SEC)
        except (httpx.RequestError, TimeoutError) as error:
            log.warning("The phone number could not be given back: %s", type(error).__name__)
            return
        if status >= 400:
            log.warning("The phone number could not be given back: HTTP %d", status)

    async def _ask(self, url: str, path: str, body: dict[str, str], within_sec: float) -> tuple[int, bytes]:
        """Status and content of the answer. Redirects are not followed, so the token is sent nowhere else."""
        # Decompressed, a few packets could become gigabytes before they are counted.
        headers = {"Authorization": self._token, "Accept-Encoding": "identity"}
        content = bytearray()
        async with (
            asyncio.timeout(within_sec),
            self._make_client() as client,
            client.stream("POST", url + path, json=body, headers=headers, timeout=within_sec) as response,
        ):
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > MOST_BYTES:
                    return response.status_code, b""
        return response.status_code, bytes(content)


def registration_in(status: int, content: bytes, service_url: str) -> Registration:
    """Parse the answer of ``/register``.

    Raises:
        PhoneUnavailable: it contains no number, or cannot be understood.
    """
    try:
        answer = _Answer.model_validate_json(content)
    except ValueError:
        answer = _Answer()
    if status == 202:
        until = f" until {answer.reset_date}" if answer.reset_date else ""
        raise PhoneUnavailable(
            f"The minutes of FastRTC's phone service are used up{until} for this HF_TOKEN. Try again after "
            "that, or use a Twilio number."
        )
    if status in (401, 403):
        raise PhoneUnavailable(WRONG_TOKEN)
    if not 200 <= status < 300 or not answer.phone or not answer.code:
        log.warning("The answer of FastRTC's phone service is not understood: HTTP %d", status)
        raise PhoneUnavailable(NOT_UNDERSTOOD)
    remaining_sec = None if answer.time_remaining is None else max(0.0, answer.time_remaining)
    return Registration(answer.phone, answer.code, remaining_sec, answer.reset_date or "", service_url)

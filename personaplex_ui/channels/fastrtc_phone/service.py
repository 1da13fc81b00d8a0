"""FastRTC's phone service: lends a telephone number to a public host, and takes it back.

Knows the service's two questions and answers; neither tunnel nor call. What the service says goes to pages
and logs, so nothing of it is passed on that has not been checked. The token goes nowhere but to the service.
"""

import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import httpx

from personaplex_ui.channels.bounded_http import Reply, ask
from personaplex_ui.errors import PhoneUnavailable

log = logging.getLogger(__name__)

SERVICE_URLS = ("https://api.fastrtc.org", "https://fastrtc-fastphone.hf.space")
"""The second is asked when the first cannot be reached, as FastRTC does it."""

REGISTERS_WITHIN_SEC = 15.0
UNREGISTERS_WITHIN_SEC = 3.0
TOKENS_PAGE = "https://huggingface.co/settings/tokens"

NO_TOKEN = (
    "A number of FastRTC's needs a Hugging Face token. Make one (kind “read”) at "
    f"{TOKENS_PAGE}, set HF_TOKEN to it, and start the app again."
)
WRONG_TOKEN = (
    "FastRTC's phone service does not accept HF_TOKEN. Make a new token (kind “read”) at "
    f"{TOKENS_PAGE}, set HF_TOKEN to it, and start the app again."
)
UNREACHABLE = (
    "FastRTC's phone service does not answer. Check the internet connection, and try again in a few minutes; "
    "a number of Twilio's works without it."
)
NOT_UNDERSTOOD = (
    "FastRTC's phone service answered in a way that is not understood here. Try again later; if it stays so, "
    "look for a newer version of this app, or use a number of Twilio's."
)


@dataclass(frozen=True, slots=True)
class Registration:
    """The lent number. Who calls it is asked for ``code`` and then connected to the host.

    ``remaining_sec``: how long callers may talk in all until ``reset_date`` (a text of the service's); None
    and "" when it did not say. ``service_url``: which of the services lent it.
    """

    number: str
    code: str
    remaining_sec: float | None
    reset_date: str
    service_url: str


class FastRtcService:
    """Asks the service. ``hf_token``: a Hugging Face token, by which it counts the minutes."""

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
        """Raises:
        PhoneUnavailable: there is none, or it cannot be sent.
        """
        if not self._token:
            raise PhoneUnavailable(NO_TOKEN)
        if not re.fullmatch(r"[!-~]+", self._token):
            raise PhoneUnavailable(WRONG_TOKEN)

    async def register(self, host: str) -> Registration:
        """Have a number lead to ``https://host/telephone/incoming``.

        Raises:
            PhoneUnavailable: the service does not, with the words why.
        """
        self.check_token()
        for url in self._urls:
            try:
                reply = await self._ask(url, "/register", {"url": host}, REGISTERS_WITHIN_SEC)
            except (httpx.RequestError, TimeoutError) as error:
                log.warning("%s does not answer: %s", url, type(error).__name__)
                continue
            if reply.status >= 500 or reply.status == 404:
                log.warning("%s is out of order: HTTP %d", url, reply.status)
                continue
            return registration_in(reply, url)
        raise PhoneUnavailable(UNREACHABLE)

    async def unregister(self, host: str, registration: Registration) -> None:
        """Give the number back, if the service can be told within 3 s."""
        body = {"url": host, "code": registration.code}
        try:
            reply = await self._ask(registration.service_url, "/unregister", body, UNREGISTERS_WITHIN_SEC)
        except (httpx.RequestError, TimeoutError) as error:
            log.warning("The phone number could not be given back: %s", type(error).__name__)
            return
        if reply.status >= 400:
            log.warning("The phone number could not be given back: HTTP %d", reply.status)

    async def _ask(self, url: str, path: str, body: dict[str, str], within_sec: float) -> Reply:
        async with self._make_client() as client:
            headers = {"Authorization": self._token}
            return await ask(client, "POST", url + path, within_sec, body, headers)


def registration_in(reply: Reply, service_url: str) -> Registration:
    """What ``/register`` answered.

    Raises:
        PhoneUnavailable: it is no number, or it cannot be understood.
    """
    body = cast(dict[str, object], reply.body) if isinstance(reply.body, dict) else {}
    reset_date = _short_text(body.get("reset_date"), r"[\w ,.:+/-]{1,40}")
    if reply.status == 202:
        until = f" until {reset_date}" if reset_date else ""
        raise PhoneUnavailable(
            f"The minutes of FastRTC's phone service are used up{until} for this HF_TOKEN. Try again after "
            "that, or use a number of Twilio's."
        )
    if reply.status in (401, 403):
        raise PhoneUnavailable(WRONG_TOKEN)
    number = _short_text(body.get("phone"), r"\+?[0-9(][0-9 ().-]{2,30}")
    code = _short_text(body.get("code"), r"[0-9A-Za-z-]{1,16}")
    if not 200 <= reply.status < 300 or not number or not code:
        log.warning("FastRTC's phone service is not understood: HTTP %d", reply.status)
        raise PhoneUnavailable(NOT_UNDERSTOOD)
    return Registration(number, code, _seconds(body.get("time_remaining")), reset_date, service_url)


def _short_text(value: object, pattern: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value).strip()
    return text if re.fullmatch(pattern, text) else ""


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return max(0.0, float(value)) if math.isfinite(value) else None
    except OverflowError:
        return None

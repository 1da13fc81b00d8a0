"""A stand-in of Twilio's REST API on the loopback, and a real client of it: real HTTP, another host."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from tests.support import answering_machine

ACCOUNT_SID = "AC" + "0a" * 16
AUTH_TOKEN = "a token of Twilio's, which must not be shown"
PHONE_NUMBER = "+15550001111"


@dataclass(slots=True)
class Asked:
    """One request: its path and its form. ``authorization``: the header as it came."""

    path: str
    form: dict[str, list[str]]
    authorization: str


@dataclass
class TwilioRest:
    """``refuse``: answer with this status and error code. ``silent_sec``: keep quiet so long, then close.
    ``status`` is the account's.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list[Asked])
    refuse: tuple[int, int] | None = None
    garbage: bytes | None = None
    silent_sec: float = 0.0
    status: str = "active"
    webhook: str | None = None
    """What the account's number asks; None for an account without it."""

    @property
    def calls(self) -> list[dict[str, str]]:
        """The forms of calls that were asked for, single values."""
        return [
            {name: values[0] for name, values in asked.form.items()}
            for asked in self.asked
            if asked.path.endswith("/Calls.json")
        ]

    def answer(self, request: answering_machine.Asked) -> tuple[int, object] | None:
        form = parse_qs(request.content.decode())
        self.asked.append(Asked(request.path, form, request.headers.get("Authorization", "")))
        if self.silent_sec:
            time.sleep(self.silent_sec)
            return None  # nobody waits for it any more
        if self.garbage is not None:
            return 200, self.garbage
        if self.refuse is not None:
            status, code = self.refuse
            message = f"The number {form.get('To')} is refused for {AUTH_TOKEN}."
            return status, {"code": code, "message": message, "status": status}
        if request.path.endswith("/Calls.json"):
            return 201, {"sid": f"CA{len(self.asked):032x}", "status": "queued"}
        if request.path.partition("?")[0].endswith("/IncomingPhoneNumbers.json"):
            owned = [] if self.webhook is None else [{"voice_url": self.webhook}]
            return 200, {"incoming_phone_numbers": owned}
        if request.path.endswith(f"/Accounts/{ACCOUNT_SID}.json"):
            return 200, {"sid": ACCOUNT_SID, "status": self.status}
        return 200, {"sid": request.path[-39:-5], "status": "completed"}


class _LoopbackClient(TwilioHttpClient):
    def __init__(self, url: str) -> None:
        super().__init__(timeout=0.5)
        self._url = url

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        assert url.startswith("https://api.twilio.com/"), url
        return super().request(
            method, self._url + url.removeprefix("https://api.twilio.com"), *args, **options
        )


@contextmanager
def twilio_rest() -> Generator[TwilioRest]:
    rest = TwilioRest()
    with answering_machine.answering(rest.answer) as rest.url:
        yield rest


@contextmanager
def client_of(rest: TwilioRest, keys: Mapping[str, str] | None = None) -> Generator[Client]:
    """A real client whose requests go to the stand-in."""
    http = _LoopbackClient(rest.url)
    try:
        yield Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http, environment=dict(keys or {"none": ""}))
    finally:
        assert http.session is not None
        http.session.close()

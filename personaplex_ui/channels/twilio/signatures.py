"""Checks Twilio's signature on its requests, over our public URL and all fields.

The scheme is Twilio's (https://www.twilio.com/docs/usage/security): HMAC-SHA1 with the account's token. The
Host header is not used, because whoever forges a request also chooses that.
"""

import logging
from collections.abc import Callable

from fastapi import HTTPException, Request
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import HTTPConnection
from twilio.request_validator import RequestValidator

from personaplex_ui.web.instance_path import called_below, instance_path
from personaplex_ui.web.small_body import form_fields, read_small_body

log = logging.getLogger(__name__)

SIGNATURE = "X-Twilio-Signature"

NOT_SET_UP = "The telephone is not set up: TWILIO_AUTH_TOKEN is missing. docs/PHONE.md says where to find it."
NO_PUBLIC_URL = (
    "This server does not know its public address, so nothing Twilio sends can be checked. Set SERVER_URL to "
    "it, or TRUSTED_PROXIES to the addresses of the proxy in front of it."
)
FORGED = (
    "This request does not have Twilio's signature for the public address of this server. If Twilio sent it, "
    "SERVER_URL differs from the URL in its console, or TWILIO_AUTH_TOKEN belongs to another account."
)

PublicUrl = Callable[[HTTPConnection], str | None]
"""The public scheme and host of this server, possibly with a path, without a trailing slash."""


class TwilioSignatures:
    """``auth_token``: the account's; empty if it is not set."""

    def __init__(self, auth_token: str, public_url: PublicUrl) -> None:
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._public_url = public_url

    async def read(self, request: Request) -> tuple[dict[str, str], str]:
        """The fields of a request signed by Twilio, and our public URL, below which this process is reached.

        Raises:
            HTTPException: 503 if nothing can be checked here, 403 for a request that Twilio did not sign, 408
                and 413 for a body that is too slow or too large.
        """
        is_signed = SIGNATURE in request.headers
        if self._validator is None:
            raise HTTPException(503 if is_signed else 403, NOT_SET_UP)
        public_url = self._public_url(request)
        if public_url is None:
            raise HTTPException(503 if is_signed else 403, NO_PUBLIC_URL)
        fields = form_fields(await read_small_body(request))
        signature = request.headers.get(SIGNATURE, "")
        url = public_url + called_below(request.scope) + request.scope["path"]
        if query := request.scope["query_string"].decode("latin-1"):
            url += f"?{query}"
        if not self._validator.validate(url, ImmutableMultiDict(fields), signature):
            log.info("Refused a request without Twilio's signature for %s.", public_url)
            raise HTTPException(403, FORGED)
        return dict(fields), public_url + instance_path(request)

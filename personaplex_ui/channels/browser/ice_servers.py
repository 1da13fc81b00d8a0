"""The ICE servers of calls: the configured ones, Cloudflare's on a Hugging Face Space, or none.

A browser on the same machine or network reaches this server without any; behind a firewall, or on a platform
that blocks incoming UDP, a TURN server has to relay. Handles the source, age and failures of credentials;
independent of the callers and of FastRTC's component.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Self, TypeAlias, cast

from aiortc import RTCConfiguration, RTCIceServer
from fastrtc import (
    get_cloudflare_turn_credentials_async,  # pyright: ignore[reportUnknownVariableType]  its options are untyped
)
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from personaplex_ui.compat.fastrtc import turn_failure_status
from personaplex_ui.errors import PersonaplexError

log = logging.getLogger(__name__)

IceServer: TypeAlias = dict[str, Any]
"""One entry of ``RTCConfiguration.iceServers`` in the browsers' spelling, with its credential in plain
text."""

Fetch: TypeAlias = Callable[[str, int], Awaitable[object]]
"""Takes a Hugging Face token and a lifetime in seconds, returns unchecked ``{"iceServers": [...]}``."""

LIFETIME_SEC = 86_400
"""The requested lifetime: a relayed call ends when its credentials expire, and calls may wait in the queue
first."""

KEPT_SEC = 300.0
"""One fetch serves all requests within this time. It is half of FastRTC's usual lifetime, in case ours is
shortened."""

USABLE_SEC = LIFETIME_SEC / 2
"""If no new credentials are available, older ones are used up to this age."""

RETRY_AFTER_SEC = 10.0
"""A failure is repeated to all requests within this time, since a page's offer follows right after."""

FETCH_WITHIN_SEC = 5.0
"""The page gives up after 12 s without an answer."""

NO_TOKEN = (
    "Calls cannot reach this Space yet. Whoever runs it must give it the secret HF_TOKEN, or TURN_URLS with "
    "TURN_USERNAME and TURN_CREDENTIAL."
)
TOKEN_REFUSED = (
    "Calls cannot reach this Space: the relay refused its HF_TOKEN. Whoever runs it must set a valid token."
)
UNREACHABLE = "The relay needed for calls to this Space cannot be reached now. Please try again in a minute."


class RelayUnavailable(PersonaplexError, code="no_relay"):
    """Calls need a TURN server, and none is available now."""


class IceServers:
    """A fixed list of servers; it may be empty where browsers reach this server directly."""

    def __init__(self, servers: Sequence[IceServer] = ()) -> None:
        self._servers = list(servers)

    async def for_page(self) -> dict[str, Any]:
        """A browser's ``RTCConfiguration``.

        Raises:
            RelayUnavailable: with the words for the page.
        """
        servers = await self._current()
        return {"iceServers": servers} if servers else {}

    async def for_server(self) -> RTCConfiguration:
        """The same for aiortc, which uses only the first STUN URL and the first TURN URL.

        Raises:
            RelayUnavailable: with the words for the page.
        """
        # The list may be empty; without a list aiortc would use Google's STUN server.
        return RTCConfiguration(iceServers=[RTCIceServer(**server) for server in await self._current()])

    async def _current(self) -> list[IceServer]:
        return list(self._servers)


class NoIceServers(IceServers):
    """A Space without ICE servers, which no browser could reach."""

    async def _current(self) -> list[IceServer]:
        raise RelayUnavailable(NO_TOKEN)


class CloudflareIceServers(IceServers):
    """Cloudflare's TURN servers, which FastRTC provides to owners of a Hugging Face token."""

    def __init__(
        self, hf_token: str, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._hf_token = hf_token
        self._fetch = fetch or _fetch_from_cloudflare
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._fetched_at: float | None = None
        self._failure = ""
        self._failed_at: float | None = None

    async def _current(self) -> list[IceServer]:
        async with self._one_at_a_time:
            if not self._is_younger(self._fetched_at, KEPT_SEC):
                await self._renew()
            return list(self._servers)

    async def _renew(self) -> None:
        """Fetch new credentials, or keep the old ones if they are still usable."""
        if not self._is_younger(self._failed_at, RETRY_AFTER_SEC):
            try:
                async with asyncio.timeout(FETCH_WITHIN_SEC):
                    answer = await self._fetch(self._hf_token, LIFETIME_SEC)
                self._servers = servers_in(answer)
                self._fetched_at, self._failed_at = self._clock(), None
                return
            except Exception as error:
                # FastRTC raises bare Exception; httpx and JSON raise their own. Their messages quote the
                # other side, so they go neither to the log nor to the page.
                status = turn_failure_status(error)
                log.warning(
                    "No TURN credentials: %s%s", type(error).__name__, f", HTTP {status}" if status else ""
                )
                self._failure = TOKEN_REFUSED if status in (401, 403) else UNREACHABLE
                self._failed_at = self._clock()
        if not self._is_younger(self._fetched_at, USABLE_SEC):
            raise RelayUnavailable(self._failure)

    def _is_younger(self, moment: float | None, age_sec: float) -> bool:
        return moment is not None and self._clock() - moment < age_sec


def choose_ice_servers(given: Sequence[IceServer], space_id: str | None, hf_token: str | None) -> IceServers:
    """Choose the source of ICE servers. ``given``: those of TURN_URLS, which win; only a Space has an id."""
    if given or not space_id:
        return IceServers(given)
    return CloudflareIceServers(hf_token) if hf_token else NoIceServers()


def servers_in(answer: object) -> list[IceServer]:
    """The servers in the answer of a TURN service; Cloudflare has sent both a single object and a list.

    Raises:
        ValueError: it contains no TURN server with credentials.
    """
    servers: list[IceServer] = []
    for entry in _Answer.model_validate(answer).iceServers:
        with contextlib.suppress(ValidationError):  # a browser would refuse this one; the others may work
            servers.append(_Entry.model_validate(entry).model_dump(exclude_none=True))
    if not any("credential" in server for server in servers):
        raise ValueError("no TURN server in the answer")
    return servers


class _Answer(BaseModel):
    iceServers: list[object]  # noqa: N815  the service's spelling

    @field_validator("iceServers", mode="before")
    @classmethod
    def _as_list(cls, value: object) -> object:
        return [cast(object, value)] if isinstance(value, dict) else value


class _Entry(BaseModel):
    """One entry, with its known fields only."""

    urls: Annotated[list[str], Field(min_length=1)]
    username: str | None = None
    credential: str | None = None

    @field_validator("urls", mode="before")
    @classmethod
    def _usable(cls, value: object) -> list[str]:
        urls = cast(list[object], value) if isinstance(value, list) else [value]
        return [url for url in urls if isinstance(url, str) and re.match(r"(stun|turn)s?:[^\s/]+$", url)]

    @model_validator(mode="after")
    def _whole_or_no_credential(self) -> Self:
        if not (self.username and self.credential):
            if any(url.startswith("turn") for url in self.urls):
                raise ValueError("a TURN server needs a username and a credential")
            self.username = self.credential = None
        return self


async def _fetch_from_cloudflare(hf_token: str, lifetime_sec: int) -> object:
    return cast(object, await get_cloudflare_turn_credentials_async(hf_token=hf_token, ttl=lifetime_sec))

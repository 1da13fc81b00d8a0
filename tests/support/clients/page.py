"""One browser with the page open, as far as the server sees it: its cookies, its settings, its HTTP."""

from collections.abc import Mapping
from typing import Any

import httpx

Values = dict[str, Any]


class Page:
    """``settings``: those of its calls, by their names in the offer; the rest are the server's defaults."""

    def __init__(self, http: httpx.AsyncClient, settings: Mapping[str, object] | None = None) -> None:
        self.http = http
        self.settings = dict(settings or {})

    async def open(self) -> None:
        """Load the page, which gives the browser its cookie."""
        (await self.http.get("/")).raise_for_status()

    async def offer(self, webrtc_id: str, sdp: str, kind: str) -> Values:
        """The answer, or what is said instead of one."""
        message = {"webrtc_id": webrtc_id, "type": kind, "sdp": sdp, "settings": self.settings}
        return (await self.http.post("/webrtc/offer", json=message)).json()

    async def facts(self, webrtc_id: str) -> Values:
        """What the server tells over HTTP of a call of this page."""
        return (await self.http.get(f"/webrtc/calls/{webrtc_id}")).raise_for_status().json()

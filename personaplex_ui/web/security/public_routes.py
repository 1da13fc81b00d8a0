"""The routes that need no password, by path and method."""

import re
from dataclasses import dataclass

from personaplex_ui.web.twilio_paths import STREAM_PATH, WEBHOOKS


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """``methods``: may include WEBSOCKET. ``path`` must match as a whole. ``shows_less``: clients that have
    not logged in get a reduced answer."""

    methods: tuple[str, ...]
    path: str
    shows_less: bool = False

    def fits(self, method: str, path: str) -> bool:
        return method in self.methods and re.fullmatch(self.path, path) is not None


PUBLIC_ROUTES = (
    # The login page, only the status, and only numbers.
    PublicRoute(("GET",), "/|/health|/capacity", shows_less=True),
    PublicRoute(("GET",), r"/favicon\.ico|/robots\.txt"),  # Gradio's standard files
    PublicRoute(("GET", "HEAD", "POST"), "/operator"),  # asks for more than the password
    # Twilio cannot log in. These routes check its signature and our own tokens.
    PublicRoute(("POST",), "|".join(map(re.escape, WEBHOOKS))),
    PublicRoute(("WEBSOCKET",), re.escape(STREAM_PATH)),
)


def public_route(method: str, path: str) -> PublicRoute | None:
    return next((route for route in PUBLIC_ROUTES if route.fits(method, path)), None)


def public_methods(path: str) -> set[str]:
    """The HTTP methods for which ``path`` is public."""
    return {
        method
        for route in PUBLIC_ROUTES
        for method in route.methods
        if method != "WEBSOCKET" and route.fits(method, path)
    }

"""The routes that need no password; knows paths and methods."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """``methods``: WEBSOCKET among them. ``path`` must match as a whole. ``shows_less``: strangers get
    another answer than those who have logged in."""

    methods: tuple[str, ...]
    path: str
    shows_less: bool = False

    def fits(self, method: str, path: str) -> bool:
        return method in self.methods and re.fullmatch(self.path, path) is not None


PUBLIC_ROUTES = (
    PublicRoute(("GET",), "/|/health", shows_less=True),  # the login page, and the status alone
    PublicRoute(("GET",), r"/favicon\.ico|/robots\.txt"),  # Gradio's, the same everywhere
    # Twilio cannot log in. These check its signature, and tokens of our own.
    PublicRoute(("POST",), "/twilio/(inbound|ended|status|outbound/answered)"),
    PublicRoute(("WEBSOCKET",), "/twilio/media-stream"),
)


def public_route(method: str, path: str) -> PublicRoute | None:
    return next((route for route in PUBLIC_ROUTES if route.fits(method, path)), None)


def public_methods(path: str) -> set[str]:
    """The methods of HTTP for which ``path`` is public."""
    return {
        method
        for route in PUBLIC_ROUTES
        for method in route.methods
        if method != "WEBSOCKET" and route.fits(method, path)
    }

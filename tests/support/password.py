"""The password of apps under test, and everybody who speaks to them knowing it.

``TESTS_APP_PASSWORD=... make test`` runs the whole suite against apps that are closed by that password: each
app is given it, and each HTTP client sends it. Without it only the browser tests' echo app has one.
"""

import os
from typing import Any

import httpx

GIVEN = os.environ.get("TESTS_APP_PASSWORD", "")
PASSWORD = GIVEN or "an open secret"
HEADERS = {"X-App-Password": PASSWORD}
VARIABLES = {"APP_PASSWORD": PASSWORD}
SENT = HEADERS if GIVEN else {}
"""For clients that are not httpx's."""


def let_http_clients_know_it() -> None:
    """Where the whole suite has a password: all of httpx's clients that are made from now on, in libraries
    too."""
    if not GIVEN:
        return

    def knowing(init: Any) -> Any:
        def init_knowing(self: Any, *args: Any, **options: Any) -> None:
            options["headers"] = HEADERS | dict(options.get("headers") or {})
            init(self, *args, **options)

        return init_knowing

    for client in (httpx.Client, httpx.AsyncClient):
        client.__init__ = knowing(client.__init__)  # type: ignore[method-assign]

"""Gradio's login, as far as the wall has to do with it: its page, and the token that its own check asks for.

Knows Gradio's App from outside: the name of its cookie and its dictionary of tokens. Requests that have
passed the wall carry one token for all; there is no other, because the wall answers ``/login`` itself.
"""

import re
import secrets
from typing import Any

from fastapi import FastAPI
from gradio.routes import App
from starlette.datastructures import Headers
from starlette.routing import Mount
from starlette.types import Scope

USER = "visitor"

# The page would tell everybody the functions and the default role.
API_INFO = re.compile(rb"window\.gradio_api_info\s*=.*?</script>", re.DOTALL)

NO_API = b'{"named_endpoints": {}, "unnamed_endpoints": {}}'

# Gradio's form says nothing when it is answered anything but 200 and 400.
SHOW_REFUSAL = b"""<script>
const ask = window.fetch;
window.fetch = async (...args) => {
  const answer = await ask(...args);
  if (!answer.ok && answer.status !== 400 && String(args[0]).endsWith("/login")) {
    alert((await answer.clone().json()).detail);
  }
  return answer;
};
</script>"""


def login_page(page: bytes) -> bytes:
    """Gradio's page for those who have not logged in, without what is none of their business."""
    page = API_INFO.sub(b"window.gradio_api_info = " + NO_API + b";</script>", page)
    return page.replace(b"</head>", SHOW_REFUSAL + b"</head>", 1)


class GradioTokens:
    """The token of the Gradio app that is mounted in ``app``, now or before the first request."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._token = secrets.token_urlsafe(32)

    def let_in(self, scope: Scope) -> None:
        """Make Gradio's own check pass this request."""
        for gradio in self._mounted():
            # Each time, because whoever logs out removes it.
            gradio.tokens[self._token] = USER
            _add_cookie(scope, f"access-token-{gradio.cookie_id}={self._token}")

    def _mounted(self) -> list[Any]:
        return [
            route.app for route in self._app.routes if isinstance(route, Mount) and isinstance(route.app, App)
        ]


def _add_cookie(scope: Scope, cookie: str) -> None:
    cookies = "; ".join([*Headers(scope=scope).getlist("cookie"), cookie])
    others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
    scope["headers"] = [*others, (b"cookie", cookies.encode("latin-1"))]

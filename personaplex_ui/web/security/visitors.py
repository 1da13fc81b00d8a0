"""Whom a request's calls are counted for: a visitor, or nobody if the API key comes along."""

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.web.security.auth import is_machine
from personaplex_ui.web.security.credentials import shows_bearer
from personaplex_ui.web.security.proxy_headers import client_address
from personaplex_ui.web.security.session_cookie import session_key

VisitorOf = Callable[[HTTPConnection], Visitor | None]


def visitor_rule(has_api_key: bool) -> VisitorOf:
    """The rule of one server. None: the calls are counted for nobody."""

    def visitor_of(connection: HTTPConnection) -> Visitor | None:
        return None if has_api_key and _shows_key(connection) else visitor(connection)

    return visitor_of


def visitor(connection: HTTPConnection) -> Visitor:
    """The visitor behind ``connection``, whatever else it shows."""
    return Visitor(session_key(connection.cookies), client_address(connection))


def _shows_key(connection: HTTPConnection) -> bool:
    # A proxy in front may send a name and a password of its own with each request: these are no guesses.
    if not shows_bearer(connection):
        return False
    try:
        return is_machine(connection)
    except HTTPException:  # too many wrong ones came from there
        return False

"""The address of a tool, with parameters in its path and its query only, and the request made of it. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from personaplex_ui.speech.tools.parameters import BadArguments, Value

_PLACE = re.compile(r"\{(\w+)\}")


class UnusableAddress(ValueError):
    """The sentence completes "the url ..."."""


class AddressTemplate:
    """``https://api.example.org/orders/{number}?day={day}``."""

    def __init__(self, template: str) -> None:
        """
        Raises:
            UnusableAddress: it is no web address, or has parameters elsewhere.
        """
        try:
            parts = urlsplit(template)
            port_is_fine = parts.port is None or parts.port > 0
        except ValueError:
            raise UnusableAddress("is not a web address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
            raise UnusableAddress("must begin with https:// or http:// and the name of a server")
        if set("{}@\\ ") & set(parts.netloc):
            raise UnusableAddress("may have {parameters} in its path and query only, and no name or password")
        if parts.fragment or re.search(r"[\s\\\x00-\x1f]", template):
            raise UnusableAddress("may not have spaces, backslashes or a # in it")
        if set("{}") & set(_PLACE.sub("", parts.path + parts.query)):
            raise UnusableAddress("has a { or } in it that belongs to no parameter")
        self.names = frozenset(_PLACE.findall(parts.path + "?" + parts.query))
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path or "/"
        self._query = parts.query

    def filled(self, arguments: Mapping[str, Value]) -> str:
        """The address with ``arguments``, each escaped so that it stays in its place. One of the query that
        is not given is empty.

        Raises:
            BadArguments: one of the path is missing, or would lead elsewhere.
        """
        path = _PLACE.sub(lambda found: _in_path(found[1], arguments), self._path)
        if any(segment in (".", "..") for segment in path.split("/")):
            raise BadArguments("A parameter may not be . or .. there.")
        query = _PLACE.sub(lambda found: quote(as_text(arguments.get(found[1], "")), safe=""), self._query)
        return f"{self._origin}{path}" + (f"?{query}" if query else "")


def as_text(value: Value) -> str:
    """``true`` and not ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_path(name: str, arguments: Mapping[str, Value]) -> str:
    text = as_text(arguments.get(name, ""))
    if not text:
        raise BadArguments(f"The parameter {name!r} is missing.")
    if set("/\\") & set(text):  # escaped, too, many a server takes it for the next part of the path
        raise BadArguments(f"The parameter {name!r} may have no / or \\ in it.")
    return quote(text, safe="")

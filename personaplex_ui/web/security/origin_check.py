"""Whether a browser's request comes from a page of this server.

Knows the ``Origin`` header and the hosts that count as ours. Browsers name it on every websocket and on every
request that could change something; of what they load without it, as an image or sound, they say by
``Sec-Fetch-Site`` whether a page of another site asked. What sends neither is not a page of a foreign site.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from personaplex_ui.web.security.proxy_headers import forwarded_host

PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class OriginCheck:
    """``server_url``: counts as ours. ``allowed``: foreign origins that may come in too; ``*`` for all."""

    def __init__(self, server_url: str | None, allowed: Iterable[str]) -> None:
        self._allowed = {origin.rstrip("/").lower() for origin in allowed}
        self._server_host = urlsplit(server_url).netloc if server_url else ""

    def include(self, connection: HTTPConnection) -> bool:
        """True when all that is said of the origin is ours, or nothing is said."""
        said = connection.headers.getlist("origin")
        if not said and "*" not in self._allowed:
            return not _is_loaded_elsewhere(connection)
        return all(self._is_ours(origin.strip().lower(), connection) for origin in said)

    def include_change(self, connection: HTTPConnection) -> bool:
        """As ``include``, for a GET that changes something: a link of another site may not ask for it."""
        site, referer = connection.headers.get("sec-fetch-site"), connection.headers.get("referer", "")
        if "*" in self._allowed:
            return True
        if site in ("cross-site", "same-site"):
            return False
        if referer and site is None:  # an older browser, which says no more
            scheme, _, rest = referer.lower().partition("://")
            return self._is_ours(f"{scheme}://{rest.partition('/')[0]}", connection)
        return self.include(connection)

    def _is_ours(self, origin: str, connection: HTTPConnection) -> bool:
        if origin in self._allowed or "*" in self._allowed:
            return True
        scheme, _, host = origin.partition("://")
        if scheme not in PORTS or not host:
            return False  # "null" among them: a sandboxed frame or a local file, whoever made it
        if connection.headers.get("sec-fetch-site") == "same-origin":
            return True  # the browser compared them itself; behind a proxy that hides the host it alone can
        ours = (connection.headers.get("host", ""), forwarded_host(connection), self._server_host)
        return any(_with_port(host, scheme) == _with_port(own, scheme) for own in ours if own)


def _is_loaded_elsewhere(connection: HTTPConnection) -> bool:
    """By a page of another site or of a neighbour (``same-site``: another port, another host of the domain).

    A link that is followed, and the frame of a Space, show our page to its visitor and to nobody else.
    """
    followed = connection.headers.get("sec-fetch-mode") == "navigate" and (
        connection.scope.get("method") in ("GET", "HEAD")
    )
    return connection.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not followed


def _with_port(host: str, scheme: str) -> tuple[str, str]:
    """The proxy that ends TLS may speak of the same host with or without the usual port."""
    name, colon, port = host.lower().rpartition(":")
    if not colon or not port.isdigit():
        return host.lower(), str(PORTS[scheme])
    return name, port

"""Whether a browser's request comes from a page of this server.

Browsers send the ``Origin`` header with every websocket and every request that could change something. For
what they load without it, such as images or sound, ``Sec-Fetch-Site`` says whether a page of another site
asked. A request with neither header does not come from a page of another site.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from personaplex_ui.web.security.proxy_headers import forwarded_host

PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class OriginCheck:
    """``server_url``: counts as ours. ``allowed``: foreign origins that are accepted too; ``*`` for all."""

    def __init__(self, server_url: str | None, allowed: Iterable[str]) -> None:
        self._allowed = {origin.rstrip("/").lower() for origin in allowed}
        self._server_host = urlsplit(server_url).netloc if server_url else ""

    def include(self, connection: HTTPConnection) -> bool:
        """Whether every given origin is ours, or none is given."""
        said = connection.headers.getlist("origin")
        if not said and "*" not in self._allowed:
            return not _is_loaded_elsewhere(connection)
        return all(self._is_ours(origin.strip().lower(), connection) for origin in said)

    def include_change(self, connection: HTTPConnection) -> bool:
        """Like ``include``, for a GET that changes something: links on other sites must not trigger it."""
        site, referer = connection.headers.get("sec-fetch-site"), connection.headers.get("referer", "")
        if "*" in self._allowed:
            return True
        if site in ("cross-site", "same-site"):
            return False
        if referer and site is None:  # an older browser, which sends nothing else
            scheme, _, rest = referer.lower().partition("://")
            return self._is_ours(f"{scheme}://{rest.partition('/')[0]}", connection)
        return self.include(connection)

    def _is_ours(self, origin: str, connection: HTTPConnection) -> bool:
        if origin in self._allowed or "*" in self._allowed:
            return True
        scheme, _, host = origin.partition("://")
        if scheme not in PORTS or not host:
            return False  # includes "null": a sandboxed frame or a local file, from anybody
        if connection.headers.get("sec-fetch-site") == "same-origin":
            return True  # the browser compared them; behind a proxy that hides the host, only it can
        ours = (connection.headers.get("host", ""), forwarded_host(connection), self._server_host)
        return any(_with_port(host, scheme) == _with_port(own, scheme) for own in ours if own)


def _is_loaded_elsewhere(connection: HTTPConnection) -> bool:
    """Whether a page of another site, or of another port or host of our site (``same-site``), loads it.

    Following a link, or the frame of a Space, shows our page only to its visitor.
    """
    followed = connection.headers.get("sec-fetch-mode") == "navigate" and (
        connection.scope.get("method") in ("GET", "HEAD")
    )
    return connection.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not followed


def _with_port(host: str, scheme: str) -> tuple[str, str]:
    """Host and port; the proxy that terminates TLS may name the host with or without the default port."""
    name, colon, port = host.lower().rpartition(":")
    if not colon or not port.isdigit():
        return host.lower(), str(PORTS[scheme])
    return name, port

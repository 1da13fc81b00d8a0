"""The browser's request behind an event of the page, as Gradio passes it to a function."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import gradio as gr
from starlette.requests import HTTPConnection

from personaplex_ui.web.security import proxy_headers as address


def address_of(request: gr.Request) -> str:
    """See ``proxy_headers.client_address``."""
    connection = request.request
    return address.client_address(connection) if isinstance(connection, HTTPConnection) else ""


def public_url(request: gr.Request) -> str | None:
    """See ``proxy_headers.public_url``."""
    connection = request.request
    return address.public_url(connection) if isinstance(connection, HTTPConnection) else None


def is_local(request: gr.Request) -> bool:
    """Whether the browser runs on this machine, with no proxy in between."""
    connection = request.request
    if not isinstance(connection, HTTPConnection) or connection.client is None:
        return False
    forwarded = any(name in connection.headers for name in address.FORWARDING)
    peer = address.parse_ip(connection.client.host)
    return peer is not None and peer.is_loopback and not forwarded

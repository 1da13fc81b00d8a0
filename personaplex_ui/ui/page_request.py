"""The browser's request behind an event of the page, as Gradio passes it to a function."""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import gradio as gr
from starlette.requests import HTTPConnection

from personaplex_ui.web.instance_path import instance_path
from personaplex_ui.web.security import proxy_headers as address
from personaplex_ui.web.security.operator import IsOperator


def connection_of(request: gr.Request) -> HTTPConnection | None:
    """The request itself; None if Gradio has none, as for an event of its own."""
    connection = request.request
    return connection if isinstance(connection, HTTPConnection) else None


def address_of(request: gr.Request) -> str:
    """See ``proxy_headers.client_address``."""
    connection = request.request
    return address.client_address(connection) if isinstance(connection, HTTPConnection) else ""


def public_url(request: gr.Request) -> str | None:
    """See ``proxy_headers.public_url``."""
    connection = request.request
    return address.public_url(connection) if isinstance(connection, HTTPConnection) else None


def own_url(request: gr.Request) -> str | None:
    """The public URL below which this process is reached, if there are several."""
    connection = request.request
    url = public_url(request)
    return url + instance_path(connection) if url and isinstance(connection, HTTPConnection) else url


def asked_by_operator(request: gr.Request, is_operator: IsOperator) -> bool:
    """Whether whoever runs this server asks."""
    connection = request.request
    return isinstance(connection, HTTPConnection) and is_operator(connection)

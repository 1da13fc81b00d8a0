"""The right side of the page: the talk button, what the assistant says, and what is left of a call."""

import functools
from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.transports import webrtc_component
from personaplex_ui.transports.turn import IceServers
from personaplex_ui.transports.webrtc import BrowserCall
from personaplex_ui.ui import render
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_column import QUIET
from personaplex_ui.web.address import current_address


@dataclass(frozen=True, slots=True)
class CallColumn:
    """``outputs``: what ``PageCallbacks.follow`` tells first, in its order."""

    connection: Any
    outputs: list[Any]


def build_call_column(max_connections: int, ice_servers: IceServers) -> CallColumn:
    connection = webrtc_component.build_component(max_connections, ice_servers, current_address)
    gr.HTML('<div id="mic-message" role="alert"></div>', elem_id="mic-message-holder")
    status = gr.HTML(render.status_html(None), elem_id="status")
    transcript = gr.HTML(render.transcript_html((), False), elem_id="transcript")
    result = gr.HTML("", elem_id="result")
    return CallColumn(connection, [status, transcript, result])


def connect_calls(
    column: CallColumn,
    callbacks: PageCallbacks,
    inputs: list[Any],
    owner: gr.State,
    history: gr.HTML,
    max_connections: int,
) -> None:
    """Have the talk button make calls, and show each one as it goes.

    ``inputs`` in the order ``PageCallbacks.read_settings`` takes them; ``history`` is told when a call is
    over.
    """
    close_peer = functools.partial(webrtc_component.close_peer, column.connection)
    handler = BrowserCall(callbacks.calls, callbacks.read_settings, close_peer)
    webrtc_component.attach(column.connection, handler, inputs, max_connections)
    column.connection.state_change(
        callbacks.follow,
        inputs=[column.connection, owner],
        outputs=[*column.outputs, history],
        concurrency_limit=None,
        trigger_mode="multiple",
        **QUIET,
    )

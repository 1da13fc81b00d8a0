"""The right side of the page: the talk button, what the assistant says, and what is left of a call."""

import functools
from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.channels.browser import component as webrtc_component
from personaplex_ui.channels.browser.handler import BrowserCall
from personaplex_ui.channels.browser.ice_servers import IceServers
from personaplex_ui.ui import talk_view
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_form import QUIET
from personaplex_ui.web.security.proxy_headers import current_address


@dataclass(frozen=True, slots=True)
class CallPanel:
    """``outputs``: what ``PageCallbacks.follow`` tells first, in its order."""

    connection: Any
    outputs: list[Any]


def build_call_panel(max_connections: int, ice_servers: IceServers) -> CallPanel:
    connection = webrtc_component.build_component(max_connections, ice_servers, current_address)
    gr.HTML('<div id="mic-message" role="alert"></div>', elem_id="mic-message-holder")
    status = gr.HTML(talk_view.status_html(None), elem_id="status")
    transcript = gr.HTML(talk_view.transcript_html((), False), elem_id="transcript")
    result = gr.HTML("", elem_id="result")
    return CallPanel(connection, [status, transcript, result])


def connect_calls(
    column: CallPanel,
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

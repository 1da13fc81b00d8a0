"""The right side of the page: the talk button, what the assistant says, and what is left of a call."""

import functools
from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.channels.browser.component import attach, build_component
from personaplex_ui.channels.browser.handler import BrowserCall
from personaplex_ui.channels.browser.ice_servers import IceServers
from personaplex_ui.compat.fastrtc import close_peer
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
    connection = build_component(max_connections, ice_servers, current_address)
    gr.HTML('<div id="mic-message" role="alert"></div>', elem_id="mic-message-holder")
    status = gr.HTML(talk_view.status_html(None), elem_id="status")
    transcript = gr.HTML(talk_view.transcript_html((), False), elem_id="transcript")
    result = gr.HTML("", elem_id="result")
    return CallPanel(connection, [status, transcript, result])


def connect_calls(
    panel: CallPanel,
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
    close = functools.partial(close_peer, panel.connection)
    handler = BrowserCall(callbacks.calls, callbacks.read_settings, close)
    attach(panel.connection, handler, inputs, max_connections)
    panel.connection.state_change(
        callbacks.follow,
        inputs=[panel.connection, owner],
        outputs=[*panel.outputs, history],
        concurrency_limit=None,
        trigger_mode="multiple",
        **QUIET,
    )

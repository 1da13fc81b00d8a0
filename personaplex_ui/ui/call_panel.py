"""The call panel: the talk button, the state of the call, what the assistant says, and the result."""

# Gradio and FastRTC are only partly typed:
# pyright: reportUnknownMemberType=false

import functools
from typing import Any

import gradio as gr

from personaplex_ui.channels.browser.component import build_component
from personaplex_ui.channels.browser.handler import BrowserCall
from personaplex_ui.channels.browser.ice_servers import IceServers
from personaplex_ui.compat.fastrtc import close_peer
from personaplex_ui.ui import talk_view
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.persona_form import QUIET
from personaplex_ui.web.security.proxy_headers import current_address


class CallPanel:
    """Create it at its place in the page being built."""

    def __init__(self, ice_servers: IceServers) -> None:
        self._connection: Any = build_component(ice_servers, current_address)
        gr.HTML('<div id="mic-message" role="alert"></div>', elem_id="mic-message-holder")
        status = gr.HTML(talk_view.status_html(None), elem_id="status")
        transcript = gr.HTML(talk_view.transcript_html((), False), elem_id="transcript")
        self._outputs: list[Any] = [status, transcript, gr.HTML("", elem_id="result")]

    def connect(
        self,
        callbacks: PageCallbacks,
        inputs: list[Any],
        owner: gr.State,
        history: gr.HTML,
        max_connections: int,
    ) -> None:
        """Let the talk button make calls, and show their progress.

        ``inputs``: in the order of ``PageCallbacks.read_settings``. ``history``: updated when a call is over.
        """
        connection = self._connection
        close = functools.partial(close_peer, connection)
        handler = BrowserCall(callbacks.calls, callbacks.read_settings, close)
        connection.stream(
            handler, inputs=[connection, *inputs], outputs=[connection], concurrency_limit=max_connections
        )
        connection.state_change(
            callbacks.follow,
            inputs=[connection, owner],
            outputs=[*self._outputs, history],
            concurrency_limit=None,
            trigger_mode="multiple",
            **QUIET,
        )

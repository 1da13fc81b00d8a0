"""The page: the persona form beside the call panel. Layout and wiring only; ``callbacks`` does the work."""

from dataclasses import dataclass

import gradio as gr

from personaplex_ui.channels.browser.ice_servers import IceServers
from personaplex_ui.compat.fastrtc import hide_internal_functions
from personaplex_ui.ui import talk_view
from personaplex_ui.ui.api import PageApi
from personaplex_ui.ui.call_panel import CallPanel
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.loading_banner import LoadingBanner
from personaplex_ui.ui.persona_form import QUIET, PersonaForm, build_persona_form
from personaplex_ui.ui.phone_callbacks import PhoneCallbacks
from personaplex_ui.ui.phone_tab import build_phone_tab
from personaplex_ui.ui.status_tab import StatusSources, build_status_tab
from personaplex_ui.ui.theme import build_theme, page_css, page_head
from personaplex_ui.voices.library import VoiceLibrary

SPARE_WORKERS = 100


@dataclass(frozen=True, slots=True)
class PageOptions:
    """The page's initial content. ``max_connections``: WebRTC connections, including waiting ones."""

    voices: VoiceLibrary
    default_prompt: str
    max_connections: int
    ice_servers: IceServers


def build_page(
    callbacks: PageCallbacks,
    phone: PhoneCallbacks,
    api: PageApi,
    status: StatusSources,
    options: PageOptions,
) -> gr.Blocks:
    """Assemble the page. Only the API's functions appear in ``view_api``."""
    with gr.Blocks(
        title="Talk with PersonaPlex",
        theme=build_theme(),
        css=page_css(),
        head=page_head(),
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 86_400),
    ) as page:
        owner, address = gr.State(""), gr.State(None)
        gr.HTML(
            "<h1>Talk with PersonaPlex</h1><p>Choose a voice, write the role, speak.</p>", elem_id="header"
        )
        banner = LoadingBanner()
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Talk", id="talk") as talk_tab:
                persona, call = _build_call_tab(callbacks, options)
                with gr.Accordion("Your earlier calls", open=False, elem_id="history-fold"):
                    history = gr.HTML(talk_view.history_html(()), elem_id="history")

            phone_tab, status_tab = gr.Tab("Phone", id="phone"), gr.Tab("Status", id="status-tab")
            with phone_tab:
                build_phone_tab(page, phone_tab, [talk_tab, status_tab], phone, persona)
            with status_tab:
                build_status_tab(status_tab, [talk_tab, phone_tab], status)

        inputs = [owner, address, *persona.call_inputs]
        call.connect(callbacks, inputs, owner, history, options.max_connections)
        page.load(callbacks.load, outputs=[owner, address, history], **QUIET)
        banner.watch_engine(page, callbacks, persona)
        page.unload(callbacks.own_voices.leave)
        api.add_endpoints()
    hide_internal_functions(page)
    # Each followed call, and each page while the model loads, occupies one of the queue's workers.
    page.max_threads = max(page.max_threads, 2 * options.max_connections + SPARE_WORKERS)
    page.queue(default_concurrency_limit=None, max_size=200)
    return page


def _build_call_tab(callbacks: PageCallbacks, options: PageOptions) -> tuple[PersonaForm, CallPanel]:
    with gr.Row(elem_id="columns"):
        with gr.Column(scale=5, min_width=320, elem_id="persona"):
            # On a phone's screen the talk button is far below.
            gr.HTML('<h2>Who answers</h2><a id="to-call" href="#conversation">To the call</a>')
            persona = build_persona_form(callbacks, options.voices, options.default_prompt)
        with gr.Column(scale=6, min_width=320, elem_id="conversation"):
            gr.HTML("<h2>The call</h2>")
            call = CallPanel(options.ice_servers)
    return persona, call

"""The page: header, stage, persona and the tabs. Layout and wiring only; ``callbacks`` does the work."""

from dataclasses import dataclass

import gradio as gr

from personaplex_ui.ui import stage
from personaplex_ui.ui.api import PageApi
from personaplex_ui.ui.bridge import build_bridge
from personaplex_ui.ui.callbacks import PageCallbacks
from personaplex_ui.ui.operator_tabs import build_engine_buttons, show_to_operator
from personaplex_ui.ui.persona_form import build_persona_form
from personaplex_ui.ui.phone_callbacks import PhoneCallbacks
from personaplex_ui.ui.phone_tab import build_phone_tab
from personaplex_ui.ui.settings_tab import build_settings_tab
from personaplex_ui.ui.status_tab import StatusSources, build_status_tab
from personaplex_ui.ui.theme import build_theme
from personaplex_ui.voices.library import VoiceLibrary

WORKERS = 100
"""Of Gradio's queue: each API call that waits for a line occupies one."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """The page's initial content."""

    voices: VoiceLibrary
    default_prompt: str


def build_page(
    callbacks: PageCallbacks,
    phone: PhoneCallbacks,
    api: PageApi,
    status: StatusSources,
    options: PageOptions,
) -> gr.Blocks:
    """Assemble the page. Only the API's functions appear in ``view_api``."""
    with gr.Blocks(
        title="PersonaPlex",
        theme=build_theme(),
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 86_400),
    ) as page:
        gr.HTML(stage.masthead_html(), elem_id="masthead")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Talk", id="talk", elem_id="talk-tab") as talk_tab:
                gr.HTML(stage.stage_html(options.voices, options.default_prompt), elem_id="stage-holder")
                gr.HTML(stage.next_call_html(), elem_id="next-call")
                persona = build_persona_form(callbacks, options.voices, options.default_prompt)
                gr.HTML(stage.share_html(), elem_id="share")
                gr.HTML(stage.earlier_html(), elem_id="earlier-holder")
            phone_tab = gr.Tab("Phone", id="phone", elem_id="phone-tab", visible=False)
            server_tab = gr.Tab("Server", id="server", elem_id="server-tab", visible=False)
            settings_tab = gr.Tab("Settings", id="settings", elem_id="settings-tab")
            with phone_tab:
                build_phone_tab(phone_tab, [talk_tab, server_tab, settings_tab], phone, persona)
            with server_tab:
                build_status_tab(server_tab, [talk_tab, phone_tab, settings_tab], status)
                build_engine_buttons(callbacks)
            with settings_tab:
                settings = build_settings_tab(callbacks)
        gr.HTML(stage.call_bar_html(), elem_id="call-bar-holder")

        build_bridge(callbacks, persona, settings)
        show_to_operator(page, callbacks, [phone_tab, server_tab])
        page.unload(callbacks.own_voices.leave)
        api.add_endpoints()
    page.max_threads = max(page.max_threads, WORKERS)
    page.queue(default_concurrency_limit=None, max_size=200)
    return page

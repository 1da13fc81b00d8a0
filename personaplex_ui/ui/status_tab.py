"""The status tab: the server's status, refreshed only while the tab is open, and the doctor's checks for
whoever runs the server.
"""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from personaplex_ui.doctor.report import Report
from personaplex_ui.ui import page_request
from personaplex_ui.ui.persona_form import QUIET
from personaplex_ui.ui.refreshing import refresh_while_open
from personaplex_ui.ui.status_view import checks_html, status_view_html
from personaplex_ui.web.server_stats import ServerStats

SHOWN_EVERY_SEC = 2.0
RUNNING = "<p>The checks are running. This takes a few seconds.</p>"


@dataclass(frozen=True, slots=True)
class StatusSources:
    """``report``: the doctor's, which shows folders, versions and accounts. ``has_login``: whoever sees the
    page knows the password. ``is_public``: the server has a public address, so a local request may come from
    anybody through a proxy."""

    stats: Callable[[], ServerStats]
    report: Callable[[], Awaitable[Report]]
    has_login: bool
    is_public: bool

    def may_see_report(self, request: gr.Request) -> bool:
        return self.has_login or (not self.is_public and page_request.is_local(request))


def build_status_tab(tab: Any, other_tabs: list[Any], sources: StatusSources) -> None:
    """``other_tabs``: while one of them is selected, this tab does not refresh."""

    async def show_checks(request: gr.Request) -> Any:
        return gr.Column(visible=sources.may_see_report(request))

    async def run_checks(request: gr.Request) -> AsyncIterator[str]:
        if sources.may_see_report(request):
            yield RUNNING
            yield checks_html(await sources.report())

    shown = gr.HTML("", elem_id="server-status")
    with gr.Column(visible=False, elem_id="server-checks") as doctor:
        gr.HTML("<h2>Checks</h2><p>Only visible to whoever runs this server or has its password.</p>")
        run = gr.Button("Run checks", elem_id="run-checks")
        checks = gr.HTML("", elem_id="checks")
    tab.select(show_checks, None, [doctor], **QUIET)
    run.click(run_checks, None, [checks], concurrency_limit=None, **QUIET)
    # Runs on the event loop, where the statistics are kept.
    refresh_while_open(tab, other_tabs, shown, lambda: status_view_html(sources.stats()), SHOWN_EVERY_SEC)

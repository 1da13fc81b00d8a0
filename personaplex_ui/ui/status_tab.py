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
from personaplex_ui.ui.page_request import asked_by_operator
from personaplex_ui.ui.persona_form import QUIET
from personaplex_ui.ui.refreshing import refresh_while_open
from personaplex_ui.ui.status_view import checks_html, status_view_html
from personaplex_ui.web.security.operator import IsOperator
from personaplex_ui.web.server_stats import ServerStats

SHOWN_EVERY_SEC = 2.0
RUNNING = "<p>The checks are running. This takes a few seconds.</p>"


@dataclass(frozen=True, slots=True)
class StatusSources:
    """``report``: the doctor's, which shows folders, versions and accounts."""

    stats: Callable[[], ServerStats]
    report: Callable[[], Awaitable[Report]]
    is_operator: IsOperator

    def may_see(self, request: gr.Request) -> bool:
        return asked_by_operator(request, self.is_operator)


def build_status_tab(tab: Any, other_tabs: list[Any], sources: StatusSources) -> None:
    """``other_tabs``: while one of them is selected, this tab does not refresh."""

    async def run_checks(request: gr.Request) -> AsyncIterator[str]:
        if sources.may_see(request):
            yield RUNNING
            yield checks_html(await sources.report())

    def show_status(request: gr.Request) -> str:
        return status_view_html(sources.stats()) if sources.may_see(request) else ""

    shown = gr.HTML("", elem_id="server-status")
    gr.HTML("<h2>Checks</h2><p>Only visible to whoever runs this server.</p>")
    run = gr.Button("Run checks", elem_id="run-checks")
    checks = gr.HTML("", elem_id="checks")
    run.click(run_checks, None, [checks], concurrency_limit=None, **QUIET)
    # Runs on the event loop, where the statistics are kept.
    refresh_while_open(tab, other_tabs, shown, show_status, SHOWN_EVERY_SEC)

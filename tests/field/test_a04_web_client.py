"""The official web clients at ``/moshi/``, imitated as they are built: ``<div id="root" />``, which HTML
takes for open, a deferred module, and a router that knows "/" only and reads the address when it starts."""

import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from personaplex_ui.channels.moshi.client_page import MoshiClient, MoshiClientAssets, build_client_router
from tests.support.app_process import ECHO, AppProcess, running_app, wait_until
from tests.support.chromium import chromium, open_context

pytestmark = pytest.mark.timeout(120)

BODIES = {
    "as they ship it": '\n    <div id="root" />\n  ',
    "closed": '<div id="root"></div>',
    "with white space": '<div id="root">\n\n</div>\n',
    "with a comment": '<div id="root"><!-- rendered here --></div>',
    "with a text until it is rendered": '<div id="root">Loading&hellip;</div>',
    "with an element until it is rendered": '<div id="root"><p>Loading</p></div><p>more</p>',
    "another name": '<main id="app" />\n',
}

OTHER_KINDS = ("late", "lazy", "at once")

# How a router starts, by the query. Each reads the address once, and again only when the history moves.
ROUTER = """
const kind = new URLSearchParams(location.search).get("kind");
const place = () => location.pathname === "/" ? "the client" : "404 Not Found";
const root = () => document.getElementById("root") ?? document.getElementById("app");
const render = (text) => root().replaceChildren(Object.assign(document.createElement("h1"), {
  textContent: text,
}));
if (kind === "react") {
  // createBrowserRouter: it marks the first entry, reads the address at once, and renders later.
  history.replaceState({ ...history.state, idx: 0 }, "");
  const text = place();
  setTimeout(() => render(text), 300);
} else if (kind === "late") {
  await new Promise((resolve) => setTimeout(resolve, 400));  // a module with a top-level await
  render(place());
} else if (kind === "lazy") {
  const { start } = await import("./lazy-1a.js");
  start(render, place);
} else {
  render(place());
}
addEventListener("popstate", () => render(place()));
"""
LAZY = """export const start = (render, place) => {
  history.replaceState({ idx: 0 }, "");
  render(place());
};"""

# What the clients do once somebody clicks Connect.
CALL = """
const button = document.createElement("button");
button.textContent = "Connect";
button.onclick = () => {
  const socket = new WebSocket(`ws://${location.host}/api/chat?text_seed=1&audio_seed=2&text_prompt=x`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    button.textContent = `first came ${new Uint8Array(data)[0]}`;
    socket.onmessage = null;
  };
};
document.body.append(button);
"""


def write_client(folder: Path, body: str) -> None:
    assets = folder / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    head = '<meta charset="UTF-8" /><script type="module" crossorigin src="/assets/index-1a.js"></script>'
    page = f'<!doctype html>\n<html lang="en">\n  <head>{head}</head>\n  <body>{body}</body>\n</html>\n'
    (folder / "index.html").write_text(page)
    (assets / "index-1a.js").write_text(ROUTER + CALL)
    (assets / "lazy-1a.js").write_text(LAZY)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with chromium(playwright, None) as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's; its page is read anew for every request, so a test may write another one."""
    folder = tmp_path_factory.mktemp("dist")
    write_client(folder, BODIES["closed"])
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Generator[str]:
    """Of the client alone, served beside the tests."""
    client = MoshiClient(folder)
    client.open()
    app = FastAPI()
    app.add_middleware(MoshiClientAssets, client=client)
    app.include_router(build_client_router(client))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, 20, "the client is served")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    client.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with open_context(browser, knows_password=False) as context:
        yield context.new_page()


@pytest.mark.parametrize(
    ("body", "kind"),
    [*((body, "react") for body in BODIES), *(("as they ship it", kind) for kind in OTHER_KINDS)],
)
def test_its_router_sees_its_own_place(page: Page, url: str, folder: Path, body: str, kind: str):
    write_client(folder, BODIES[body])
    address = f"{url}/moshi/?kind={kind.replace(' ', '+')}&worker_addr=a"
    page.goto(address)
    expect(page.get_by_role("heading")).to_have_text("the client")
    expect(page).to_have_url(address)
    page.reload()
    expect(page.get_by_role("heading")).to_have_text("the client")
    expect(page).to_have_url(address)


@pytest.mark.parametrize("kind", ["react", "at once"])
def test_it_does_so_again_when_the_history_moves(page: Page, url: str, folder: Path, kind: str):
    write_client(folder, BODIES["as they ship it"])
    address = f"{url}/moshi/?kind={kind.replace(' ', '+')}"
    page.goto(address)
    expect(page).to_have_url(address)
    page.evaluate("location.hash = '#settings'")
    expect(page).to_have_url(f"{address}#settings")
    expect(page.get_by_role("heading")).to_have_text("the client")
    page.go_back()
    expect(page).to_have_url(address)
    expect(page.get_by_role("heading")).to_have_text("the client")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    dist = tmp_path_factory.mktemp("client") / "dist"
    write_client(dist, BODIES["as they ship it"])
    with running_app(tmp_path_factory.mktemp("app"), STATIC_PATH=str(dist), **ECHO) as app:
        yield app


def test_in_the_whole_app_it_reaches_the_handshake(page: Page, app: AppProcess):
    page.set_extra_http_headers(app.headers)
    page.goto(f"{app.url}/moshi/?kind=react")
    expect(page.get_by_role("heading")).to_have_text("the client")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("button", name="first came 0", exact=True)).to_be_visible()

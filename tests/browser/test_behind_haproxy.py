"""Three processes with two lines each behind HAProxy: callers are placed, one process drains, one dies.

The pages are in Chromium. The other callers run beside, in an event loop of their own.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, BrowserContext, expect

from tests.support.app_process import TELEPHONE, AppProcess, wait_until
from tests.support.chromium import TalkPage, open_context
from tests.support.clients.moshi import MoshiClient, chat
from tests.support.clients.twilio import TwilioPeer
from tests.support.clients.twilio_account import BEARER, TwilioAccount
from tests.support.haproxy import NAMES, OPEN, Haproxy, haproxy_program, running_haproxy

LINES = 2
LONGER_THAN_THE_TEST_SEC = 600.0

T = TypeVar("T")

pytestmark = pytest.mark.timeout(240)


class Company:
    """Callers in a thread of their own, each until the end or until it is dismissed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stacks: dict[int, AsyncExitStack] = {}

    def do(self, work: Awaitable[T], within_sec: float = 60.0) -> T:
        async def bounded() -> T:
            return await asyncio.wait_for(work, within_sec)

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result()

    def welcome(self, caller: AbstractAsyncContextManager[T]) -> T:
        stack = AsyncExitStack()
        came = self.do(stack.enter_async_context(caller))
        self._stacks[id(came)] = stack
        return came

    def dismiss(self, caller: object) -> None:
        self.do(self._stacks.pop(id(caller)).aclose())

    def close(self) -> None:
        for caller in list(self._stacks):
            with contextlib.suppress(Exception):  # its server may be dead
                self.do(self._stacks.pop(caller).aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Rig:
    proxy: Haproxy
    apps: dict[str, AppProcess]
    company: Company

    def capacity(self, name: str) -> dict[str, Any]:
        return httpx.get(f"{self.proxy.url}/{name}/capacity").json()

    def live_calls(self) -> dict[str, int]:
        """Of those processes that are there."""
        alive = [name for name, app in self.apps.items() if app.process.poll() is None]
        return {name: self.capacity(name)["live_calls"] for name in alive}

    def next_call_goes_to(self, name: str, headers: Mapping[str, str]) -> bool:
        """HAProxy's log has who answered; nobody else asks with HEAD. For a moment after a call came, it may
        be counted twice there."""
        httpx.head(f"{self.proxy.url}/health", headers=headers)
        answered = [line for line in self.proxy.log.splitlines() if "HEAD /health" in line]
        return answered[-1:] != [] and f" {name} " in answered[-1]

    def waiting(self) -> dict[str, int]:
        return {name: self.capacity(name)["waiting"] for name in self.apps}

    def telephone(self, call_sid: str) -> tuple[str, TwilioPeer]:
        """A caller by telephone, and the process at the other end."""

        @contextlib.asynccontextmanager
        async def call() -> AsyncGenerator[tuple[str, TwilioPeer]]:
            async with httpx.AsyncClient(base_url=self.proxy.url) as http:
                twilio = TwilioAccount(http)
                answer = await twilio.ask("/twilio/inbound", call_sid)
                stream = answer.find("Connect/Stream")
                assert stream is not None
                name = urlsplit(str(stream.get("url"))).path.split("/")[1]
                async with twilio.stream(answer, call_sid) as peer:
                    listening = asyncio.create_task(peer.listen_for(LONGER_THAN_THE_TEST_SEC))
                    yield name, peer
                    listening.cancel()

        return self.company.welcome(call())

    def moshi_client(self, headers: Mapping[str, str] | None = None) -> MoshiClient:
        return self.company.welcome(chat(self.proxy.url, headers=headers))

    def hears_more(self, client: MoshiClient) -> None:
        heard = len(client.sound)
        self.company.do(client.until(lambda: len(client.sound) > heard + 5))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    haproxy_program()
    folder = tmp_path_factory.mktemp("processes")
    apps: dict[str, AppProcess] = {}
    with ExitStack() as stack:
        for name in NAMES:
            place = folder / name
            place.mkdir()
            variables = {"INSTANCE_PATH": f"/{name}", "MAX_CALLS": str(LINES), "MAX_WAITING": "3"}
            apps[name] = AppProcess(place, **variables, **TELEPHONE)
            stack.callback(apps[name].close)
        for app in apps.values():
            app.wait_until_ready()
        addresses = [f"127.0.0.1:{app.port}" for app in apps.values()]
        proxy = stack.enter_context(running_haproxy(folder, addresses, **OPEN))
        company = Company()
        stack.callback(company.close)
        yield Rig(proxy, apps, company)
    assert [app.exceptions() for app in apps.values()] == [[]] * len(apps)


def test_a_clip_of_gradios_client(rig: Rig, tmp_path: Path):
    """All of its requests go to one process, by the cookie."""
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, 0.3 * np.sin(np.arange(24_000) / 8), 24_000)  # pyright: ignore[reportUnknownMemberType]
    client = Client(rig.proxy.url, verbose=False, download_files=str(tmp_path / "answers"))
    answer, _ = client.predict(audio=handle_file(clip), api_name="/converse")
    assert soundfile.info(answer).duration > 0.5  # pyright: ignore[reportUnknownMemberType]


def test_callers_are_placed_and_keep_their_calls_while_a_process_drains_or_dies(browser: Browser, rig: Rig):
    with open_context(browser) as one, open_context(browser) as two, open_context(browser) as three:
        first = TalkPage(one, rig.proxy.url)
        doomed = process_of(one)
        first.start()
        first.wait_live()
        stays = {"Cookie": f"personaplex_process={doomed}"}
        wait_until(lambda: rig.next_call_goes_to(doomed, stays), 20, "its second line is known to be free")
        clients = [rig.moshi_client(stays), rig.moshi_client()]
        telephones = dict(rig.telephone(f"CA{digit * 32}") for digit in "12")
        # Its page is the doomed one's, which has no line left; and its network drops UDP.
        two.add_init_script("localStorage.setItem('personaplex.websocket-since', String(Date.now()))")
        two.add_cookies([{"name": "personaplex_process", "value": doomed, "url": rig.proxy.url}])
        second, third = TalkPage(two, rig.proxy.url), TalkPage(three, rig.proxy.url)
        assert process_of(two) == doomed
        second.start()
        second.wait_live()
        for client in clients:
            rig.hears_more(client)
        assert rig.live_calls() == dict.fromkeys(NAMES, LINES)

        third.start()
        expect(third.word).to_have_text("You are next")
        assert sorted(rig.waiting().values()) == [0, 0, 1]
        third.hang_up()
        wait_until(lambda: set(rig.waiting().values()) == {0}, 20, "nobody waits")

        # One is drained: it keeps its calls, and whoever comes now waits elsewhere.
        draining, telephone = telephones.popitem()
        drained = httpx.post(f"{rig.proxy.url}/{draining}/drain", headers=BEARER).json()
        assert (drained["live_calls"], drained["accepting"]) == (LINES, False)
        waiting = [rig.moshi_client() for _ in range(2)]
        for client in waiting:
            rig.company.do(client.until(lambda client=client: client.states != []))
        assert rig.waiting() == {name: 0 if name == draining else 1 for name in NAMES}
        assert rig.live_calls() == dict.fromkeys(NAMES, LINES)
        heard = len(telephone.received)
        wait_until(lambda: len(telephone.received) > heard, 20, "the telephone hears more")
        for client in waiting:
            rig.company.dismiss(client)
        assert httpx.delete(f"{rig.proxy.url}/{draining}/drain", headers=BEARER).json()["accepting"]

        # One dies: it costs its own two calls, and the page says so and calls again.
        rig.apps[doomed].kill()
        others = {name: LINES for name in NAMES if name != doomed}
        expect(first.trouble).to_contain_text("The server of this call has stopped, so the call ended.")
        assert rig.live_calls() == others
        wait_until(lambda: clients[0].closed, 20, "the dead one's client hears of it")
        assert not clients[1].closed
        second.wait_live()
        rig.hears_more(clients[1])
        rig.company.dismiss(clients[1])
        wait_until(lambda: sum(rig.live_calls().values()) == 2 * LINES - 1, 20, "its line is free")
        first.page.get_by_role("button", name="Call again").first.click()
        first.wait_live()
        assert rig.live_calls() == others
        for talk in (first, second):
            talk.hang_up()
            talk.wait_for_result()


def process_of(context: BrowserContext) -> str:
    """Where its page came from, and so its call, since a line was free there."""
    cookies = {cookie.get("name"): cookie.get("value") for cookie in context.cookies()}
    return str(cookies["personaplex_process"])

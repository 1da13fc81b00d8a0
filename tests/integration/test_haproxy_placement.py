"""Where HAProxy, with the configuration of deploy/haproxy, sends calls: real requests to three processes that
pretend."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from tests.support.app_process import wait_until
from tests.support.haproxy import NAMES, OPEN, Haproxy, running_haproxy


@dataclass
class Pretender:
    """One process: tells what a test sets, counts a call a moment after it came, and says who answered."""

    name: str
    lines: int = 2
    calls: int = 0
    accepting: bool = True
    status: int = 200
    counts: bool = True
    asked: int = 0
    slow_sec: float = 0.0
    silent_after: int | None = None
    unanswered: Counter[str] = field(default_factory=Counter[str])
    received: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    server: uvicorn.Server | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    thread: threading.Thread = field(init=False)
    _since: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    @property
    def app(self) -> Starlette:
        routes = [
            Route("/capacity", self.tell),
            WebSocketRoute("/api/chat", self.talk),
            WebSocketRoute(f"/{self.name}/api/chat", self.talk),
            Route("/{path:path}", self.answer, methods=["GET", "POST"]),
        ]
        return Starlette(routes=routes)

    async def tell(self, request: Request) -> JSONResponse:
        self.asked += 1
        if self.silent_after is not None:
            await self._may_be_silent(str(request.query_params))
        await asyncio.sleep(self.slow_sec)
        told = {
            "lines_free": max(0, self.lines - self.calls) if self.accepting else 0,
            "waiting": max(0, self.calls - self.lines),
            "accepting": self.accepting,
            "instance_path": f"/{self.name}",
        }
        if self.status != 200:
            return JSONResponse(told, 503)
        return JSONResponse(told, 200 if self.accepting else int(request.query_params.get("busy", "503")))

    async def _may_be_silent(self, question: str) -> None:
        """Of each kind of question (HAProxy's check, the script's), so many are answered after each that is
        not; with 0, none is."""
        kept, self._since[question] = self._since[question], self._since[question] + 1
        if kept < (self.silent_after or 0):
            return
        self._since[question] = 0
        self.unanswered[question] += 1
        await self.speaks.wait()

    async def answer(self, request: Request) -> JSONResponse:
        self.received.append((request.url.path, dict(request.headers)))
        await self.answers.wait()
        if self.counts and request.url.path.endswith(("/webrtc/offer", "/twilio/inbound")):
            self.calls += 1
        return JSONResponse({"process": self.name})

    async def talk(self, websocket: WebSocket) -> None:
        self.calls += 1
        await websocket.accept()
        await websocket.send_text(self.name)
        with contextlib.suppress(Exception):
            await websocket.receive()
        self.calls -= 1

    def start(self) -> str:
        """Its address. It has an event loop of its own, so that it answers whatever the test does."""
        self.thread.start()
        return asyncio.run_coroutine_threadsafe(self._serve(), self.loop).result(30)

    async def _serve(self) -> str:
        self.answers.set()
        config = uvicorn.Config(self.app, port=0, log_config=None, lifespan="off")
        config.load()
        self.server = uvicorn.Server(config)
        self.server.lifespan = config.lifespan_class(config)
        await self.server.startup()
        return f"127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def release(self) -> None:
        """Answer those who wait for it."""
        self.loop.call_soon_threadsafe(self.answers.set)

    def stop(self) -> None:
        """The process is gone: its port is closed."""
        if self.server is not None:
            self.loop.call_soon_threadsafe(self.speaks.set)
            asyncio.run_coroutine_threadsafe(self._end(self.server), self.loop).result(30)
            self.server = None
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
            self.loop.close()

    async def _end(self, server: uvicorn.Server) -> None:
        await server.shutdown()
        # HAProxy asks all the time, so somebody may have connected just then; it shows within a few turns.
        for _ in range(30):
            for late in list(vars(self.loop)["_transports"].values()):
                late.abort()
            await asyncio.sleep(0.01)


@dataclass
class Rig:
    proxy: Haproxy
    processes: list[Pretender]
    http: httpx.AsyncClient

    async def ask(self, path: str, method: str = "POST", **options: Any) -> str:
        """Which process answered."""
        answer = await self.http.request(method, path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()["process"]

    async def was_asked(self) -> None:
        """HAProxy knows what they tell now: each has been asked twice since."""
        before = [process.asked for process in self.processes]
        alive = [process for process in self.processes if process.server is not None]
        async with asyncio.timeout(20):
            while any(process.asked < before[self.processes.index(process)] + 4 for process in alive):
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def rig_of(folder: Path, **variables: str) -> AsyncGenerator[Rig]:
    processes = [Pretender(name) for name in NAMES]
    addresses = [process.start() for process in processes]
    try:
        with running_haproxy(folder, addresses, **OPEN, **variables) as proxy:
            async with httpx.AsyncClient(base_url=proxy.url) as http:
                rig = Rig(proxy, processes, http)
                await rig.was_asked()
                yield rig
    finally:
        for process in processes:
            process.stop()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    async with rig_of(tmp_path) as rig:
        yield rig


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncGenerator[Rig]:
    """Its HAProxy waits for an answer as long as it does by itself."""
    async with rig_of(tmp_path, ANSWER_WITHIN_SECONDS="2") as rig:
        yield rig


async def test_seven_at_once_take_all_six_lines_and_one_waits(rig: Rig):
    answers = await asyncio.gather(*(rig.ask("/webrtc/offer") for _ in range(7)))
    assert sorted(Counter(answers).values()) == [2, 2, 3]


async def test_calls_that_are_not_answered_yet_are_counted_by_the_proxy(rig: Rig):
    for process in rig.processes:
        process.counts = False
        process.answers.clear()
    kinds = ("/webrtc/offer", "/twilio/inbound", "/api/v1/chat") * 2
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(rig.ask(kind)) for kind in kinds]
        async with asyncio.timeout(20):
            while sum(len(process.received) for process in rig.processes) < len(kinds):
                await asyncio.sleep(0.01)
        for process in rig.processes:
            process.release()
    assert Counter(call.result() for call in asked) == dict.fromkeys(NAMES, 2)


async def test_websockets_are_calls(rig: Rig):
    async with contextlib.AsyncExitStack() as stack:
        address = rig.proxy.url.replace("http", "ws") + "/api/chat?text_prompt=a%20role"
        told = [
            await (await stack.enter_async_context(connect(address, proxy=None))).recv() for _ in range(6)
        ]
        assert Counter(told) == dict.fromkeys(NAMES, 2)
    assert "a%20role" not in rig.proxy.log


async def test_a_page_is_promised_a_line_until_its_offer_comes(rig: Rig):
    """It asks for its configuration first, and sends the offer to the process that answered."""
    visitors = [{"Cookie": f"personaplex_visitor={letter * 43}"} for letter in "abcdefg"]
    asked = [await rig.ask("/webrtc/config", "GET", headers=visitor) for visitor in visitors[:6]]
    assert Counter(asked) == dict.fromkeys(NAMES, 2)
    for name, visitor in zip(asked, visitors, strict=False):
        assert await rig.ask(f"/{name}/webrtc/offer", headers=visitor) == name
    await rig.was_asked()
    rig.processes[1].calls -= 1
    assert await rig.ask("/webrtc/config", "GET", headers=visitors[6]) == NAMES[1]


async def test_a_page_keeps_its_promise_over_the_websocket_too(rig: Rig):
    visitor = {"Cookie": f"personaplex_visitor={'a' * 43}"}
    for process in rig.processes[1:]:
        process.calls = 2
    await rig.was_asked()
    assert await rig.ask("/webrtc/config", "GET", headers=visitor) == NAMES[0]
    address = rig.proxy.url.replace("http", "ws") + f"/{NAMES[0]}/api/chat"
    async with connect(address, proxy=None, additional_headers=visitor) as websocket:
        assert await websocket.recv() == NAMES[0]
        await rig.was_asked()
        # The promise is kept, so that one line is left there, and not none.
        assert await rig.ask("/twilio/inbound") == NAMES[0]
        await rig.was_asked()
        assert rig.processes[0].calls == 2


async def test_a_line_that_has_just_become_free_is_found(rig: Rig):
    for process in rig.processes:
        process.calls = 2
    await rig.was_asked()
    rig.processes[2].calls = 1
    assert await rig.ask("/twilio/inbound") == NAMES[2]
    assert await rig.ask("/twilio/inbound") == NAMES[0]


async def test_a_browser_stays_where_its_page_came_from_and_calls_where_a_line_is_free(rig: Rig):
    home = await rig.ask("/", "GET")
    assert rig.http.cookies["personaplex_process"] == home
    assert [await rig.ask("/gradio_api/queue/join") for _ in range(3)] == [home] * 3
    for _ in range(2):
        assert await rig.ask("/webrtc/offer") == home
        await rig.was_asked()  # for a moment a call may be counted twice: as told, and as sent
    # What it shows of lines is told by the process that its next call would get.
    assert await rig.ask("/health", "GET") == await rig.ask("/webrtc/offer") != home
    assert await rig.ask("/calls", "GET") == home


async def test_a_draining_process_gets_no_call_and_keeps_what_it_has(rig: Rig):
    home = await rig.ask("/", "GET")
    [draining] = [process for process in rig.processes if process.name == home]
    draining.accepting = False
    await rig.was_asked()
    calls = [await rig.ask("/webrtc/offer") for _ in range(7)]
    assert home not in calls
    assert await rig.ask(f"/{home}/twilio/ended") == home
    assert await rig.ask("/calls", "GET") == home
    # A page that is opened anew is another one's, and so is all that it asks for from then on.
    other = await rig.ask("/", "GET")
    assert other != home
    assert await rig.ask("/calls", "GET") == other
    draining.accepting = True
    await rig.was_asked()
    assert await rig.ask("/webrtc/config", "GET", headers={"Cookie": "personaplex_process=none"}) == home


async def test_what_belongs_to_a_dead_process_is_refused_and_its_browsers_go_elsewhere(rig: Rig):
    home = await rig.ask("/", "GET")
    [dead] = [process for process in rig.processes if process.name == home]
    dead.stop()
    # The first call may still be sent there, is not taken, and goes to another.
    assert await rig.ask("/webrtc/offer") != home
    await asyncio.to_thread(
        wait_until,
        lambda: httpx.get(f"{rig.proxy.url}/{home}/webrtc/calls/x").status_code == 503,
        30,
        "it is noticed",
    )
    refused = await rig.http.get(f"/{home}/webrtc/calls/x")
    assert refused.json() == {"detail": "The server that had this call is gone. Please call again."}
    # Whoever talked with it by telephone hears so from another.
    assert await rig.ask(f"/{home}/twilio/ended") != home
    assert await rig.ask("/calls", "GET") != home
    assert rig.http.cookies["personaplex_process"] != home


async def test_a_process_that_answers_slowly_keeps_its_browsers_and_gets_calls(rig: Rig):
    """Slower than it is asked, yet in time."""
    home = await rig.ask("/", "GET")
    slow = rig.processes[NAMES.index(home)]
    slow.slow_sec = 0.5
    await rig.was_asked()
    await rig.was_asked()
    assert await rig.ask("/", "GET") == home
    assert await rig.ask("/calls", "GET") == home
    assert await rig.ask("/twilio/inbound") == home
    assert "is DOWN" not in rig.proxy.log


async def test_a_process_that_misses_an_answer_now_and_then_keeps_its_browsers(impatient: Rig):
    home = await impatient.ask("/", "GET")
    late = impatient.processes[NAMES.index(home)]
    for process in impatient.processes:
        process.calls, process.lines = (0, 99) if process is late else (2, 2)
    await impatient.was_asked()
    late.silent_after = 2
    while min(late.unanswered["busy=404"], late.unanswered[""]) < 4:  # of the check, and of the script
        assert await impatient.ask("/", "GET") == home
        assert await impatient.ask("/calls", "GET") == home
        # Nobody else has a line, and what it told last is true.
        assert await impatient.ask("/twilio/inbound") == home
        await asyncio.sleep(0.1)
    assert "is DOWN" not in impatient.proxy.log


async def test_a_process_that_answers_no_more_gets_no_calls_and_then_loses_its_browsers(impatient: Rig):
    home = await impatient.ask("/", "GET")
    silent = impatient.processes[NAMES.index(home)]
    silent.silent_after = 0
    async with asyncio.timeout(30):
        while silent.unanswered[""] < 2:  # the script asked again, so it has missed one
            await asyncio.sleep(0.02)
    assert home not in [await impatient.ask("/twilio/inbound") for _ in range(3)]
    async with asyncio.timeout(30):
        while (other := await impatient.ask("/", "GET")) == home:
            await asyncio.sleep(0.02)
    assert max(silent.unanswered.values()) >= 3
    assert await impatient.ask("/calls", "GET") == other
    # As soon as it answers, it is there again.
    silent.silent_after = None
    silent.loop.call_soon_threadsafe(silent.speaks.set)
    for process in impatient.processes:
        process.calls = 0 if process is silent else 2
    async with asyncio.timeout(30):
        while await impatient.ask("/twilio/inbound") != home:
            await asyncio.sleep(0.02)


async def test_a_process_without_a_model_gets_nothing(rig: Rig):
    rig.processes[0].accepting, rig.processes[0].status = False, 503
    await rig.was_asked()
    await asyncio.to_thread(wait_until, lambda: "gpu-1 is DOWN" in rig.proxy.log, 30, "it is taken out")
    assert NAMES[0] not in [await rig.ask("/", "GET", headers={"Cookie": ""}) for _ in range(4)]
    assert NAMES[0] not in [await rig.ask("/webrtc/offer") for _ in range(6)]


async def test_where_nobody_takes_calls_a_process_says_so_itself(rig: Rig):
    for process in rig.processes:
        process.accepting = False
    await rig.was_asked()
    assert await rig.ask("/twilio/inbound") in NAMES
    assert await rig.ask("/", "GET") in NAMES


async def test_without_any_process_there_is_a_sentence(rig: Rig):
    for process in rig.processes:
        process.stop()
    answer = await rig.http.post("/webrtc/offer")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("No server can be reached now.")


async def test_the_processes_are_told_the_clients_address_and_not_what_it_claims(rig: Rig):
    lies = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7", "X-Real-IP": "203.0.113.7"}
    lies |= {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    name = await rig.ask("/calls", "GET", headers={**lies, "Host": "talk.example.org"})
    [(_, told)] = rig.processes[NAMES.index(name)].received
    told = {header: value for header, value in told.items() if "forward" in header or "real" in header}
    assert told == {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": "talk.example.org",
        "x-forwarded-proto": "http",
    }


async def test_what_concerns_one_process_has_to_name_it(rig: Rig):
    for path in ("/drain", "/capacity", "/metrics"):
        assert (await rig.http.get(path)).status_code == 404
        assert await rig.ask(f"/gpu-2{path}", "GET") == "gpu-2"


async def test_http_leads_to_https_and_its_cookie_stays_there(tmp_path: Path):
    process = Pretender(NAMES[0])
    address = process.start()
    nobody = "127.0.0.1:9"
    try:
        with running_haproxy(tmp_path, [address, nobody, nobody]) as proxy:
            async with httpx.AsyncClient(verify=False) as http:
                moved = await http.get(f"{proxy.url}/a?b=c", headers={"Host": "talk.example.org"})
                assert (moved.status_code, moved.headers["location"]) == (
                    308,
                    "https://talk.example.org/a?b=c",
                )
                page = await http.get(proxy.https_url)
        assert page.headers["set-cookie"] == (
            "personaplex_process=gpu-1; Path=/; HttpOnly; SameSite=Lax; Secure"
        )
        assert process.received[-1][1]["x-forwarded-proto"] == "https"
    finally:
        process.stop()


async def test_http_leads_to_the_port_of_https_that_is_told(tmp_path: Path):
    nobody = ["127.0.0.1:9"] * 3
    with running_haproxy(tmp_path, nobody, HTTPS_PORT="8143") as proxy:
        async with httpx.AsyncClient() as http:
            for host, told in (("localhost:8180", "localhost"), ("[::1]:8180", "[::1]"), ("[::1]", "[::1]")):
                moved = await http.get(f"{proxy.url}/a?b=c", headers={"Host": host})
                assert (moved.status_code, moved.headers["location"]) == (308, f"https://{told}:8143/a?b=c")


async def test_a_proxy_in_front_that_is_known_is_believed(tmp_path: Path):
    process = Pretender(NAMES[0])
    address = process.start()
    nobody = "127.0.0.1:9"
    told = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "talk.example.org"}
    told |= {"X-Forwarded-Proto": "https"}
    try:
        with running_haproxy(tmp_path, [address, nobody, nobody], FRONT_PROXY="127.0.0.0/8") as proxy:
            async with httpx.AsyncClient() as http:
                page = await http.get(proxy.url, headers=told)
        assert page.headers["set-cookie"].endswith("; Secure")
        passed_on = {name.title(): value for name, value in process.received[-1][1].items()}
        assert {name: passed_on[name.title()] for name in told} == told
    finally:
        process.stop()

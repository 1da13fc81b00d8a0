"""One browser with the page open, as far as the server sees it: its cookies, its session in Gradio's queue.

Speaks the page's protocol: Gradio's queue over server-sent events, the offer through ``component_server``.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import httpx

Values = dict[str, Any]


class GradioPage:
    """``chosen``: values of inputs by their ``elem_id``; the others hold what the page sets.

    ``on_event``: is given each line that the server sends about this page. ``on_failure``: why something that
    the page does in the background failed.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        chosen: Mapping[str, object] | None = None,
        on_event: Callable[[str], None] = lambda line: None,
        on_failure: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self.http = http
        self._chosen = dict(chosen or {})
        self._on_event = on_event
        self._on_failure = on_failure
        self._session = uuid.uuid4().hex[:11]
        self._components: dict[int, Values] = {}
        self._dependencies: list[Values] = []
        self._component = 0
        self._background: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        (await self.http.get("/")).raise_for_status()
        config: Values = (await self.http.get("/config")).json()
        self._dependencies = config["dependencies"]
        self._components = {component["id"]: component for component in config["components"]}
        self._component = next(id for id, shown in self._components.items() if shown["type"] == "webrtc")
        self._begin(self._drain(f"/gradio_api/heartbeat/{self._session}"))  # open as long as the page is
        if "voice" not in self._chosen:  # as the page does once it knows the voices of the model
            self._chosen["voice"] = (await self.http.get("/voices")).json()["default"].removesuffix(".pt")
        loads = [d for d in self._dependencies if d["targets"] and d["targets"][0][1] == "load"]
        await self._trigger(next(d for d in loads if len(d["outputs"]) == 3), [])  # owner, address, history

    def leave(self) -> None:
        """Stop all that goes on in the background."""
        for task in self._background:
            task.cancel()

    async def offer(self, webrtc_id: str, sdp: str, kind: str) -> Values:
        """The answer, or what is said instead of one."""
        body = {
            "data": {"sdp": sdp, "type": kind, "webrtc_id": webrtc_id},
            "component_id": self._component,
            "fn_name": "offer",
            "session_hash": self._session,
        }
        answer = await self.http.post("/gradio_api/component_server", json=body)
        return answer.raise_for_status().json()

    def dispatch(self, event: str, webrtc_id: str) -> None:
        """What the component dispatches: ``tick`` sends the inputs, ``state_change`` follows the call."""
        target = [self._component, event]
        dependency = next(d for d in self._dependencies if target in d["targets"])
        others = [self._value_of(self._components[id]) for id in dependency["inputs"][1:]]
        self._begin(self._trigger(dependency, [webrtc_id, *others]))

    def _value_of(self, component: Values) -> Any:
        if component["type"] == "state":
            return None  # the server knows it
        props: Values = component["props"]
        return self._chosen.get(props.get("elem_id") or "", props.get("value"))

    async def _trigger(self, dependency: Values, values: list[Any]) -> None:
        event = {"data": values, "fn_index": dependency["id"], "session_hash": self._session}
        (await self.http.post("/gradio_api/queue/join", json=event)).raise_for_status()
        if self._listening is None or self._listening.done():  # it ends with the session's last event
            path = f"/gradio_api/queue/data?session_hash={self._session}"
            self._listening = self._begin(self._drain(path, self._on_event))

    async def _drain(self, path: str, take: Callable[[str], None] = lambda line: None) -> None:
        async with self.http.stream("GET", path) as content:
            async for line in content.aiter_lines():
                take(line)

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._on_failure(error)

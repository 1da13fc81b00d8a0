"""What programs and pages send to Gradio, checked before Gradio touches it.

Gradio answers what it cannot use with a traceback, and fetches every address that stands where a file is
expected. Knows the shapes of its messages and the functions of the page; it answers with a sentence.
"""

# Gradio is typed in part only:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard, cast
from urllib.parse import unquote

import gradio as gr
from gradio.data_classes import FileData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.errors import PersonaplexError

RELOAD = "This page is older than the server, which has been started anew. Please reload the page."
NO_JSON = "Please send a JSON object, with Content-Type: application/json."
NO_DATA = 'Please send the values as a list: {"data": [...]}.'
NO_SESSION = "The session_hash must be 1 to 64 letters and digits."
NO_FILE = (
    "A file has to be uploaded first: send it to /gradio_api/upload and give the path that comes back. "
    "Other addresses and paths are not read."
)

IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
API_PREFIX = "/gradio_api"
SENT_ON = ("data", "fn_index", "session_hash", "trigger_id")
"""Of a message to the queue; more would let its sender take the place of another event."""

Body = dict[str, Any]


class Refused(PersonaplexError):
    """A message that Gradio must not see. ``detail``: what is answered instead of the sentence."""

    def __init__(self, sentence: str, status: int = 400, detail: object = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.detail = detail if detail is not None else sentence


class GradioBodies:
    """An ASGI middleware around Gradio's app. ``page``: its functions; ``uploads``: the folder with the files
    that clients may name."""

    def __init__(self, app: ASGIApp, page: gr.Blocks, uploads: Path) -> None:
        self._app = app
        self._page = page
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "").removeprefix(API_PREFIX).rstrip("/")
        is_read = path in ("/queue/join", "/cancel", "/reset", "/component_server") or (
            path.startswith("/call/")
        )
        if scope["type"] != "http" or scope["method"] != "POST" or not is_read:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read_object(Request(scope, receive))
            if path not in ("/queue/join",) and not path.startswith("/call/") and not self._may_be_read(body):
                raise Refused(NO_FILE)
            body = self._check(path, body)
        except Refused as refused:
            answer: Response = JSONResponse({"detail": refused.detail}, refused.status)
            await answer(scope, receive, send)
            return
        text = json.dumps(body).encode()
        length = (b"content-length", str(len(text)).encode())
        headers = [(k, v) for k, v in scope["headers"] if k not in (b"content-length", b"transfer-encoding")]
        await self._app({**scope, "headers": [*headers, length]}, _once(text, receive), send)

    def _check(self, path: str, body: Body) -> Body:
        """What to pass on. Raises Refused."""
        if path == "/queue/join":
            return self._check_event(body)
        if path.startswith("/call/"):
            return self._check_call(path.removeprefix("/call/"), body)
        _check_session(body, needed=path != "/reset")
        if path == "/component_server":
            return self._check_component(body)
        index = body.get("fn_index", 0)
        if not isinstance(body.get("event_id"), str) or not _is_whole(index):
            raise Refused("Please say which event, by its event_id and fn_index.")
        return body

    def _check_event(self, body: Body) -> Body:
        _check_session(body, needed=True)
        data, index, trigger = _list(body), body.get("fn_index"), body.get("trigger_id")
        if not _is_whole(index) or not (trigger is None or _is_whole(trigger)):
            raise Refused("Please say which function, by a whole number as its fn_index.")
        function = self._page.fns.get(index)
        if function is None:
            raise Refused(RELOAD, 409)
        if len(data) < len(function.inputs) and not function.cancels:
            if not isinstance(function.api_name, str):
                raise Refused(RELOAD, 409)  # another function had this number
            body["data"] = data = _padded(data, len(function.inputs))
        self._check_files(data, function.inputs, as_validation=True)
        return {name: body[name] for name in SENT_ON if name in body}

    def _check_call(self, name: str, body: Body) -> Body:
        _check_session(body, needed=False)
        function = next((f for f in self._page.fns.values() if f.api_name == name), None)
        if function is None:
            raise Refused("There is no such endpoint. Ask /gradio_api/info which there are.", 404)
        inputs = [component for component in function.inputs if not getattr(component, "stateful", False)]
        data = _padded(_list(body), len(inputs))
        self._check_files(data, inputs, as_validation=False)
        return {"data": data, **({"session_hash": s} if (s := body.get("session_hash")) else {})}

    def _check_component(self, body: Body) -> Body:
        number, name = body.get("component_id"), body.get("fn_name")
        if not _is_whole(number) or not isinstance(name, str) or "data" not in body:
            raise Refused("Please name component_id, fn_name, session_hash and data.")
        component: Any = self._page.blocks.get(number)
        if component is None:
            raise Refused(RELOAD, 409)
        if not getattr(getattr(component, name, None), "_is_server_fn", False):
            raise Refused("That component has no such function. Please reload the page.", 404)
        return body

    def _check_files(self, data: list[Any], inputs: Sequence[object], as_validation: bool) -> None:
        """``inputs``: the components that take ``data``, in the same order."""
        taken = [getattr(component, "data_model", None) is FileData for component in inputs]
        taken += [False] * (len(data) - len(taken))
        wrong = [
            not self._may_be_read(value) or (is_file and not _is_file_or_none(value))
            for value, is_file in zip(data, taken, strict=False)
        ]
        if not any(wrong):
            return
        if not as_validation:
            raise Refused(NO_FILE)
        # How Gradio says which value is wrong: its page marks the field, its client raises the sentence.
        names = [str(getattr(component, "label", None) or "value") for component in inputs]
        detail = [
            {
                "__type__": "validate",
                "is_valid": not is_wrong,
                "parameter_name": name,
                "message": NO_FILE if is_wrong else "",
            }
            for name, is_wrong in zip([*names, *["value"] * len(wrong)], wrong, strict=False)
        ]
        raise Refused(NO_FILE, 422, detail)

    def _may_be_read(self, value: Any) -> bool:
        """Whether all files that ``value`` names, however deep, are uploads."""
        return all(self._is_upload(found) for found in _objects(value) if "path" in found or "url" in found)

    def _is_upload(self, file: Body) -> bool:
        path, url = file.get("path"), file.get("url")
        if path is None:
            return not url
        if not isinstance(path, str) or "\0" in path or not os.path.isabs(path):
            return False
        folder = os.path.abspath(self._uploads)
        if os.path.abspath(path) != path or not path.startswith(folder + os.sep):
            return False
        # Gradio's clients send back where it can be fetched, at whatever address they know this server by.
        return not url or (
            isinstance(url, str) and unquote(url).endswith(f"{API_PREFIX}/file={unquote(path)}")
        )


async def _read_object(request: Request) -> Body:
    text = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Nothing else: a page of another site could send it without asking.
        raise Refused(NO_JSON, 415)
    try:
        body: object = json.loads(text)
        json.dumps(body, ensure_ascii=False).encode()  # halves of characters are no text
    except (ValueError, RecursionError) as error:
        raise Refused(NO_JSON) from error
    if not isinstance(body, dict):
        raise Refused(NO_JSON)
    return cast(Body, body)


def _once(text: bytes, receive: Receive) -> Receive:
    has_come = False

    async def receive_text() -> Message:
        nonlocal has_come
        if has_come:
            return await receive()  # the client's leaving
        has_come = True
        return {"type": "http.request", "body": text, "more_body": False}

    return receive_text


def _check_session(body: Body, needed: bool) -> None:
    session = body.get("session_hash")
    if session is None and not needed:
        return
    if not isinstance(session, str) or not IDENTIFIER.fullmatch(session):
        raise Refused(NO_SESSION)


def _list(body: Body) -> list[Any]:
    data = body.get("data")
    if not isinstance(data, list):
        raise Refused(NO_DATA)
    return cast(list[Any], data)


def _padded(data: list[Any], length: int) -> list[Any]:
    """Values at the end may be left out; nothing stands for the default."""
    return [*data, *[None] * (length - len(data))]


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_file_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and isinstance(value.get("path"), str))


def _objects(value: Any) -> Iterator[Body]:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            yield item
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)

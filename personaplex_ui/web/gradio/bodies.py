"""Checks what programs and pages send to Gradio before Gradio handles it.

Gradio answers unusable input with a traceback, and fetches any URL given in place of a file. These checks use
the page's functions and the folder of uploads, and answer with a sentence.
"""

# Gradio is only partly typed:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
from gradio.data_classes import FileData
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.web.gradio.failures import RELOAD
from personaplex_ui.web.gradio.messages import (
    API_CALL,
    MESSAGES,
    ApiCall,
    GradioMessage,
    QueueJoin,
    Refused,
    parse,
    read_json,
)
from personaplex_ui.web.gradio.routes import API_PREFIX, FILE

NO_FILE = (
    "A file has to be uploaded first: send it to /gradio_api/upload and give the path it returns. "
    "Other addresses and paths are not read."
)

Json = dict[str, Any]


class GradioBodies:
    """An ASGI middleware around Gradio's app. ``page``: has the functions; ``uploads``: the folder of the
    files that clients may name."""

    def __init__(self, app: ASGIApp, page: gr.Blocks, uploads: Path) -> None:
        self._app = app
        self._page = page
        self._folder = os.path.abspath(uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "").removeprefix(API_PREFIX).rstrip("/")
        kind = ApiCall if path.startswith(API_CALL) else MESSAGES.get(path)
        if scope["type"] != "http" or scope["method"] != "POST" or kind is None:
            await self._app(scope, receive, send)
            return
        try:
            message = parse(kind, await read_json(Request(scope, receive)))
            checked = self._check(message, path.removeprefix(API_CALL))
        except Refused as refused:
            await JSONResponse({"detail": refused.detail}, refused.status)(scope, receive, send)
            return
        text = json.dumps(checked.model_dump(exclude_unset=True)).encode()
        length = (b"content-length", str(len(text)).encode())
        headers = [(k, v) for k, v in scope["headers"] if k not in (b"content-length", b"transfer-encoding")]
        await self._app({**scope, "headers": [*headers, length]}, _once(text, receive), send)

    def _check(self, message: GradioMessage, name: str) -> GradioMessage:
        """Check a message; returns what to pass on. ``name``: the called endpoint. Raises Refused."""
        match message:
            case QueueJoin():
                return self._check_event(message)
            case ApiCall():
                return self._check_call(name, message)
            case _:
                pass
        return message

    def _check_event(self, event: QueueJoin) -> QueueJoin:
        function = self._page.fns.get(event.fn_index)
        if function is None:
            raise Refused(RELOAD, 409)
        if len(event.data) < len(function.inputs) and not function.cancels:
            if not isinstance(function.api_name, str):
                raise Refused(RELOAD, 409)  # another function used to have this number
            event.data = _padded(event.data, len(function.inputs))
        self._check_files(event.data, function.inputs, as_validation=True)
        return event

    def _check_call(self, name: str, call: ApiCall) -> ApiCall:
        function = next((f for f in self._page.fns.values() if f.api_name == name), None)
        if function is None:
            raise Refused("There is no such endpoint. /gradio_api/info lists them.", 404)
        inputs = [component for component in function.inputs if not getattr(component, "stateful", False)]
        call.data = _padded(call.data, len(inputs))
        self._check_files(call.data, inputs, as_validation=False)
        return call

    def _check_files(self, data: list[Any], inputs: Sequence[object], as_validation: bool) -> None:
        """``inputs``: the components that take ``data``, in the same order."""
        components = [*inputs, *[None] * (len(data) - len(inputs))]
        right = [
            self._may_be_read(value)
            and (getattr(component, "data_model", None) is not FileData or _is_file_or_none(value))
            for value, component in zip(data, components, strict=False)
        ]
        if all(right):
            return
        if not as_validation:
            raise Refused(NO_FILE)
        # Gradio's way to report a wrong value: its page marks the field, its client raises the message.
        detail = [
            {
                "__type__": "validate",
                "is_valid": is_right,
                "parameter_name": str(getattr(component, "label", None) or "value"),
                "message": "" if is_right else NO_FILE,
            }
            for component, is_right in zip(components, right, strict=False)
        ]
        raise Refused(NO_FILE, 422, detail)

    def _may_be_read(self, value: Any) -> bool:
        """Whether all files named in ``value``, at any depth, are uploads."""
        return all(self._is_upload(found) for found in _objects(value) if "path" in found or "url" in found)

    def _is_upload(self, file: Json) -> bool:
        path, url = file.get("path"), file.get("url")
        if path is None:
            return not url
        if not isinstance(path, str) or "\0" in path or not os.path.isabs(path):
            return False
        if os.path.abspath(path) != path or not path.startswith(self._folder + os.sep):
            return False
        # Gradio's clients also send the file's URL, under any address by which they know this server.
        return not url or (isinstance(url, str) and unquote(url).endswith(FILE + unquote(path)))


def _once(text: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": text, "more_body": False}]

    async def receive_text() -> Message:
        return messages.pop() if messages else await receive()  # the client's disconnect

    return receive_text


def _padded(data: list[Any], length: int) -> list[Any]:
    """Trailing values may be missing; None stands for the default."""
    return [*data, *[None] * (length - len(data))]


def _is_file_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and isinstance(value.get("path"), str))


def _objects(value: Any) -> Iterator[Json]:
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            yield item
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)

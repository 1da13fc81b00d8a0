"""A small Hugging Face hub on loopback that has Spaces: the routes by which its client makes and runs one.

It keeps what it is told, answers refusals as huggingface.co does, and is the running Space as well
(``/health``).
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, cast
from urllib.parse import unquote

from tests.support.loopback_http import serving_handler

Json = dict[str, Any]
Answer = tuple[int, object]


@dataclass
class Space:
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    commits: list[str] = field(default_factory=list[str])
    """The messages."""
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    hardware: str = "cpu-basic"
    storage: str | None = None
    sleep_sec: int | None = None
    private: bool = False
    sdk: str = "gradio"
    error: str = ""

    @property
    def sha(self) -> str:
        return f"{len(self.commits):040d}"


@dataclass
class SpaceHub:
    """``refuse``: by method and path, the status and words of an answer instead of the usual one."""

    user: str = "ann"
    role: str = "write"
    can_pay: bool = True
    organisations: tuple[str, ...] = ("house",)
    token: str = "hf_PushingSecret"
    spaces: dict[str, Space] = field(default_factory=dict[str, Space])
    stages: list[str] = field(default_factory=lambda: ["RUNNING"])
    """What the runtime says, one after the other; the last one stays."""
    healths: list[Answer] = field(default_factory=lambda: [(200, {"status": "healthy"})])
    refuse: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None
    knows_secrets: bool = True
    """Whether it tells the names of secrets."""
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    keys: list[str | None] = field(default_factory=list[str | None])
    """With what ``/health`` was asked."""
    stored: dict[str, bytes] = field(default_factory=dict[str, bytes])
    url: str = ""

    def changes(self) -> list[tuple[str, str]]:
        """What was asked for besides looking, checking and waiting."""
        looking = ("/preupload/", "/api/validate-yaml", "/info/lfs/", "/storage/")
        return [
            (how, path) for how, path in self.requests if how != "GET" and not any(x in path for x in looking)
        ]

    # The answers ----------------------------------------------------------------------------------

    def answer(self, method: str, path: str, body: bytes, authorization: str | None) -> Answer:
        self.requests.append((method, path))
        if path == "/health":
            self.keys.append(authorization)
            return self.healths.pop(0) if len(self.healths) > 1 else self.healths[0]
        if (refused := self.refuse(method, path)) is not None:
            return refused[0], {"error": refused[1]}
        if path.startswith("/storage/"):
            self.stored[path.rpartition("/")[2]] = body
            return 200, {}
        if authorization != f"Bearer {self.token}":
            return 401, {"error": "Invalid credentials in Authorization header"}
        if path == "/api/whoami-v2":
            names = [{"name": name, "canPay": self.can_pay} for name in self.organisations]
            token = {"accessToken": {"role": self.role}}
            return 200, {"name": self.user, "canPay": self.can_pay, "orgs": names, "auth": token}
        if path == "/api/validate-yaml":
            return 200, {"warnings": [], "errors": []}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/repos/delete":
            told = json.loads(body)
            self.spaces.pop(f"{told.get('organization') or self.user}/{told['name']}")
            return 200, {}
        found = re.fullmatch(r"(?:/api)?/spaces/([^/]+/[^/]+?)(?:\.git)?(?:/(.*))?", path)
        if found is None or found[1] not in self.spaces:
            return 404, {"error": "Repository not found"}
        return self._of_space(found[1], self.spaces[found[1]], method, found[2] or "", body)

    def _create(self, told: Json) -> Answer:
        name = f"{told.get('organization') or self.user}/{told['name']}"
        if name in self.spaces:
            return 409, {"error": "You already created this space repo"}
        readme = b"---\nsdk: gradio\n---\n"
        self.spaces[name] = Space(
            files={".gitattributes": b"*.bin filter=lfs\n", "README.md": readme},
            commits=["initial commit"],
            hardware=told.get("hardware", "cpu-basic"),
            storage=told.get("storageTier"),
            sleep_sec=told.get("sleepTimeSeconds"),
            private=bool(told.get("private")),
            sdk=told["sdk"],
        )
        return 200, {"url": f"{self.url}/spaces/{name}", "name": name, "id": name}

    def _of_space(self, name: str, space: Space, method: str, route: str, body: bytes) -> Answer:
        told: Any = json.loads(body) if body and not route.startswith("commit/") else {}
        match method, route.partition("/")[0]:
            case "GET", "" | "revision":
                return 200, self._info(name, space)
            case "GET", "tree":
                return 200, [{"type": "file", "path": path, "oid": "0", "size": 1} for path in space.files]
            case "GET", "runtime":
                return 200, self._runtime(
                    space, self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]
                )
            case "POST", "preupload":
                return 200, {"files": [self._upload_mode(space, each) for each in told["files"]]}
            case "POST", "info":
                return 200, {
                    "transfer": "basic",
                    "objects": [self._upload_action(each) for each in told["objects"]],
                }
            case "POST", "commit":
                return 200, self._commit(name, space, body)
            case "GET", "commits":
                when = "2026-11-30T07:00:00.000Z"
                about: Json = {"id": "0" * 40, "message": "", "date": when, "authors": []}
                return 200, [{**about, "title": title} for title in reversed(space.commits)]
            case "POST", "secrets" if told["key"] in space.variables:
                return 400, {"error": f"There is a variable {told['key']}, which collides"}
            case "DELETE", "variables":
                del space.variables[told["key"]]
            case "GET", "secrets":
                return (
                    (200, {key: {"key": key} for key in space.secrets}) if self.knows_secrets else (404, {})
                )
            case "POST", "secrets" | "variables" as kind:
                getattr(space, kind)[told["key"]] = told["value"]
            case "POST", "hardware":
                space.hardware = told["flavor"]
                space.sleep_sec = told.get("sleepTimeSeconds", space.sleep_sec)
            case "POST", "sleeptime":
                space.sleep_sec = told["seconds"]
            case "POST", "storage":
                space.storage = told["tier"]
            case "POST", "restart":
                self.stages = ["RUNNING"]
            case _:
                pass
        if route == "variables":
            return 200, {key: {"value": value} for key, value in space.variables.items()}
        if route in ("hardware", "sleeptime", "storage", "restart"):
            return 200, self._runtime(space, self.stages[0])
        return (200, {}) if route == "secrets" else (404, {"error": "no such route"})

    def _info(self, name: str, space: Space) -> Json:
        siblings = [{"rfilename": path} for path in space.files]
        host = {"host": self.url, "subdomain": name.replace("/", "-")}
        return {
            "id": name,
            "sha": space.sha,
            "private": space.private,
            "sdk": space.sdk,
            "siblings": siblings,
            **host,
        }

    def _runtime(self, space: Space, stage: str) -> Json:
        hardware = {"current": space.hardware, "requested": space.hardware}
        error = {"errorMessage": space.error} if space.error else {}
        return {
            "stage": stage,
            "hardware": hardware,
            "gcTimeout": space.sleep_sec,
            "storage": space.storage,
            **error,
        }

    def _upload_mode(self, space: Space, told: Json) -> Json:
        path, sample = told["path"], base64.b64decode(told["sample"])
        there = space.files.get(path)
        mode = "lfs" if b"\0" in sample else "regular"
        oid = None if there is None else _oid(there, mode == "lfs")
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _upload_action(self, told: Json) -> Json:
        return {**told, "actions": {"upload": {"href": f"{self.url}/storage/{told['oid']}"}}}

    def _commit(self, name: str, space: Space, body: bytes) -> Json:
        for line in body.splitlines():
            told = json.loads(line)
            value = told["value"]
            match told["key"]:
                case "header":
                    space.commits.append(value["summary"])
                case "file":
                    space.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    space.files[value["path"]] = self.stored[value["oid"]]
                case _:
                    del space.files[value["path"]]
        return {"commitUrl": f"{self.url}/spaces/{name}/commit/{space.sha}", "commitOid": space.sha}


def _oid(content: bytes, large: bool) -> str:
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving(hub: SpaceHub) -> Generator[SpaceHub]:
    """Serve ``hub`` at ``hub.url``."""
    handler = cast(type[_Handler], type("Handler", (_Handler,), {"hub": hub}))
    with serving_handler(handler) as hub.url:
        yield hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece, or the kernel waits 40 ms between them
    hub: SpaceHub

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        path = unquote(self.path.partition("?")[0])
        told = self.hub.answer(self.command, path, self.rfile.read(length), self.headers.get("Authorization"))
        status, body = told
        data = json.dumps(body).encode()
        self.send_response(status)
        if status == 404 and "/api/spaces/" in path and path.count("/") == 4:
            self.send_header("X-Error-Code", "RepoNotFound")
        if status >= 400 and isinstance(body, dict):
            self.send_header("X-Error-Message", str(cast(Json, body).get("error", "")))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  the base class finds them by these names

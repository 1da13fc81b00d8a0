"""A small Hugging Face hub on loopback: what ``huggingface_hub`` asks for when it lists and downloads.

Answers as huggingface.co does: the API lists sizes and hashes, large files are redirected to another address
and can be asked for in part, refusals carry ``X-Error-Code``. With it, how the tests find a checkpoint there.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from huggingface_hub import constants

from personaplex_ui.models.personaplex.hub import download, ranged_download
from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles, CheckpointUnusable
from tests.support.loopback_http import serving_handler

TINY = Path(__file__).parents[1] / "data/tiny"
REPO = "nvidia/personaplex-7b-v1"
WEIGHTS = "model.safetensors"
TOKEN = "hf_averysecrettoken"

LARGE_BYTES = 1_000_000
"""Files from here on are kept in large file storage."""

Refusal = tuple[int, dict[str, str]]


def tiny_files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in TINY.iterdir()}


@dataclass
class Request:
    method: str
    path: str
    range_start: int | None
    authorization: str | None
    range_end: int | None = None


@dataclass
class HubStub:
    """One repository. ``refuse``: the answer to requests it does not return None for."""

    repo: str
    files: dict[str, bytes]
    commit: str = "a" * 40
    refuse: Callable[[Request], Refusal | None] = lambda request: None
    break_after: list[int] = field(default_factory=list[int])
    """Each download of a large file takes one and breaks off after so many bytes."""
    delay_sec: float = 0.0
    chunk_delay_sec: float = 0.0
    html: bool = False
    ranges: bool = True
    """Whether files in storage can be asked for in part."""
    storage_url: str = ""
    """Where large files are, if not here."""
    served: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    """What was sent of large files: the name, from where, and how many bytes."""
    most_at_once: int = 0
    """Downloads of large files."""
    requests: list[Request] = field(default_factory=list[Request])
    url: str = ""
    _at_once: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def paths(self, method: str) -> list[str]:
        return [request.path for request in self.requests if request.method == method]

    def blob(self, cache: Path, name: str) -> Path:
        """Where the hub's client keeps the content of a file in the folder ``cache``."""
        return cache / f"models--{self.repo.replace('/', '--')}" / "blobs" / etag(self.files[name])

    def leave_part(self, cache: Path, name: str, content: bytes) -> None:
        """As the hub's client leaves a download that broke off."""
        blob = self.blob(cache, name)
        blob.parent.mkdir(parents=True)
        blob.with_name(f"{blob.name}.incomplete").write_bytes(content)

    @contextmanager
    def counted(self) -> Generator[None]:
        """Around the body of a download."""
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._counting:
                self._at_once -= 1

    def listing(self) -> bytes:
        siblings: list[dict[str, object]] = []
        for name, content in self.files.items():
            sibling: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": etag(content)}
            if len(content) >= LARGE_BYTES:
                sibling["lfs"] = {"sha256": etag(content), "size": len(content), "pointerSize": 135}
            siblings.append(sibling)
        return json.dumps({"id": self.repo, "sha": self.commit, "siblings": siblings}).encode()


def etag(content: bytes) -> str:
    algorithm = "sha256" if len(content) >= LARGE_BYTES else "sha1"
    return hashlib.new(algorithm, content).hexdigest()


@contextmanager
def serving(stub: HubStub) -> Generator[HubStub]:
    """Serve ``stub`` at ``stub.url``."""
    handler = cast(type[_Handler], type("Handler", (_Handler,), {"stub": stub}))
    with serving_handler(handler) as stub.url:
        yield stub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: HubStub

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        stub = self.stub
        time.sleep(stub.delay_sec)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        request = Request(
            self.command,
            self.path.partition("?")[0],
            int(asked[1]) if asked else None,
            self.headers.get("Authorization"),
            int(asked[2]) + 1 if asked and asked[2] else None,
        )
        stub.requests.append(request)
        refusal = stub.refuse(request)
        if stub.html:
            self._send(200, {"Content-Type": "text/html"}, b"<html>Please sign in.</html>" * with_body)
        elif refusal is not None:
            self._send(*refusal, b"{}" * with_body)
        elif request.path.startswith("/api/models/"):
            self._list(request)
        elif request.path.startswith("/storage/"):
            self._send_stored(request)
        else:
            self._resolve(request, with_body)

    def _list(self, request: Request) -> None:
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", request.path)
        if found is None or found[1] != self.stub.repo:
            self._send(404, {"X-Error-Code": "RepoNotFound"}, b"{}")
        elif found[2] not in ("main", self.stub.commit):
            self._send(404, {"X-Error-Code": "RevisionNotFound"}, b"{}")
        else:
            self._send(200, {"Content-Type": "application/json"}, self.stub.listing())

    def _resolve(self, request: Request, with_body: bool) -> None:
        name = request.path.rpartition("/")[2]
        content = self.stub.files.get(name)
        if content is None:
            self._send(404, {"X-Error-Code": "EntryNotFound"}, b"")
            return
        headers = {"X-Repo-Commit": self.stub.commit, "ETag": f'"{etag(content)}"'}
        if len(content) >= LARGE_BYTES:
            place = self.stub.storage_url or self.stub.url
            headers |= {
                "X-Linked-Etag": f'"{etag(content)}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{place}/storage/{name}?signature=secret-signature",
            }
            self._send(302, headers, b"")
        else:
            self._send(200, headers, content, with_body)

    def _send_stored(self, request: Request) -> None:
        name = request.path.rpartition("/")[2]
        content = self.stub.files[name]
        ranged = self.stub.ranges and request.range_start is not None
        start = request.range_start or 0 if ranged else 0
        if start and start >= len(content):
            self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            return
        stop = min(len(content), request.range_end or len(content)) if ranged else len(content)
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"} if ranged else {}
        self.send_response(206 if ranged else 200)
        for key, value in {**headers, "Content-Length": str(stop - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        end = min(stop, start + self.stub.break_after.pop(0)) if self.stub.break_after else stop
        with self.stub.counted():
            for first in range(start, end, 500_000):
                time.sleep(self.stub.chunk_delay_sec)
                piece = content[first : min(end, first + 500_000)]
                self.wfile.write(piece)
                self.stub.served.append((name, first, len(piece)))
        self.close_connection = self.close_connection or end < stop

    def _send(self, status: int, headers: dict[str, str], body: bytes, with_body: bool = True) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


class Reports:
    """What was told while a checkpoint was fetched."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def __call__(self, sentence: str, share: float) -> None:
        self.told.append((sentence, share))

    def shares(self) -> list[float]:
        """Of the download."""
        return [share for sentence, share in self.told if sentence.startswith("Downloading")]


def find(
    stub: HubStub,
    tmp_path: Path,
    token: str | None = None,
    revision: str | None = None,
    repo: str = REPO,
    report: Reports | None = None,
) -> CheckpointFiles:
    hub = Hub(token, stub.url, tmp_path / "cache")
    return find_checkpoint(repo, revision, hub, report or Reports())


def refusal(
    stub: HubStub,
    tmp_path: Path,
    token: str | None = None,
    revision: str | None = None,
    repo: str = REPO,
) -> str:
    """The sentence that ``find`` ends with; it shows nothing that signs in."""
    with pytest.raises(CheckpointUnusable) as caught:
        find(stub, tmp_path, token, revision, repo)
    sentence = str(caught.value)
    assert TOKEN not in sentence
    assert "signature" not in sentence
    assert sentence.endswith(".")
    return sentence


def keep_to_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token of this machine, no proxy, small pieces, no waiting between attempts, and time to answer on
    a machine that is busy with other things."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    # The client writes in pieces of 10 MB, and a piece that breaks off is lost.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    at_once = SimpleNamespace(sleep=lambda sec: None)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr("huggingface_hub.utils._http.time", at_once)
    monkeypatch.setattr("huggingface_hub.file_download.time", at_once)
    monkeypatch.setattr(ranged_download, "WAIT_SEC", 0.001)
    monkeypatch.setattr(download, "HUB_TIMEOUT_SEC", 50.0)

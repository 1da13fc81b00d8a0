"""A package index (PEP 691, PEP 503) and an npm registry on loopback, with packages that tests make."""

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, cast

from personaplex_ui.speech.weights.manifest import Package

NO_HASHES: dict[str, str] = {}


@dataclass
class PackageIndex:
    """``files``: what it has, by the file's name. ``html``: its list is a page, not JSON."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    html: bool = False
    status: int = 200
    short_by: int = 0
    """A download breaks off so many bytes before its end."""
    url: str = ""
    requests: list[str] = field(default_factory=list[str])
    """Paths."""

    def downloads(self) -> list[str]:
        """The names of the files that were asked for."""
        return [path.rpartition("/")[2] for path in self.requests if "/files/" in path or "/-/" in path]


def wheel(name: str, version: str, members: dict[str, bytes]) -> tuple[str, bytes]:
    """File name and content of a wheel. Importing it would fail."""
    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    parts = {
        f"{plain}/__init__.py": b"raise AssertionError('imported')",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
        **members,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for path, content in parts.items():
            written.writestr(path, content)
    return f"{plain}-{version}-py3-none-any.whl", file.getvalue()


def tarball(members: dict[str, bytes]) -> bytes:
    """A gzipped tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as written:
        for path, content in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            written.addfile(info, io.BytesIO(content))
    return file.getvalue()


def package(index: Literal["pypi", "npm"], name: str, version: str, file: str, content: bytes) -> Package:
    """How a manifest describes it."""
    sha256 = hashlib.sha256(content).hexdigest()
    return Package(index=index, name=name, version=version, file=file, bytes=len(content), sha256=sha256)


@contextmanager
def serving_packages(index: PackageIndex) -> Generator[PackageIndex]:
    """Serve ``index`` at ``index.url``: PyPI's list below ``/simple/``, npm's registry at the root."""
    handler = cast(type[_Handler], type("Handler", (_Handler,), {"index": index}))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    index.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    index: PackageIndex

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Whether there is such a file."""
        found = self.path.rpartition("/")[2] in self.index.files
        self.send_response(self.index.status if found else 404)
        self.end_headers()

    def do_GET(self) -> None:
        index = self.index
        index.requests.append(self.path)
        parts = self.path.strip("/").split("/")
        content = index.files.get(parts[-1])
        if index.status != 200:
            self._send(index.status, "text/plain", b"refused")
        elif parts[0] == "simple":
            self._list(parts[1])
        elif content is not None:
            self._send(200, "application/octet-stream", content, index.short_by)
        else:
            self._describe(parts[-1])

    def _list(self, project: str) -> None:
        names = [name for name in self.index.files if name.replace("_", "-").startswith(f"{project}-")]
        if not names:
            self._send(404, "text/plain", b"")
        elif self.index.html:
            links = "".join(f'<a href="../../files/{name}#sha256=0">{name}</a>' for name in names)
            self._send(200, "text/html", f"<!doctype html><html><body>{links}</body></html>".encode())
        else:
            files = [{"filename": name, "url": f"../../files/{name}", "hashes": NO_HASHES} for name in names]
            listed = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
            self._send(200, "application/vnd.pypi.simple.v1+json", json.dumps(listed).encode())

    def _describe(self, name: str) -> None:
        """What npm asks for first."""
        file = next((file for file in self.index.files if file.startswith(f"{name}-")), None)
        if file is None:
            self._send(404, "application/json", b"{}")
            return
        version = file.removeprefix(f"{name}-").removesuffix(".tgz")
        digest = base64.b64encode(hashlib.sha512(self.index.files[file]).digest()).decode()
        dist = {"tarball": f"{self.index.url}/{name}/-/{file}", "integrity": f"sha512-{digest}"}
        versions = {version: {"name": name, "version": version, "dist": dist}}
        described = {"name": name, "dist-tags": {"latest": version}, "versions": versions}
        self._send(200, "application/json", json.dumps(described).encode())

    def _send(self, status: int, kind: str, body: bytes, short_by: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) - short_by])

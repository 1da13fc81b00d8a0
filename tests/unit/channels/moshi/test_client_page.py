"""The official web client under ``/moshi/``, made up: a build of Vite, as a folder and as an archive."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

from personaplex_ui.channels.moshi import client_page as moshi_client
from personaplex_ui.channels.moshi.client_page import MoshiClient, MoshiClientAssets, build_client_router

INDEX = (
    '<!doctype html><html><head lang="en"><script type="module" src="/assets/index-1a.js"></script></head>'
    '<body><div id="root"></div></body></html>'
)
FILES = {
    "index.html": INDEX,
    "assets/index-1a.js": "new Worker('/assets/decoderWorker.min.js')",
    "assets/decoderWorker.min.js": "wasm",
    "assets/decoderWorker.min.wasm": "\0asm",
    ".env": "SECRET=1",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def archive(folder: Path) -> Path:
    """As it lies beside the model's weights."""
    model = folder.parent / "model"
    model.mkdir()
    with tarfile.open(model / "dist.tgz", "w:gz") as tar:
        tar.add(folder, "dist")
    return model / "dist.tgz"


def app_with(client: MoshiClient) -> FastAPI:
    """As ``server`` builds it: the routes, and after them a page that answers everything."""
    app = FastAPI()
    app.add_middleware(MoshiClientAssets, client=client)
    app.include_router(build_client_router(client))

    @app.get("/{path:path}")
    async def page(path: str) -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse(f"the page's {path}")

    return app


def browser(client: MoshiClient) -> TestClient:
    return TestClient(app_with(client), follow_redirects=False)


@pytest.fixture
def get(folder: Path) -> Iterator[TestClient]:
    client = MoshiClient(folder)
    client.open()
    with browser(client) as http:
        yield http


def test_the_client_is_shown(get: TestClient):
    for path in ("/moshi/", "/moshi/index.html"):
        response = get.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")
        assert response.text.replace(moshi_client.SHIM, "") == INDEX
        assert response.text.index("replaceState") < response.text.index("index-1a.js")


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("assets/")])
def test_its_assets_are_found_where_it_asks_for_them(get: TestClient, name: str):
    for path in (f"/{name}", f"/moshi/{name}"):
        response = get.get(path)
        assert (response.status_code, response.text) == (200, FILES[name])
        assert get.head(path).status_code == 200
    script = get.get("/assets/index-1a.js")
    assert "javascript" in script.headers["content-type"]
    unchanged = get.get("/assets/index-1a.js", headers={"If-None-Match": script.headers["etag"]})
    assert unchanged.status_code == 304


@pytest.mark.parametrize("path", ["/assets/index-of-the-page.js", "/assets/", "/assets", "/", "/index.html"])
def test_the_page_keeps_its_own(get: TestClient, path: str):
    assert get.get(path).text == f"the page's {path[1:]}"


@pytest.mark.parametrize("path", ["/moshi", "/moshi?worker_addr=a%26b"])
def test_without_its_slash_it_is_found_too(get: TestClient, path: str):
    response = get.get(path)
    assert response.status_code == 307
    assert response.headers["location"] == path[1:].replace("moshi", "moshi/")
    assert get.get(path, follow_redirects=True).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/moshi/nothing.js",
        "/moshi/assets",
        "/moshi/.env",
        "/moshi/../pyproject.toml",
        "/moshi/%2e%2e/pyproject.toml",
        "/moshi/..%2f..%2fetc%2fpasswd",
        "/moshi//etc/passwd",
        "/moshi/assets%5c..%5cindex.html",
        "/moshi/%00",
        "/moshi/" + "a" * 5_000,
    ],
)
async def test_no_path_leads_out_of_its_folder(folder: Path, path: str):
    """Asked for as it is: a client would tidy it up first."""
    client = MoshiClient(folder)
    client.open()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "query_string": b"",
        "headers": [],
    }
    await app_with(client)(scope, receive, send)
    assert sent[0]["status"] == 404


def test_a_link_out_of_its_folder_is_not_followed(folder: Path):
    secret = folder.parent / "secret.txt"
    secret.write_text("a secret")
    (folder / "assets" / "link.txt").symlink_to(secret)
    client = MoshiClient(folder)
    client.open()
    with browser(client) as http:
        response = http.get("/moshi/assets/link.txt")
    assert response.status_code == 404
    assert "a secret" not in response.text


# The archive -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked_for", [True, False])
def test_an_archive_is_unpacked_and_removed_again(archive: Path, asked_for: bool):
    client = MoshiClient(archive, None) if asked_for else MoshiClient(None, archive.parent)
    assert not client.present
    client.open()
    with browser(client) as http:
        assert http.get("/moshi/").status_code == 200
        assert http.get("/assets/index-1a.js").text == FILES["assets/index-1a.js"]
        unpacked = client._unpacked  # pyright: ignore[reportPrivateUsage]
        assert unpacked is not None
        client.close()
        assert not Path(unpacked.name).exists()
        assert http.get("/moshi/").status_code == 404
        assert http.get("/assets/index-1a.js").text == "the page's assets/index-1a.js"
    client.close()


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **values: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in values.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content) if member.isreg() else None)


def add_many(tar: tarfile.TarFile) -> None:
    for number in range(30):
        add(tar, f"dist/{number}.js")


EVIL: dict[str, Callable[[tarfile.TarFile], None]] = {
    "leads out": lambda tar: add(tar, "../evil.html", b"evil"),
    "leads out of": lambda tar: add(tar, "/tmp/evil.html", b"evil"),
    "leads": lambda tar: add(tar, "dist\\..\\evil.html", b"evil"),
    "is a link": lambda tar: add(tar, "dist/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "link or a device": lambda tar: add(tar, "dist/x", type=tarfile.LNKTYPE, linkname="dist/index.html"),
    "device": lambda tar: add(tar, "dist/x", type=tarfile.CHRTYPE),
    "more than": add_many,
    "too much": lambda tar: add(tar, "dist/big.js", bytes(2_000)),
    "no index.html": lambda tar: add(tar, "dist/index.htm", b"hello"),
}


@pytest.mark.parametrize("words", EVIL)
def test_an_archive_that_is_no_client_is_refused_in_words(
    tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(moshi_client, "MOST_FILES", 20)
    monkeypatch.setattr(moshi_client, "MAX_FILE_BYTES", 1_000)
    archive = tmp_path / "inner" / "dist.tgz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        EVIL[words](tar)
        if "index" not in words:
            add(tar, "dist/index.html", INDEX.encode())
    client = MoshiClient(archive)
    client.open()
    assert not client.present
    assert words in client.trouble
    assert words in caplog.text
    with browser(client) as http:
        response = http.get("/moshi/")
    assert (response.status_code, response.text) == (404, client.trouble)
    assert list(tmp_path.rglob("evil*")) == []


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_a_damaged_archive_is_refused_in_words(tmp_path: Path, content: bytes):
    (tmp_path / "dist.tgz").write_bytes(content)
    client = MoshiClient(tmp_path / "dist.tgz")
    client.open()
    assert not client.present
    assert "cannot be used: it is damaged" in client.trouble


def test_an_archive_cut_short_is_refused(archive: Path):
    archive.write_bytes(archive.read_bytes()[:-30])
    client = MoshiClient(archive)
    client.open()
    assert not client.present


# None ------------------------------------------------------------------------------------------------


def test_without_a_client_there_is_a_sentence_that_tells_how_to_get_it(tmp_path: Path):
    for client in (MoshiClient(), MoshiClient(None, tmp_path)):
        client.open()
        assert not client.present
        with browser(client) as http:
            for path in ("/moshi/", "/moshi/assets/index-1a.js"):
                response = http.get(path)
                assert response.status_code == 404
                assert "STATIC_PATH" in response.text
            assert http.get("/assets/index-1a.js").text.startswith("the page's")


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_path_that_was_asked_for_and_holds_none_is_told(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "empty").mkdir()
    client = MoshiClient(tmp_path / name)
    client.open()
    assert f"The web client in {tmp_path / name} cannot be used" in caplog.text
    assert str(tmp_path) not in client.trouble  # which anybody may read
    assert ("no such file" in client.trouble) == (name == "nowhere")

"""The page's own files: versions, caching and compression."""

import gzip

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from personaplex_ui.web.page_files import GONE, PageFiles, build_page_files_router

LONG = b"export const words = 'again and again';\n" * 100
CONTENTS = {
    "main.mjs": LONG,
    "short.mjs": b"export {};",
    "page.css": b"a{}" * 500,
    "share.png": b"\x89PNG" * 500,
}
FILES = PageFiles(CONTENTS)


async def get(path: str, needs_password: bool = False, **headers: str) -> Response:
    app = FastAPI()
    app.include_router(build_page_files_router(FILES, needs_password))
    sent = {"Accept-Encoding": "identity"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
        return await client.get(path, headers=sent)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("main.mjs", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("share.png", "image/png"),
    ],
)
@pytest.mark.parametrize("accepted", ["identity", "gzip, deflate, br", "br, gzip;q=0"])
async def test_a_file_is_sent_whole_in_every_encoding(name: str, media_type: str, accepted: str) -> None:
    answer = await get(f"/{FILES.path_of(name)}", Accept_Encoding=accepted)
    assert (answer.status_code, answer.content) == (200, CONTENTS[name])  # httpx unpacks it
    assert answer.headers["content-type"] == media_type
    zipped = accepted.startswith("gzip") and name != "share.png"
    assert ("content-encoding" in answer.headers) is zipped
    assert (int(answer.headers["content-length"]) < len(CONTENTS[name])) is zipped
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(("needs_password", "whose"), [(False, "public"), (True, "private")])
async def test_a_browser_may_keep_it_for_ever(needs_password: bool, whose: str) -> None:
    answer = await get(f"/{FILES.path_of('main.mjs')}", needs_password)
    assert answer.headers["cache-control"] == f"{whose}, max-age=31536000, immutable"


async def test_what_a_browser_has_is_not_sent_again() -> None:
    path = f"/{FILES.path_of('main.mjs')}"
    tag = (await get(path)).headers["etag"]
    again = await get(path, If_None_Match=f'W/"other", {tag}')
    assert (again.status_code, again.content) == (304, b"")
    assert (await get(path, If_None_Match='"other"')).status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/0123456789/main.mjs", f"/page/{FILES.version}/other.mjs", f"/page/{FILES.version}/%2e%2e"]
)
async def test_other_versions_and_names_are_told_to_reload(path: str) -> None:
    answer = await get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": GONE})


@pytest.mark.parametrize(
    "changed",
    [{"main.mjs": LONG + b" "}, {"other.mjs": LONG}, {}, {"main.mjs": LONG[:-1], "short.mjs": LONG[-1:]}],
)
def test_every_change_makes_another_version(changed: dict[str, bytes]) -> None:
    same = PageFiles(dict(reversed(CONTENTS.items())))
    assert same.version == FILES.version
    others = {name: content for name, content in CONTENTS.items() if changed or name != "short.mjs"}
    assert PageFiles(others | changed).version != FILES.version


def test_only_what_becomes_smaller_is_compressed() -> None:
    main, short, picture = (FILES.get(name) for name in ("main.mjs", "short.mjs", "share.png"))
    assert main is not None
    assert short is not None
    assert picture is not None
    assert gzip.decompress(main.gzipped) == LONG
    assert short.gzipped == picture.gzipped == b""
    with pytest.raises(KeyError):
        FILES.path_of("missing.mjs")

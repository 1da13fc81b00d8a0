"""Parts of a sound, as Safari's and other players ask for them: previews and recordings."""

import re
import time
from email import message_from_bytes
from pathlib import Path

import pytest

from personaplex_ui.audio.files.clip_file import wav_header
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.store import CallStore
from personaplex_ui.web.byte_ranges import NotSatisfiable, parse_range
from personaplex_ui.web.security.session_cookie import COOKIE
from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession

pytestmark = LIBRARIES_WARN

OWNER = {"Cookie": f"{COOKIE}={'o' * 43}"}


@pytest.fixture(scope="module")
def paths(app: OpenApp) -> dict[str, str]:
    """A preview, and a recording."""
    store, call_id = app.call_manager.store, CallStore.new_call_id()
    call = EndedCall(call_id, time.time(), 1.0, "NATF2", "You hung up.", (), (), (), (), recorded=True)
    store.add("o" * 43, call)
    store.recording_path(call_id).write_bytes(wav_header(2, 200_000) + bytes(range(250)) * 800)
    return {"preview": "/voices/NATF2/preview.wav", "recording": f"/calls/{call_id}/recording.wav"}


both = pytest.mark.parametrize("kind", ["preview", "recording"])
in_one_loop = pytest.mark.asyncio(loop_scope="module")


@in_one_loop
@both
@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-1", slice(0, 2)),
        ("bytes=0-", slice(0, None)),
        ("bytes=44-99", slice(44, 100)),
        ("bytes=1000-999999999", slice(1000, None)),
        ("bytes=-44", slice(-44, None)),
        ("bytes=-999999999", slice(0, None)),
        ("Bytes = 3 - 7", slice(3, 8)),
        ("bytes=7-7,", slice(7, 8)),
        ("bytes=5-9,99999999-", slice(5, 10)),
    ],
)
async def test_a_part_is_206(app: OpenApp, paths: dict[str, str], kind: str, asked: str, part: slice):
    whole = await app.http.get(paths[kind], headers=OWNER)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    answer = await app.http.get(paths[kind], headers=OWNER | {"Range": asked})
    first, end, _ = part.indices(len(whole.content))
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(whole.content)}"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.content == whole.content[part]


@in_one_loop
@both
async def test_several_parts_come_as_one_answer(app: OpenApp, paths: dict[str, str], kind: str):
    whole = (await app.http.get(paths[kind], headers=OWNER)).content
    answer = await app.http.get(paths[kind], headers=OWNER | {"Range": "bytes=0-9, 50-59,-4"})
    assert answer.status_code == 206
    assert re.fullmatch(r"multipart/byteranges; boundary=\w+", answer.headers["content-type"])
    assert answer.headers["content-length"] == str(len(answer.content))
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + answer.content).get_payload()
    assert isinstance(parts, list)
    bodies = answer.content.split(b"\r\n\r\n")[1:]
    assert [str(part["Content-Range"]) for part in parts] == [  # type: ignore[index]
        f"bytes 0-9/{len(whole)}",
        f"bytes 50-59/{len(whole)}",
        f"bytes {len(whole) - 4}-{len(whole) - 1}/{len(whole)}",
    ]
    for body, part in zip(bodies, (slice(0, 10), slice(50, 60), slice(-4, None)), strict=True):
        assert body.startswith(whole[part] + b"\r\n--")


@in_one_loop
@both
@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-99999999", "bytes=-0"])
async def test_what_lies_outside_is_416(app: OpenApp, paths: dict[str, str], kind: str, asked: str):
    size = len((await app.http.get(paths[kind], headers=OWNER)).content)
    answer = await app.http.get(paths[kind], headers=OWNER | {"Range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")


@in_one_loop
@both
@pytest.mark.parametrize(
    "asked",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "seconds=0-1", "bytes=9-1", "bytes=1-2-3", "bytes=٣-٤"],
)
async def test_what_cannot_be_read_is_ignored(app: OpenApp, paths: dict[str, str], kind: str, asked: str):
    whole = (await app.http.get(paths[kind], headers=OWNER)).content
    answer = await app.http.get(
        paths[kind],
        headers={**OWNER, "Range": asked.encode()},  # pyright: ignore[reportArgumentType]
    )
    assert (answer.status_code, answer.content) == (200, whole)


@in_one_loop
@both
async def test_parts_of_another_version_are_not_given(app: OpenApp, paths: dict[str, str], kind: str):
    whole = await app.http.get(paths[kind], headers=OWNER)
    for known, status in (
        (whole.headers["etag"], 206),
        ('"another"', 200),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 200),
    ):
        answer = await app.http.get(paths[kind], headers=OWNER | {"Range": "bytes=0-1", "If-Range": known})
        assert answer.status_code == status
    if "last-modified" in whole.headers:
        asked = OWNER | {"Range": "bytes=0-1", "If-Range": whole.headers["last-modified"]}
        assert (await app.http.get(paths[kind], headers=asked)).status_code == 206


@in_one_loop
async def test_the_answer_to_a_clip_comes_in_parts_too(app: OpenApp, paths: dict[str, str], tmp_path: Path):
    clip = tmp_path / "clip.wav"
    clip.write_bytes(wav_header(1, 48_000) + bytes(48_000))
    path, _ = await PageSession(app).converse(clip)
    address = f"/gradio_api/file={path}"
    whole = (await app.http.get(address)).content
    for asked, part in (("bytes=0-1", whole[:2]), ("bytes=-5", whole[-5:]), ("bytes=0-", whole)):
        answer = await app.http.get(address, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, part)
    several = await app.http.get(address, headers={"Range": "bytes=0-1,5-6"})
    assert (several.status_code, several.headers["content-type"][:20]) == (206, "multipart/byteranges")


def test_nothing_is_multiplied():
    assert parse_range("bytes=" + ",".join(["0-"] * 10), 1_000) == []
    assert parse_range("bytes=" + ",".join(f"{n}-{n}" for n in range(100)), 1_000) == []
    with pytest.raises(NotSatisfiable):
        parse_range("bytes=0-", 0)

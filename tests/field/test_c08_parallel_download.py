"""A large file comes over several connections at once, and nothing of it is fetched twice."""

import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import requests

from personaplex_ui.models.personaplex.hub import download, partial_file, ranged_download
from personaplex_ui.models.personaplex.hub.partial_file import PartialFile, arrived_bytes
from personaplex_ui.models.personaplex.hub.ranged_download import CONNECTIONS, Location, RangedDownload
from tests.support.hub_stub import (
    REPO,
    TOKEN,
    WEIGHTS,
    HubStub,
    Refusal,
    Reports,
    Request,
    find,
    keep_to_loopback,
    refusal,
    serving,
    tiny_files,
)

ROOT = Path(__file__).parent.parent.parent
SIZE = 20_000_001
MIMI = "tokenizer-e351c8d8-checkpoint125.safetensors"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keep_to_loopback(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def weights() -> bytes:
    return random.Random(8).randbytes(SIZE)


@pytest.fixture
def stub(weights: bytes) -> Generator[HubStub]:
    with serving(HubStub(REPO, tiny_files() | {WEIGHTS: weights})) as hub:
        yield hub


def blob_of(stub: HubStub, tmp_path: Path) -> Path:
    return stub.blob(tmp_path / "cache", WEIGHTS)


def sent(stub: HubStub) -> int:
    return sum(count for name, _, count in stub.served if name == WEIGHTS)


def starts(stub: HubStub) -> list[int]:
    return [
        r.range_start or 0 for r in stub.requests if r.path == f"/storage/{WEIGHTS}" and r.method == "GET"
    ]


def assert_cache_is_tidy(stub: HubStub, tmp_path: Path) -> None:
    """As the hub's client leaves it: a blob, a link to it, and nothing else."""
    blob = blob_of(stub, tmp_path)
    assert blob.read_bytes() == stub.files[WEIGHTS]
    assert [path for path in blob.parent.iterdir() if not re.fullmatch(r"[0-9a-f]+", path.name)] == []
    pointer = blob.parent.parent / "snapshots" / stub.commit / WEIGHTS
    assert pointer.is_symlink()
    assert pointer.resolve() == blob
    assert not blob.stat().st_mode & 0o111


def test_it_comes_over_several_connections(
    stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "REPORT_EVERY_SEC", 0.005)
    stub.chunk_delay_sec = 0.05
    reports = Reports()
    files = find(stub, tmp_path, report=reports)
    assert files.weights.read_bytes() == stub.files[WEIGHTS]
    assert_cache_is_tidy(stub, tmp_path)
    assert 2 <= stub.most_at_once <= CONNECTIONS
    assert sent(stub) == SIZE
    assert reports.shares() == sorted(reports.shares())
    assert len(set(reports.shares())) >= 5
    assert reports.shares()[-1] == 1.0


def test_connections_that_break_go_on_where_they_were(stub: HubStub, tmp_path: Path) -> None:
    stub.break_after = [2_500_000] + [100_000, 300_000, 0, 50_000, 500_000] * 6
    files = find(stub, tmp_path)
    assert files.weights.read_bytes() == stub.files[WEIGHTS]
    assert sent(stub) == SIZE


def test_the_next_start_fetches_what_is_missing_and_no_more(stub: HubStub, tmp_path: Path) -> None:
    del stub.files[MIMI]
    stub.files["config.json"] = b'{"mimi_name": "voices.tgz"}'  # so that the weights alone are large
    stub.break_after = [700_000] * 12 + [0] * 200
    assert "What has arrived is kept" in refusal(stub, tmp_path)
    before = sent(stub)
    assert arrived_bytes(blob_of(stub, tmp_path), SIZE) == before
    assert 0 < before < SIZE
    stub.break_after = []
    reports = Reports()
    find(stub, tmp_path, report=reports)
    assert sent(stub) == SIZE
    assert reports.shares()[0] == pytest.approx(before / SIZE)
    assert_cache_is_tidy(stub, tmp_path)


def test_a_killed_process_loses_what_was_on_its_way_alone(stub: HubStub, tmp_path: Path) -> None:
    stub.chunk_delay_sec = 0.1
    program = (
        "import sys; from pathlib import Path\n"
        "from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint\n"
        "find_checkpoint(sys.argv[1], None, Hub('', sys.argv[2], Path(sys.argv[3])), lambda *told: None)"
    )
    command = [sys.executable, "-c", program, REPO, stub.url, str(tmp_path / "cache")]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"HF_TOKEN": ""})
    blob = blob_of(stub, tmp_path)
    try:
        while arrived_bytes(blob, SIZE) < SIZE // 3:
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    arrived = arrived_bytes(blob, SIZE)
    assert SIZE // 3 <= arrived < SIZE
    stub.chunk_delay_sec = 0.0
    stub.requests.clear()
    find(stub, tmp_path)
    asked_for = sum((r.range_end or 0) - (r.range_start or 0) for r in stub.requests if r.range_end)
    assert asked_for == SIZE - arrived
    assert_cache_is_tidy(stub, tmp_path)


@pytest.mark.parametrize("there", [7_654_321, SIZE, SIZE + 1])
def test_what_the_hubs_client_has_begun_is_gone_on_with(stub: HubStub, tmp_path: Path, there: int) -> None:
    """As older versions of this app and other programs leave it; too much of it is not a beginning."""
    stub.leave_part(tmp_path / "cache", WEIGHTS, (stub.files[WEIGHTS] + b"x")[:there])
    reports = Reports()
    find(stub, tmp_path, report=reports)
    assert sent(stub) == (SIZE - there if there <= SIZE else SIZE)
    assert there > SIZE or reports.shares() == sorted(reports.shares())
    assert_cache_is_tidy(stub, tmp_path)


@pytest.mark.parametrize("damage", ["empty", "short", "another size", "junk", "too much", "no data"])
def test_counts_that_make_no_sense_are_not_believed(stub: HubStub, tmp_path: Path, damage: str) -> None:
    blob = blob_of(stub, tmp_path)
    with PartialFile(blob, SIZE) as file:
        file.append(0, bytes(1_000))  # not what the hub has
    counts = blob.with_name(f"{blob.name}.parts.counts")
    content = counts.read_bytes()
    changed = {
        "empty": b"",
        "short": content[:-1],
        "another size": content[:8] + bytes(8) + content[16:],
        "junk": b"x" * len(content),
        "too much": content[:-4] + b"\xff" * 4,
    }
    counts.write_bytes(changed.get(damage, content))
    if damage == "no data":
        blob.with_name(f"{blob.name}.parts.incomplete").unlink()
    find(stub, tmp_path)
    assert sent(stub) == SIZE
    assert_cache_is_tidy(stub, tmp_path)


@pytest.mark.parametrize("in_parts", [True, False])
def test_parts_of_something_else_are_found_out(stub: HubStub, tmp_path: Path, in_parts: bool) -> None:
    if in_parts:
        with PartialFile(blob_of(stub, tmp_path), SIZE) as file:
            file.append(0, bytes(1_000))
    else:
        stub.leave_part(tmp_path / "cache", WEIGHTS, b"from another program" * 1_000)
    assert f"{WEIGHTS} of {REPO} arrived damaged and was removed" in refusal(stub, tmp_path)
    find(stub, tmp_path)
    assert_cache_is_tidy(stub, tmp_path)


def test_a_server_that_knows_no_ranges(
    stub: HubStub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stub.ranges = False
    find(stub, tmp_path)
    assert_cache_is_tidy(stub, tmp_path)
    assert stub.most_at_once <= 2  # the first question, whose answer is not read, and the one that is
    assert "comes over one connection" in caplog.text


def test_a_server_that_forgets_ranges_in_between(stub: HubStub, tmp_path: Path) -> None:
    chance = random.Random(1)
    stub.chunk_delay_sec = 0.01

    def forget(request: Request) -> Refusal | None:
        stub.ranges = len(starts(stub)) < 3 or chance.random() < 0.7
        return None

    stub.refuse = forget
    find(stub, tmp_path)
    assert_cache_is_tidy(stub, tmp_path)


class RefuseSome:
    """Refuses every third question for the weights, ``most`` times."""

    def __init__(self, status: int, headers: dict[str, str], most: int = 1_000) -> None:
        self._answer, self._left, self._asked = (status, headers), most, 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Refusal | None:
        with self._lock:
            if request.path != f"/storage/{WEIGHTS}":
                return None
            self._asked += 1
            if self._asked % 3 or not self._left:
                return None
            self._left -= 1
            return self._answer


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(stub: HubStub, tmp_path: Path, status: int) -> None:
    stub.refuse = RefuseSome(status, {"Retry-After": "0"})
    find(stub, tmp_path)
    assert sent(stub) == SIZE
    assert_cache_is_tidy(stub, tmp_path)


def test_an_address_that_expires_is_asked_for_anew(stub: HubStub, tmp_path: Path) -> None:
    stub.refuse = RefuseSome(403, {}, most=4)
    find(stub, tmp_path)
    assert sent(stub) == SIZE
    located = [r for r in stub.requests if r.method == "HEAD" and r.path.endswith(f"/{WEIGHTS}")]
    assert len(located) >= 3  # at first, when it had expired, and by the hub's client in the end


def test_a_file_that_is_shorter_than_announced(stub: HubStub, tmp_path: Path) -> None:
    stub.refuse = RefuseSome(416, {})
    assert "did not fit and was removed" in refusal(stub, tmp_path)
    assert arrived_bytes(blob_of(stub, tmp_path), SIZE) == 0
    stub.refuse = lambda request: None
    find(stub, tmp_path)
    assert_cache_is_tidy(stub, tmp_path)


def test_a_file_that_is_gone(stub: HubStub, tmp_path: Path) -> None:
    stub.refuse = RefuseSome(404, {})
    assert "lacks a file that the hub had listed" in refusal(stub, tmp_path)


def test_a_file_that_changes_after_it_was_listed(stub: HubStub, tmp_path: Path) -> None:
    listing = stub.listing()
    stub.listing = lambda: listing
    stub.files[WEIGHTS] = b"y" * SIZE
    assert "was changed on the hub in the meantime. Restart" in refusal(stub, tmp_path)
    assert sent(stub) == 0


def test_the_token_stays_with_the_hub(stub: HubStub, tmp_path: Path) -> None:
    with serving(HubStub(REPO, stub.files)) as storage:
        storage.url = stub.storage_url = storage.url.replace("127.0.0.1", "localhost")
        find(stub, tmp_path, token=TOKEN)
        assert sent(storage) == SIZE
        assert all(request.authorization is None for request in storage.requests)
        assert all(request.authorization == f"Bearer {TOKEN}" for request in stub.requests)


def test_the_token_does_not_follow_a_redirection(stub: HubStub, tmp_path: Path) -> None:
    """The hub's own storage sends the caller on to another host."""
    with serving(HubStub(REPO, stub.files)) as storage:
        elsewhere = storage.url.replace("127.0.0.1", "localhost")
        stub.refuse = lambda request: (
            (302, {"Location": f"{elsewhere}{request.path}"})
            if request.path.startswith("/storage/")
            else None
        )
        find(stub, tmp_path, token=TOKEN)
        assert sent(storage) == SIZE
        assert all(request.authorization is None for request in storage.requests)


def test_a_disk_that_is_full_is_told(stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: PartialFile, part: int, piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PartialFile, "append", fail)
    assert "is full. Make room there" in refusal(stub, tmp_path)


# The download alone


CONTENT = random.Random(9).randbytes(3_000_000)
Answer = Callable[[int, int], requests.Response]
"""What the range from the first byte up to the second is answered with."""


class Network:
    """Stands for the server that has ``CONTENT``."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.blob = folder / "blob"
        self.answer: Answer = part
        self.waited: list[float] = []
        monkeypatch.setattr(requests.Session, "get", self._get)

    def _get(self, url: str, headers: dict[str, str], **options: object) -> requests.Response:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", headers["Range"])
        assert asked
        return self.answer(int(asked[1]), int(asked[2]) + 1)

    def fetch(self) -> None:
        """All of it, in its place."""
        location = Location("https://hub.example/weights", {})
        with PartialFile(self.blob, len(CONTENT)) as file:
            RangedDownload(file, lambda: location, (1, 1), self.waited.append).run()
            file.finish()
        assert self.blob.read_bytes() == CONTENT


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(tmp_path, monkeypatch)


def part(start: int, end: int, status: int = 206, **headers: str) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    content = CONTENT[start:end]
    answer.raw = io.BytesIO(content)
    answer.headers.update({"Content-Range": f"bytes {start}-{start + len(content) - 1}/{len(CONTENT)}"})
    answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return answer


@pytest.mark.parametrize("length", [50_000, None])
def test_answers_may_be_shorter_or_longer_than_asked_for(network: Network, length: int | None) -> None:
    network.answer = lambda start, end: part(
        start, min(end + 10_000, start + length) if length else len(CONTENT)
    )
    network.fetch()


@pytest.mark.parametrize(
    "wrong",
    [
        {"Content_Range": "bytes 5-9/3000000"},
        {"Content_Range": "bytes 0-9/77"},
        {"Content_Range": "junk"},
        {"Content_Range": ""},
        {"Content_Encoding": "gzip"},
        {"Content_Type": "multipart/byteranges", "Content_Range": ""},
    ],
)
def test_an_answer_that_is_no_such_range_is_not_written(network: Network, wrong: dict[str, Any]) -> None:
    network.answer = lambda start, end: part(start, end, **wrong)
    with pytest.raises(ranged_download.RangesUnsupported):
        network.fetch()
    assert arrived_bytes(network.blob, len(CONTENT)) == 0


@pytest.mark.parametrize(("asked", "waits"), [("7", 7.0), ("100000", 60.0), ("soon", 0.001), ("", 0.001)])
def test_a_server_says_how_long_to_wait(network: Network, asked: str, waits: float) -> None:
    busy = iter([part(0, 0, 503, Retry_After=asked)])
    network.answer = lambda start, end: next(busy, part(start, end))
    network.fetch()
    assert network.waited == [waits]


def test_it_gives_up_where_nothing_comes_and_waits_longer_each_time(network: Network) -> None:
    def answer(start: int, end: int) -> requests.Response:
        raise requests.ConnectionError

    network.answer = answer
    with pytest.raises(requests.ConnectionError):
        network.fetch()
    assert network.waited == [0.001 * 2**n for n in range(ranged_download.MOST_FAILURES - 1)]


def test_one_bad_connection_does_not_end_the_others(network: Network) -> None:
    """A server that allows fewer connections at once than we open."""
    allowed = threading.Semaphore(2)

    def answer(start: int, end: int) -> requests.Response:
        if not allowed.acquire(blocking=False):
            return part(0, 0, 429)
        try:
            return part(start, end)
        finally:
            allowed.release()

    network.answer = answer
    network.fetch()


def test_little_memory_is_used_however_large_the_file(network: Network) -> None:
    asked: list[int] = []

    class Body(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            asked.append(size or -1)
            return super().read1(size)

    def answer(start: int, end: int) -> requests.Response:
        found = part(start, end)
        found.raw = Body(CONTENT[start:end])
        return found

    network.answer = answer
    network.fetch()
    assert asked
    assert all(0 < size <= 1 << 20 for size in asked)


# Progress


@pytest.mark.parametrize("before", [0, 1, 2])
def test_progress_never_looks_between_two_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """The file is moved just before one of the looks that make up the answer."""
    blob, single = tmp_path / "blob", tmp_path / "blob.incomplete"
    single.write_bytes(bytes(1_000))
    size_of, looked = partial_file._size, 0  # pyright: ignore[reportPrivateUsage]

    def look(path: Path) -> int:
        nonlocal looked
        if looked == before and single.exists():
            single.rename(blob)
        looked += 1
        return size_of(path)

    monkeypatch.setattr(partial_file, "_size", look)
    assert arrived_bytes(blob, 1_000) == 1_000


def test_a_beginning_is_counted_while_it_becomes_the_first_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, single = tmp_path / "blob", tmp_path / "blob.incomplete"
    single.write_bytes(bytes(3_000_000))
    seen: list[int] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        seen.append(arrived_bytes(blob, SIZE))
        replace(source, target)
        seen.append(arrived_bytes(blob, SIZE))

    monkeypatch.setattr(os, "replace", watched)
    with PartialFile(blob, SIZE):
        seen.append(arrived_bytes(blob, SIZE))
    assert seen == [3_000_000] * 3

"""Both archives are unpacked on Python 3.11.0 to 3.13 alike: without what ``tarfile`` has since 3.11.4."""

import bz2
import gzip
import io
import struct
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personaplex_ui.channels.moshi.client_page import MoshiClient
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.preset_voices import unpack_voices
from personaplex_ui.tar import ArchiveUnusable, Limits, extract_tar

TINY = Path(__file__).parent.parent / "data/tiny"
LIMITS = Limits(members=20, file_bytes=100_000, total_bytes=1_000_000)


@pytest.fixture(autouse=True)
def _as_in_3_11_2(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data_filter", "tar_filter", "fully_trusted_filter", "FilterError"):
        monkeypatch.delattr(tarfile, name, raising=False)  # a 3.11.2 has none of them


def test_voices_are_unpacked(tmp_path: Path) -> None:
    unpack_voices(TINY / "voices.tgz", tmp_path / "voices")
    assert sorted(path.name for path in (tmp_path / "voices").iterdir()) == ["NATF0.pt", "NATM1.pt"]


def test_the_web_client_is_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "dist.tgz", "w:gz") as tar:
        add(tar, "dist/index.html", b"<html></html>")
        add(tar, "dist/assets/a.js", b"1")
    client = MoshiClient(tmp_path / "dist.tgz")
    client.open()
    assert client.present
    assert client.has("assets/a.js")
    client.close()


# What archives look like


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **values: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in values.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def raw(
    name: bytes,
    content: bytes = b"",
    kind: bytes = b"0",
    size: bytes | None = None,
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """A member with its header and padding, as no well-behaved program may write it."""
    size = size if size is not None else b"%011o\0" % len(content)
    header = bytearray(struct.pack("100s24x12s12x8s1s100s8s247x", name, size, b" " * 8, kind, b"", magic))
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % 512)


END = bytes(1024)


def unpack(content: bytes, tmp_path: Path, limits: Limits = LIMITS) -> dict[str, bytes]:
    folder = tmp_path / "unpacked"
    folder.mkdir(exist_ok=True)
    (tmp_path / "a.tgz").write_bytes(content)
    extract_tar(tmp_path / "a.tgz", folder, limits, str)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_others_write_is_read(tmp_path: Path, kind: int, zipped: bool) -> None:
    files = {
        "./index.html": b"<html>",
        f"{'folder/' * 15}deep.js": b"x" * 513,  # in ustar: with a prefix
        "assets/empty": b"",
        "assets/blocks": b"y" * 1024,
        "Zoë.pt": b"z" * 70_000,
    }
    if kind != tarfile.USTAR_FORMAT:
        files[f"assets/{'n' * 200}.js"] = b"a long name"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        add(tar, "./", type=tarfile.DIRTYPE)
        add(tar, "assets/", type=tarfile.DIRTYPE)
        for name, content in files.items():
            add(tar, name, content, mtime=1.5, mode=0o4777)
    content = gzip.compress(buffer.getvalue()) if zipped else buffer.getvalue()
    assert unpack(content, tmp_path) == {str(PurePosixPath(name)): b for name, b in files.items()}
    assert not any(path.stat().st_mode & 0o7000 for path in (tmp_path / "unpacked").rglob("*"))


def test_other_ways_to_write_the_same(tmp_path: Path) -> None:
    content = (
        raw(b"pax_global_header", b"19 comment=a commit"[:18] + b"\n", kind=b"g")
        + raw(b"folder/", kind=b"\0", magic=b"")
        + raw(b"v7", b"old", kind=b"\0", magic=b"")
        + raw(b"contiguous", b"rare", kind=b"7")
        + raw(b"binary size", b"12345", size=b"\x80" + bytes(10) + b"\5")
        + raw(b"spaces", b"123", size=b"          3 ")
        + raw(b"PaxHeaders/x", b"17 path=from pax\n" + b"12 size=004\n", kind=b"x")
        + raw(b"short", b"1234", size=b"0" * 11 + b"\0")
    )
    expected = {"v7", "contiguous", "binary size", "spaces", "from pax"}
    assert unpack(content + END, tmp_path).keys() == expected
    assert (tmp_path / "unpacked/from pax").read_bytes() == b"1234"


def pax(**attributes: str) -> bytes:
    records = b""
    for key, value in attributes.items():
        record = f" {key.replace('__', '.')}={value}\n".encode()
        records += b"%2d" % (len(record) + 2) + record
    return raw(b"PaxHeaders/x", records, kind=b"x")


HOSTILE: dict[str, bytes] = {
    "absolute": raw(b"/etc/cron.d/x", b"evil"),
    "two slashes": raw(b"//etc/x", b"evil"),
    "parent": raw(b"../x", b"evil"),
    "parent inside": raw(b"a/../../x", b"evil"),
    "parent folder": raw(b"../", kind=b"5"),
    "backslash": raw(b"a\\..\\x", b"evil"),
    "drive": raw(b"C:x", b"evil"),
    "parent by prefix": raw(b"x", b"evil")[:345] + b"..".ljust(155, b"\0") + bytes(12) + b"evil" + bytes(508),
    "parent in pax": pax(path="../../../x") + raw(b"fine", b"evil"),
    "parent in a GNU name": raw(b"././@LongLink", b"../x\0", kind=b"L") + raw(b"fine", b"evil"),
    "symbolic link": raw(b"x", kind=b"2"),
    "hard link": raw(b"x", kind=b"1"),
    "link with a long target": raw(b"././@LongLink", b"t" * 300, kind=b"K") + raw(b"x", kind=b"2"),
    "character device": raw(b"x", kind=b"3"),
    "block device": raw(b"x", kind=b"4"),
    "pipe": raw(b"x", kind=b"6"),
    "old GNU sparse": raw(b"x", b"data", kind=b"S"),
    "pax sparse": pax(GNU__sparse__major="1", path="fine.x") + raw(b"x", b"1\n0\n4\n"),
    "unknown kind": raw(b"x", kind=b"Z"),
    "many volumes": raw(b"x", kind=b"M"),
    "no name": raw(b"", b"evil"),
    "a dot": raw(b".", b"evil"),
    "line break": raw(b"a\nb", b"evil"),
    "zero in pax": pax(path="fine\0.x..") + raw(b"x", b"evil"),
    "not UTF-8": raw(b"Zo\xeb.pt", b"evil"),
    "part too long": raw(b"././@LongLink", b"n" * 256, kind=b"L") + raw(b"x"),
    "name too long": raw(b"././@LongLink", b"n/" * 600, kind=b"L") + raw(b"x"),
    "twice": raw(b"x", b"1") + raw(b"x", b"2"),
    "twice by a dot": raw(b"x", b"1") + raw(b"./x", b"2"),
    "twice but for capitals": raw(b"index.html", b"1") + raw(b"Index.HTML", b"2"),
    "twice but for the accents' form": raw("é".encode(), b"1") + raw(b"e\xcc\x81", b"2"),
    "file, then folder": raw(b"a", b"1") + raw(b"a/b", b"2"),
    "folder, then file": raw(b"a/b", b"1") + raw(b"A", b"2"),
    "one too large": raw(b"x", bytes(100_001)),
    "together too large": b"".join(raw(b"%d" % n, bytes(99_000)) for n in range(11)),
    "claims 10 TB": raw(b"x", size=b"\x80" + (10**13).to_bytes(11, "big")),
    "claims 8 GB in octal": raw(b"x", size=b"7" * 11 + b"\0"),
    "claims 10 TB in pax": pax(size="9999999999") + raw(b"x"),
    "a folder with content": raw(b"a/", b"1", kind=b"5"),
    "negative": raw(b"x", size=b"\xff" * 12),
    "negative in octal": raw(b"x", size=b"-0000000001\0"),
    "not a number": raw(b"x", size=b"1_000\0"),
    "not a number in pax": pax(size="-1.....") + raw(b"x"),
    "too many": b"".join(raw(b"%d" % n) for n in range(21)),
    "too many folders": b"".join(raw(b"%d/" % n, kind=b"5") for n in range(21)),
    "too many headers": raw(b"././@LongLink", b"n\0", kind=b"L") * 100,
    "a header of 1 GB": raw(b"h", size=b"\x80" + (10**9).to_bytes(11, "big"), kind=b"x"),
    "a name of 100 KB": raw(b"././@LongLink", b"n" * 100_000, kind=b"L") + raw(b"x"),
    "one name for all": raw(b"g", b"12 path=abc\n", kind=b"g") + raw(b"x") + raw(b"y"),
    "a header for nothing": pax(path="fine.....x"),
    "records that overrun": raw(b"h", b"99 path=x\n", kind=b"x") + raw(b"x"),
    "records without a length": raw(b"h", b"path=x\n", kind=b"x") + raw(b"x"),
    "records of length 0": raw(b"h", b"0 path=x\n", kind=b"x") + raw(b"x"),
    "a wrong sum": raw(b"x", b"1").replace(b"x", b"y", 1),
    "something after the end": raw(b"x", b"1") + END + raw(b"../y", b"evil"),
    "cut in a header": raw(b"x", b"1") + raw(b"y")[:100],
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_archives_are_refused(tmp_path: Path, case: str, zipped: bool) -> None:
    content = HOSTILE[case] + (b"" if case.startswith("cut") else END)
    inner = tmp_path / "in" / "ner"
    inner.mkdir(parents=True)
    with pytest.raises(ArchiveUnusable, match=r"^(holds|gives|is damaged)"):
        unpack(gzip.compress(content) if zipped else content, inner)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and not p.is_relative_to(inner / "unpacked")]
    assert outside == [inner / "a.tgz"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert "evil" not in "".join(p.read_text() for p in (inner / "unpacked").rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        b"\x1f\x8b\x08\x00broken",
        bz2.compress(raw(b"x") + END),
        gzip.compress(b""),
        gzip.compress(raw(b"x", b"1") + END)[:-9],
        gzip.compress(raw(b"x", b"1") + END)[:-8] + bytes(8),
        gzip.compress(raw(b"x", b"1") + END) + b"behind it",
        raw(b"x", b"1" * 600)[:-512],
    ],
    ids=range(9),  # gzip writes the time, so the content is another in each process
)
def test_damaged_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ArchiveUnusable, match="is damaged"):
        unpack(content, tmp_path)


def test_a_bomb_is_not_unzipped(tmp_path: Path) -> None:
    """200 MB of nothing in 200 KB: behind the end, as a file that is left out, as one that is wanted."""
    for content in (END + bytes(200_000_000), raw(b"x", size=b"%011o\0" % 200_000_000) + bytes(200_000_000)):
        with pytest.raises(ArchiveUnusable, match="holds too much"):
            unpack(gzip.compress(content, 1), tmp_path)


def test_nothing_is_overwritten_and_no_link_followed(tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked/x").symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        unpack(raw(b"x", b"1") + END, tmp_path)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("case", HOSTILE)
def test_each_caller_says_it_in_words(tmp_path: Path, case: str) -> None:
    """Whatever is in an archive, nobody sees a traceback, and what is refused leaves nothing behind."""
    archive = tmp_path / "voices.tgz"
    archive.write_bytes(gzip.compress(HOSTILE[case]))
    told = ""
    try:
        unpack_voices(archive, tmp_path / "voices")
    except CheckpointUnusable as error:
        told = str(error)
    assert told.startswith("voices.tgz ") != (tmp_path / "voices").exists()
    client = MoshiClient(archive)
    client.open()
    assert not client.present
    assert client.trouble.startswith("The web client of this server cannot be used: it ")


def small_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "voices/", type=tarfile.DIRTYPE)
        add(tar, "voices/NATF0.pt", b"x" * 600, mtime=1.5)
        add(tar, f"voices/{'n' * 120}.pt", b"y")
    return buffer.getvalue()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 5_000), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4
    )
)
def test_what_is_altered_is_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, bytes]]
) -> None:
    content = bytearray(small_archive())
    for at, new in edits:
        content[at : at + len(new)] = new
    tmp_path = tmp_path_factory.mktemp("altered")
    try:
        files = unpack(bytes(content), tmp_path)
    except ArchiveUnusable:
        files = {}
    assert len(files) <= 3
    assert {path.name for path in tmp_path.iterdir()} == {"a.tgz", "unpacked"}

"""Preset voices are read without ``torch.load`` and without ``pickle``: their files come from strangers."""

import io
import pickle
import stat
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.errors import InvalidInput
from personaplex_ui.models.personaplex.loading.preset_voices import load_preset
from personaplex_ui.models.personaplex.loading.restricted_unpickler import PickleUnusable, unpickle
from personaplex_ui.models.personaplex.loading.torch_file import TorchFileUnusable, read_tensors

DATA = Path(__file__).parent.parent / "data/field"
DIM = 32
NAMES = ("embeddings", "cache")
MOST = 1_000_000

# pickletools decodes the argument of an opcode before it is refused.
pytestmark = pytest.mark.filterwarnings("ignore:invalid (octal )?escape sequence:DeprecationWarning")


@pytest.fixture(autouse=True)
def _neither_torch_load_nor_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        pytest.fail("the file was given to torch or pickle")

    for module, name in (
        (torch, "load"),
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
    ):
        monkeypatch.setattr(module, name, fail)


def voice() -> dict[str, Any]:
    numbers = torch.arange(5 * DIM, dtype=torch.float32).reshape(5, 1, 1, DIM) / 7
    return {"embeddings": numbers.to(torch.bfloat16), "cache": torch.arange(68).reshape(1, 17, 4)}


def saved(content: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def read(content: bytes, tmp_path: Path) -> dict[str, torch.Tensor]:
    (tmp_path / "NATF0.pt").write_bytes(content)
    return read_tensors(tmp_path / "NATF0.pt", NAMES, MOST)


def records_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_records(**changes: bytes | None) -> bytes:
    """``a__b`` is the record ``a/b``."""
    records = records_of(saved(voice()))
    for name, content in changes.items():
        name = f"archive/{name.replace('__', '/')}"
        records.pop(name, None)
        if content is not None:
            records[name] = content
    return zipped(records)


# What others save


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_each_kind_of_numbers_is_read_as_it_was_saved(tmp_path: Path, dtype: torch.dtype) -> None:
    content = voice() | {"embeddings": voice()["embeddings"].to(dtype)}
    found = read(saved(content), tmp_path)
    assert found.keys() == content.keys()
    for name, tensor in found.items():
        assert tensor.dtype == content[name].dtype
        assert torch.equal(tensor, content[name])
        assert tensor.is_contiguous()


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a part": lambda t: t[1:4],
    "every other": lambda t: t[::2],
    "turned": lambda t: t.permute(3, 1, 2, 0),
    "repeated": lambda t: t[:1].expand(5, 1, 1, DIM),
    "empty": lambda t: t[:0],
    "a number": lambda t: t[2, 0, 0, 3],
    "with a gradient": lambda t: t.float().requires_grad_(),
}


@pytest.mark.parametrize("view", VIEWS)
def test_views_into_larger_tensors_are_read(tmp_path: Path, view: str) -> None:
    tensor = VIEWS[view](voice()["embeddings"])
    found = read(saved({"embeddings": tensor}), tmp_path)["embeddings"]
    assert found.shape == tensor.shape
    assert torch.equal(found, tensor.detach())


def test_layouts_of_other_versions(tmp_path: Path) -> None:
    expected = voice()
    for content in (
        with_records(byteorder=None),  # before 2.1
        with_records(byteorder=None, version=b"2\n", **{".data__serialization_id": None}),
        with_records(**{".format_version": None, ".storage_alignment": None}),
        saved(OrderedDict(voice())),
        saved(voice() | {"made by": "somebody", "steps": [1, 2.5, None, True], "third": torch.ones(3)}),
        zipped({f"NATF0{name[7:]}": content for name, content in records_of(saved(voice())).items()}),
    ):
        found = read(content, tmp_path)
        assert all(torch.equal(found[name], expected[name]) for name in NAMES)


def test_a_file_of_torch_1_13() -> None:
    found = read_tensors(DATA / "voice_of_torch_1_13.pt", NAMES, MOST)
    assert all(torch.equal(found[name], tensor) for name, tensor in voice().items())


def test_the_order_of_bytes_is_heeded(tmp_path: Path) -> None:
    content = voice()
    changes: dict[str, bytes] = {"byteorder": b"big"}
    for key, name, width in (("data__0", "embeddings", 2), ("data__1", "cache", 8)):
        numbers = content[name].view(torch.int16) if width == 2 else content[name]
        changes[key] = np.ascontiguousarray(numbers.numpy()).byteswap().tobytes()
    found = read(with_records(**changes), tmp_path)
    assert all(torch.equal(found[name], content[name]) for name in NAMES)


# What strangers make


def pickled(
    shape: tuple[int, ...] = (5, 1, 1, DIM), strides: tuple[int, ...] = (DIM, DIM, DIM, 1), **values: Any
) -> bytes:
    """The description of two tensors, the first of them with ``values``."""
    kind, key = values.get("kind", "BFloat16Storage"), values.get("key", "0")
    elements, offset = values.get("elements", 160), values.get("offset", 0)
    rebuild = values.get("rebuild", "torch._utils\n_rebuild_tensor_v2")

    def number(n: int) -> bytes:
        size = n.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + n.to_bytes(size, "little", signed=True)

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def tensor(kind: str, key: str, elements: int, offset: int, *sizes: tuple[int, ...]) -> bytes:
        identifier = (
            text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(elements)
        )
        tuples = b"".join(b"(" + b"".join(map(number, each)) + b"t" for each in sizes)
        hooks = b"\x89ccollections\nOrderedDict\n)R"
        return (
            b"c" + rebuild.encode() + b"\n((" + identifier + b"tQ" + number(offset) + tuples + hooks + b"tR"
        )

    embeddings = tensor(kind, key, elements, offset, shape, strides)
    cache = tensor("LongStorage", "1", 68, 0, (1, 17, 4), (68, 4, 1))
    return b"\x80\x02}(" + text("embeddings") + embeddings + text("cache") + cache + b"u."


def described(**values: Any) -> bytes:
    return with_records(**{"data.pkl": pickled(**values)})


def test_the_descriptions_below_are_right_but_for_one_thing(tmp_path: Path) -> None:
    assert all(torch.equal(tensor, voice()[name]) for name, tensor in read(described(), tmp_path).items())


DEEP = b"\x80\x02" + b")" + b"\x85" * 60_000 + b"."
DOUBLING = b")q\0" + b"h\0h\0\x86q\0" * 100
ITSELF = b"]q\0h\0a"

HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a text": lambda: b"no voice",
    "before 1.6": lambda: saved(voice(), _use_new_zipfile_serialization=False),
    "a bare pickle": lambda: pickle.dumps({"embeddings": 1}, 2),
    "protocol 4": lambda: saved(voice(), pickle_protocol=4),
    "cut short": lambda: saved(voice())[:-40],
    "cut at half": lambda: saved(voice())[:1_500],
    "without a description": lambda: with_records(**{"data.pkl": None}),
    "without numbers": lambda: with_records(data__0=None),
    "numbers cut short": lambda: with_records(data__0=bytes(318)),
    "more numbers": lambda: with_records(data__0=bytes(322)),
    "an unknown order": lambda: with_records(byteorder=b"middle"),
    "compressed": lambda: zipped(records_of(saved(voice())), zipfile.ZIP_DEFLATED),
    "a bomb": lambda: zipped(
        {"a/data.pkl": pickled(elements=10**8), "a/data/0": bytes(2 * 10**8)}, zipfile.ZIP_DEFLATED
    ),
    "a symbolic link": lambda: link("archive/data/0", 0o777 | stat.S_IFLNK),
    "a folder": lambda: with_records(data__2__=b""),
    "the same name twice": lambda: with_records(data__0=bytes(320)).replace(
        b"archive/version", b"archive/data/0\0"
    ),
    "one name in two folders": lambda: zipped(records_of(saved(voice())) | {"other/data/0": bytes(320)}),
    "many records": lambda: zipped({f"a/{n}": b"" for n in range(100)}),
    "encrypted": lambda: saved(voice()).replace(b"PK\x01\x02\0\0\0\0\x08\x08", b"PK\x01\x02\0\0\0\0\x09\x08"),
    "a huge description": lambda: with_records(**{"data.pkl": bytes(100_000)}),
    "an archive within": lambda: with_records(**{"data.pkl": saved(voice())}),
    "claims of 10 GB": lambda: described(elements=5 * 10**9),
    "claims beyond 64 bits": lambda: described(elements=2**70),
    "a negative claim": lambda: described(elements=-1),
    "a shape beyond what is there": lambda: described(shape=(6, 1, 1, DIM)),
    "a stride beyond what is there": lambda: described(strides=(DIM + 1, 1, 1, 1)),
    "a negative stride": lambda: described(strides=(-1, 1, 1, 1)),
    "a negative size": lambda: described(shape=(-5, 1, 1, DIM)),
    "an offset beyond what is there": lambda: described(offset=1),
    "a negative offset": lambda: described(offset=-1),
    "a huge offset": lambda: described(offset=2**63 - 1),
    "repeated to 10 GB": lambda: described(shape=(10**9, 5, 1, 1), strides=(0, 0, 0, 0)),
    "sizes that overflow": lambda: described(shape=(2**32, 2**32, 1, 1), strides=(0, 0, 0, 0)),
    "other numbers of sizes and strides": lambda: described(strides=(DIM, 1)),
    "a hundred dimensions": lambda: described(shape=(1,) * 100, strides=(1,) * 100),
    "numbers of another kind": lambda: described(kind="ComplexDoubleStorage"),
    "a wider kind": lambda: described(kind="DoubleStorage"),
    "a record elsewhere": lambda: described(key="../data.pkl"),
    "a record that is not there": lambda: described(key="7"),
    "another function": lambda: described(rebuild="os\nsystem"),
    "a function of torch": lambda: described(rebuild="torch._utils\n_rebuild_sparse_tensor"),
    "torch's own loader": lambda: described(rebuild="torch.storage\n_load_from_bytes"),
    "code to run": lambda: saved({**voice(), "cache": Evil()}),
    "a module of torch": lambda: saved({**voice(), "cache": torch.nn.Linear(2, 2)}),
    "a sparse tensor": lambda: saved({**voice(), "cache": torch.ones(2, 2).to_sparse()}),
    "a parameter": lambda: saved({**voice(), "cache": torch.nn.Parameter(torch.ones(2))}),
    "an array of numpy": lambda: saved({**voice(), "cache": np.ones(3)}),
    "a set": lambda: saved({**voice(), "cache": {1, 2}}),
    "bytes": lambda: saved({**voice(), "cache": b"1"}),
    "a number as a key": lambda: saved({**voice(), 1: 2}),
    "a key that takes for ever": lambda: with_records(**{"data.pkl": b"\x80\x02}(" + DOUBLING + b"Nu."}),
    "a stack that is empty": lambda: with_records(**{"data.pkl": b"\x80\x02\x87."}),
    "a mark as the value": lambda: with_records(**{"data.pkl": b"\x80\x02(."}),
    "two values": lambda: with_records(**{"data.pkl": b"\x80\x02NN."}),
    "no mark": lambda: with_records(**{"data.pkl": b"\x80\x02Nt."}),
    "items in a number": lambda: with_records(**{"data.pkl": b"\x80\x02K\x01Na."}),
    "a call of a number": lambda: with_records(**{"data.pkl": b"\x80\x02K\x01)R."}),
    "a call without a tuple": lambda: with_records(**{"data.pkl": b"\x80\x02ccollections\nOrderedDict\n]R."}),
    "half a pair": lambda: with_records(**{"data.pkl": b"\x80\x02}(X\0\0\0\0u."}),
    "an unknown memory": lambda: with_records(**{"data.pkl": b"\x80\x02h\x09."}),
    "a far memory": lambda: with_records(**{"data.pkl": b"\x80\x02r\xff\xff\xff\xff."}),
    "a text of 4 GB": lambda: with_records(**{"data.pkl": b"\x80\x02X\xff\xff\xff\xff."}),
    "no UTF-8": lambda: with_records(**{"data.pkl": b"\x80\x02X\1\0\0\0\xff."}),
    "a name without an end": lambda: with_records(**{"data.pkl": b"\x80\x02ctorch"}),
    "no end": lambda: with_records(**{"data.pkl": b"\x80\x02N"}),
}


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('the pickle was run')",))


def link(name: str, mode: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for each, content in records_of(saved(voice())).items():
            info = zipfile.ZipInfo(each)
            info.external_attr = (mode if each == name else 0) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_files_are_refused_with_a_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "NATF0.pt"
    path.write_bytes(HOSTILE[case]())
    with pytest.raises(InvalidInput) as caught:
        load_preset(path, DIM)
    sentence = str(caught.value)
    assert caught.value.field == "voice"
    assert sentence.startswith("NATF0.pt is not a voice of PersonaPlex: it ")
    assert sentence.endswith("Choose another voice, or put another file in its place.")


@pytest.mark.parametrize("data", [DEEP, b"\x80\x02(" + DOUBLING + b"t.", b"\x80\x02" + ITSELF + b"."])
def test_structures_without_end_are_harmless(tmp_path: Path, data: bytes) -> None:
    unpickle(data)
    (tmp_path / "x.pt").write_bytes(with_records(**{"data.pkl": data}))
    with pytest.raises(InvalidInput, match="it does not hold embeddings and cache"):
        load_preset(tmp_path / "x.pt", DIM)


# What chance makes

OPCODES = b"N\x88\x89KMJ\x8aGXc}])(qrhjt\x85\x86\x87eausQR.\x80l0122idob"


@settings(max_examples=500)
@given(
    st.lists(st.one_of(st.sampled_from([bytes([op]) for op in OPCODES]), st.binary(max_size=6)), max_size=60)
)
def test_any_program_ends_with_a_value_or_a_refusal(pieces: list[bytes]) -> None:
    try:
        unpickle(b"\x80\x02" + b"".join(pieces) + b".")
    except PickleUnusable:
        return


EDITS = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)), max_size=6)


@settings(max_examples=500)
@given(edits=EDITS, cut=st.one_of(st.just(1.0), st.floats(0, 1)))
def test_whatever_is_altered_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[float, bytes]], cut: float
) -> None:
    content = bytearray(saved(voice()))
    for at, new in edits:
        start = int(at * len(content))
        content[start : start + len(new)] = new
    try:
        found = read(bytes(content[: int(cut * len(content))]), tmp_path_factory.mktemp("altered"))
    except TorchFileUnusable:
        return
    # The numbers have sums, so that only an altered description can lead to other ones.
    assert all(tensor.numel() * tensor.itemsize <= MOST for tensor in found.values())


@settings(max_examples=500)
@given(edits=EDITS)
def test_whatever_is_altered_in_the_description_stays_within_what_is_stored(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[float, bytes]]
) -> None:
    data = bytearray(pickled())
    for at, new in edits:
        start = int(at * len(data))
        data[start : start + len(new)] = new
    stored = {*voice()["embeddings"].view(torch.int16).flatten().tolist(), *range(68)}
    try:
        found = read(with_records(**{"data.pkl": bytes(data)}), tmp_path_factory.mktemp("altered"))
    except TorchFileUnusable:
        return
    for tensor in found.values():
        whole = {2: torch.int16, 8: torch.int64}.get(tensor.itemsize)
        if whole is not None and tensor.numel():
            numbers = cast(list[int], tensor.view(whole).flatten().tolist())
            assert stored.issuperset(numbers)

"""Reads the pickle in a file of ``torch.save``: plain values, and the descriptions of tensors.

Depends on the format (pickle protocol 2), not on torch and not on ``pickle``: nothing is imported or called,
and any name but those of ``torch.save`` itself ends it. ``torch.load(weights_only=True)`` of torch up to
2.9.1 can corrupt memory (CVE-2026-24747).
"""

from dataclasses import dataclass
from typing import cast

MAX_PICKLE_BYTES = 1 << 16
"""Two tensors take some 300; every value costs a byte at least, so that this bounds memory and time."""

STORAGE_TYPES = {
    ("torch", "BFloat16Storage"),
    ("torch", "HalfStorage"),
    ("torch", "FloatStorage"),
    ("torch", "DoubleStorage"),
    ("torch", "LongStorage"),
}


class PickleUnusable(Exception):
    """The pickle is damaged, or asks for what it may not. The text says what, without a full stop."""


@dataclass(frozen=True, slots=True)
class StoredNumbers:
    """``kind``: the name of torch's class. ``key``: which record of the file holds them."""

    kind: str
    key: str
    elements: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Offset and strides are counted in elements; nothing has been compared with what is there."""

    numbers: StoredNumbers
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Global:
    module: str
    name: str


class _Mark:
    """Where a tuple or the items of a list or dict begin on the stack."""


def unpickle(data: bytes) -> object:
    """The value: None, bool, int, float, str, tuple, list, dict with str as keys, or StoredTensor.

    Lists and dicts may contain themselves; do not walk through them.

    Raises:
        PickleUnusable: see there.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise PickleUnusable("it describes far more than two tensors")
    try:
        return _Machine(data).run()
    except (IndexError, UnicodeDecodeError):
        raise PickleUnusable("its description is damaged") from None


class _Machine:
    """Goes through the opcodes, of which it knows those that ``torch.save`` writes for plain values."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """Raises PickleUnusable, or IndexError where something is missing."""
        if self._bytes(2) != b"\x80\x02":
            raise PickleUnusable("its description is not of pickle's protocol 2")
        while (opcode := self._bytes(1)) != b".":
            if not (self._push_value(opcode) or self._remember(opcode)):
                self._combine(opcode)
        [value] = self._stack if len(self._stack) == 1 else [_Mark()]
        if isinstance(value, _Mark):
            raise PickleUnusable("its description is damaged")
        return value

    def _push_value(self, opcode: bytes) -> bool:
        match opcode:
            case b"N":
                value = None
            case b"\x88" | b"\x89":
                value = opcode == b"\x88"
            case b"K" | b"M":
                value = int.from_bytes(self._bytes(1 if opcode == b"K" else 2), "little")
            case b"J":
                value = int.from_bytes(self._bytes(4), "little", signed=True)
            case b"\x8a":
                value = int.from_bytes(self._bytes(self._bytes(1)[0]), "little", signed=True)
            case b"G":
                self._bytes(8)  # a number that no tensor has
                value = 0.0
            case b"X":
                value = self._bytes(int.from_bytes(self._bytes(4), "little")).decode()
            case b"c":
                value = _Global(self._line(), self._line())
            case b"}":
                value = dict[str, object]()
            case b"]":
                value = list[object]()
            case b")":
                value = ()
            case b"(":
                value = _Mark()
            case _:
                return False
        self._stack.append(value)
        return True

    def _remember(self, opcode: bytes) -> bool:
        match opcode:
            case b"q" | b"r":
                index = int.from_bytes(self._bytes(1 if opcode == b"q" else 4), "little")
                self._memo[index] = self._stack[-1]
            case b"h" | b"j":
                index = int.from_bytes(self._bytes(1 if opcode == b"h" else 4), "little")
                if index not in self._memo:
                    raise PickleUnusable("its description is damaged")
                self._stack.append(self._memo[index])
            case _:
                return False
        return True

    def _combine(self, opcode: bytes) -> None:
        match opcode:
            case b"t":
                self._stack.append(tuple(self._since_mark()))
            case b"\x85" | b"\x86" | b"\x87":
                items = [self._stack.pop() for _ in range(opcode[0] - 0x84)]
                self._stack.append(tuple(reversed(items)))
            case b"e" | b"a":
                items = self._since_mark() if opcode == b"e" else [self._stack.pop()]
                self._top_list().extend(items)
            case b"u" | b"s":
                items = self._since_mark() if opcode == b"u" else [self._stack.pop(), self._stack.pop()][::-1]
                self._set_items(items)
            case b"Q":
                self._stack.append(_stored_numbers(self._stack.pop()))
            case b"R":
                arguments, called = self._stack.pop(), self._stack.pop()
                self._stack.append(_result(called, arguments))
            case _:
                raise PickleUnusable("its description is damaged, or holds more than plain values")

    def _bytes(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise IndexError
        self._at += count
        return piece

    def _line(self) -> str:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise IndexError
        line = self._data[self._at : end]
        self._at = end + 1
        return line.decode("ascii")

    def _since_mark(self) -> list[object]:
        items: list[object] = []
        while not isinstance(item := self._stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _top_list(self) -> list[object]:
        if not isinstance(self._stack[-1], list):
            raise PickleUnusable("its description is damaged")
        return cast(list[object], self._stack[-1])

    def _set_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        keys = items[::2]
        # Only strings: the hash of nested tuples can take for ever.
        if not isinstance(target, dict) or len(items) % 2 or not all(isinstance(key, str) for key in keys):
            raise PickleUnusable("its description is damaged")
        cast(dict[object, object], target).update(zip(keys, items[1::2], strict=True))


def _stored_numbers(identifier: object) -> StoredNumbers:
    match _items(identifier):
        case ("storage", _Global(module, name), str(key), str(), int(elements)):
            if (module, name) not in STORAGE_TYPES:
                raise _foreign_name(module, name)
            if key.isascii() and key.isdigit() and _are_sizes((elements,)):
                return StoredNumbers(name, key, elements)
        case _:
            pass
    raise PickleUnusable("its tensors are described in a way of their own")


def _result(called: object, arguments: object) -> object:
    """What a call would give: a tensor, or an empty dict."""
    match called, _items(arguments):
        case _Global("collections", "OrderedDict"), ():
            return dict[str, object]()
        case _Global("torch._utils", "_rebuild_tensor_v2"), values:
            return _stored_tensor(values)
        case _Global(module, name), _:
            raise _foreign_name(module, name)
        case _:
            raise PickleUnusable("its description is damaged")


def _stored_tensor(values: tuple[object, ...]) -> StoredTensor:
    match values:
        case (StoredNumbers() as numbers, offset, shape, strides, bool(), hooks):
            sizes = ((offset,), _items(shape), _items(strides))
            if not hooks and all(_are_sizes(each) for each in sizes):
                [at], dims, steps = cast(tuple[tuple[int, ...], ...], sizes)
                return StoredTensor(numbers, at, dims, steps)
        case _:
            pass
    raise PickleUnusable("its tensors are described in a way of their own")


def _items(value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise PickleUnusable("its description is damaged")
    return cast(tuple[object, ...], value)


def _are_sizes(numbers: tuple[object, ...]) -> bool:
    return len(numbers) <= 8 and all(type(n) is int and 0 <= n < 1 << 40 for n in numbers)


def _foreign_name(module: str, name: str) -> PickleUnusable:
    return PickleUnusable(f"it asks for {f'{module}.{name}'[:80]!r}")

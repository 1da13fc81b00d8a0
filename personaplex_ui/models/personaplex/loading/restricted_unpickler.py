"""Reads the pickle in a ``torch.save`` file: plain values and descriptions of tensors.

Depends on the format (pickle protocol 2), not on torch or ``pickle``: ``pickletools`` parses it, nothing is
imported or called, and any name other than those of ``torch.save`` itself is refused.
``torch.load(weights_only=True)`` of torch up to 2.9.1 can corrupt memory (CVE-2026-24747).
"""

import pickletools
from dataclasses import dataclass
from typing import Any

MAX_PICKLE_BYTES = 1 << 16
"""Two tensors take some 300; every value takes at least a byte, so this bounds memory and time."""

STORAGES = ("BFloat16Storage", "HalfStorage", "FloatStorage", "DoubleStorage", "LongStorage")

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = ("BININT1", "BININT2", "BININT", "LONG1", "BINFLOAT", "BINUNICODE")
_MARK = object()
"""Where a tuple or the items of a list or dict begin on the stack."""


class PickleUnusable(Exception):
    """The pickle is damaged or refers to a forbidden name. The text says which, without a full stop."""


@dataclass(frozen=True, slots=True)
class StoredNumbers:
    """``kind``: the name of torch's class. ``key``: the record of the file that holds them."""

    kind: str
    key: str
    elements: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Offset and strides are in elements; nothing has been compared with the stored data."""

    numbers: StoredNumbers
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Global:
    """``path``: the module and the name, with a space between them."""

    path: str


def unpickle(data: bytes) -> object:
    """The value: None, bool, int, float, str, tuple, list, dict with str as keys, or StoredTensor.

    Lists and dicts may contain themselves; do not walk through them.

    Raises:
        PickleUnusable: the pickle is damaged or refers to a forbidden name.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise PickleUnusable("it describes far more than two tensors")
    if not data.startswith(b"\x80\x02"):
        raise PickleUnusable("its description is not of pickle's protocol 2")
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data[2:]):
            machine.follow(opcode.name, argument)
        [value] = machine.stack
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise PickleUnusable("its description is damaged") from error
    if value is _MARK:
        raise PickleUnusable("its description is damaged")
    return value


class _Machine:
    """Follows the opcodes that ``torch.save`` writes for plain values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def follow(self, opcode: str, argument: Any) -> None:
        """Raises PickleUnusable; or IndexError, KeyError, TypeError or ValueError if something is missing."""
        stack = self.stack
        match opcode:
            case "STOP":
                pass
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "APPEND" | "APPENDS":
                items = self._since_mark() if opcode == "APPENDS" else [stack.pop()]
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self._since_mark() if opcode == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
                # Only strings: hashing nested tuples can take forever.
                keys = [_expect(key, str) for key in items[::2]]
                _expect(stack[-1], dict).update(zip(keys, items[1::2], strict=True))
            case _:
                stack.append(self._value(opcode, argument))

    def _value(self, opcode: str, argument: Any) -> Any:
        stack = self.stack
        match opcode:
            case _ if opcode in _CONSTANTS:
                return _CONSTANTS[opcode]
            case _ if opcode in _LITERALS:
                return argument
            case "MARK":
                return _MARK
            case "EMPTY_DICT":
                return dict[str, Any]()
            case "EMPTY_LIST":
                return list[Any]()
            case "GLOBAL":
                return _Global(argument)
            case "BINGET" | "LONG_BINGET":
                return self._memo[argument]
            case "TUPLE":
                return tuple(self._since_mark())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                return tuple([stack.pop() for _ in range(int(opcode[-1]))][::-1])
            case "BINPERSID":
                return _stored_numbers(_expect(stack.pop(), tuple))
            case "REDUCE":
                arguments = _expect(stack.pop(), tuple)
                return _result(_expect(stack.pop(), _Global).path, arguments)
            case _:
                raise PickleUnusable("its description is damaged, or holds more than plain values")

    def _since_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]


def _expect(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _stored_numbers(identifier: tuple[Any, ...]) -> StoredNumbers:
    match identifier:
        case ("storage", _Global(path), str(key), str(), int(elements)):
            module, _, kind = path.partition(" ")
            if module != "torch" or kind not in STORAGES:
                raise _foreign_name(path)
            if key.isascii() and key.isdigit() and _are_sizes(elements):
                return StoredNumbers(kind, key, elements)
        case _:
            pass
    raise PickleUnusable("its tensors are described in a way of their own")


def _result(called: str, arguments: tuple[Any, ...]) -> object:
    """The result a call would have: a tensor, or an empty dict."""
    match called, arguments:
        case "collections OrderedDict", ():
            return dict[str, object]()
        case "torch._utils _rebuild_tensor_v2", (StoredNumbers(), offset, shape, strides, bool(), hooks):
            sizes = (offset,), _expect(shape, tuple), _expect(strides, tuple)
            if not hooks and all(_are_sizes(*each) for each in sizes):
                return StoredTensor(arguments[0], offset, shape, strides)
        case "torch._utils _rebuild_tensor_v2", _:
            pass
        case _:
            raise _foreign_name(called)
    raise PickleUnusable("its tensors are described in a way of their own")


def _are_sizes(*numbers: Any) -> bool:
    return len(numbers) <= 8 and all(type(n) is int and 0 <= n < 1 << 40 for n in numbers)


def _foreign_name(path: str) -> PickleUnusable:
    return PickleUnusable(f"it asks for {path.replace(' ', '.', 1)[:80]!r}")

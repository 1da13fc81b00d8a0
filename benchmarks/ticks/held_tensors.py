"""Finds every tensor that an object holds, directly or through other objects, by the path to it."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from torch import Tensor

OPAQUE = ("torch._C", "torch.cuda", "numpy", "builtins", "types", "threading", "logging")
"""Modules of the types that are not looked into."""


def held_tensors(root: object) -> dict[str, Tensor]:
    """Tensors by path, as ``_codec._arena``; each object is visited once."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        path, value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            found[path.strip(".")] = value
        else:
            waiting.extend((f"{path}{name}", one) for name, one in _parts(value))
    return found


def replaced(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Paths at which there is another tensor than before, or one for the first time."""
    return [path for path, tensor in after.items() if before.get(path) is not tensor]


def _parts(value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"[{key}]", one) for key, one in cast(dict[object, object], value).items())
    elif isinstance(value, list | tuple | set | frozenset):
        for number, one in enumerate(cast(list[object], value)):
            yield f"[{number}]", one
    elif hasattr(value, "__self__"):  # a bound method
        yield ".__self__", value.__self__
    elif not type(value).__module__.startswith(OPAQUE) and not isinstance(value, type):
        yield from ((f".{name}", one) for name, one in getattr(value, "__dict__", {}).items())
        for kind in type(value).__mro__:
            names = getattr(kind, "__slots__", ())
            for name in (names,) if isinstance(names, str) else names:
                if hasattr(value, name):
                    yield f".{name}", getattr(value, name)

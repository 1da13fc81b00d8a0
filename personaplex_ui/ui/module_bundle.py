"""Joins the page's modules into one, because each request of a first visit costs a round trip.

Knows the forms of import and export that our modules use, each at the beginning of a line, and refuses
others. A module becomes a function that runs once and returns what it exports; ``import()`` stays as it is.
"""

import re
from collections.abc import Mapping

_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w.]+)";[ \t]*$', re.M)
_PASSED_ON = re.compile(r'^export\s*(?:\{([^}]*)\}|(\*))\s*from\s*"\./([\w.]+)";[ \t]*$', re.M)
_EXPORTED = re.compile(r"^export\s+((?:async\s+)?function\*?|class|const)\s+([\w$]+)", re.M)
_OTHER = re.compile(r"^(?:import\b(?!\s*\()|export\b).*$", re.M)


class CannotBundle(ValueError):
    """A module has an import or export of a form that this does not know, or they go in a circle."""


def bundle(sources: Mapping[str, str], entry: str) -> str:
    """One module that does what ``entry`` does with all that it imports.

    ``sources``: the modules by their file name.

    Raises:
        CannotBundle: they cannot be joined.
    """
    joined: list[str] = []
    done: set[str] = set()

    def add(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise CannotBundle(f"{' imports '.join([*importers, name])}")
        if name in done:
            return
        if name not in sources:
            raise CannotBundle(f"{importers[-1]} imports {name}, which does not exist")
        for imported in _imported(sources[name]):
            add(imported, (*importers, name))
        done.add(name)
        joined.append(_as_function(name, sources[name]))

    add(entry, ())
    return "\n".join(joined)


def _imported(source: str) -> list[str]:
    return [match[2] for match in _IMPORT.finditer(source)] + [
        match[3] for match in _PASSED_ON.finditer(source)
    ]


def _as_function(name: str, source: str) -> str:
    exported: list[str] = []

    def pass_on(match: re.Match[str]) -> str:
        module = _variable(match[3])
        exported.extend(
            [f"...{module}"] if match[2] else [f"{new}: {module}.{old}" for old, new in _names(match[1])]
        )
        return ""

    def keep(match: re.Match[str]) -> str:
        exported.append(match[2])
        return f"{match[1]} {match[2]}"

    body = _IMPORT.sub(_take, source)
    body = _PASSED_ON.sub(pass_on, body)
    body = _EXPORTED.sub(keep, body)
    if other := _OTHER.search(body):
        raise CannotBundle(f"{name} has “{other[0]}”")
    return f"const {_variable(name)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _take(match: re.Match[str]) -> str:
    names = ", ".join(old if old == new else f"{old}: {new}" for old, new in _names(match[1]))
    return f"const {{ {names} }} = {_variable(match[2])};"


def _names(listed: str) -> list[tuple[str, str]]:
    """``a, b as c`` -> the name there and the name here of each."""
    parts = [part.split(" as ") for part in listed.split(",") if part.strip()]
    return [(part[0].strip(), part[-1].strip()) for part in parts]


def _variable(file_name: str) -> str:
    return "$" + re.sub(r"\W", "_", file_name)

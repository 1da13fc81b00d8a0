"""The parameters of a tool: a JSON schema of plain values, and arguments checked by it. Pure."""

import json
import math
from collections.abc import Mapping
from typing import TypeAlias, cast

Value: TypeAlias = str | int | float | bool

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
MOST_PARAMETERS = 20
LONGEST_VALUE = 200
"""Characters of a text, unless its schema says more."""

MOST_LENGTH = 4_000
LONGEST_ARGUMENTS = 20_000
"""Characters of all arguments, as JSON."""

_KNOWN = frozenset(
    ("type", "description", "title", "default", "examples", "enum", "minimum", "maximum", "maxLength")
)


class UnusableSchema(ValueError):
    """The sentence completes "the parameters ..."."""


class BadArguments(ValueError):
    """The sentence is for the language model."""


class Parameters:
    """``schema``: an object whose properties are texts, numbers and booleans."""

    def __init__(self, schema: object) -> None:
        """
        Raises:
            UnusableSchema: it is something else.
        """
        given = _object(schema)
        if given is None or given.get("type") != "object" or set(given) - _OF_OBJECT:
            raise UnusableSchema('must be {"type": "object", "properties": {...}, "required": [...]}')
        properties, required = _object(given.get("properties", {})), given.get("required", [])
        if properties is None or len(properties) > MOST_PARAMETERS:
            raise UnusableSchema(f"need properties, {MOST_PARAMETERS} at most")
        if not isinstance(required, list) or not all(
            name in properties for name in cast(list[object], required)
        ):
            raise UnusableSchema("name something as required that is not among the properties")
        self.properties = {name: _property(name, value) for name, value in properties.items()}
        self.required = frozenset(cast(list[str], required))
        self.schema: dict[str, object] = {**given, "additionalProperties": False}

    def read(self, arguments: str) -> dict[str, Value]:
        """The arguments in a JSON text.

        Raises:
            BadArguments: they do not fit the schema.
        """
        if len(arguments) > LONGEST_ARGUMENTS:
            raise BadArguments("The arguments are too long.")
        try:
            given = _object(json.loads(arguments or "{}"))
        except (ValueError, RecursionError):
            given = None
        if given is None:
            raise BadArguments("The arguments are not a JSON object.")
        given = {name: value for name, value in given.items() if value is not None}
        if unknown := sorted(set(given) - set(self.properties)):
            raise BadArguments(f"There is no parameter {unknown[0][:50]!r}.")
        if missing := sorted(self.required - set(given)):
            raise BadArguments(f"The parameter {missing[0]!r} is missing.")
        return {name: _checked(name, self.properties[name], value) for name, value in given.items()}


_OF_OBJECT = frozenset(("type", "properties", "required", "description", "title", "additionalProperties"))


def _object(value: object) -> dict[str, object] | None:
    return cast(dict[str, object], value) if isinstance(value, dict) else None


def _property(name: str, value: object) -> Mapping[str, object]:
    given = _object(value)
    if given is None or given.get("type") not in TYPES:
        raise UnusableSchema(f"give {name!r} no type, which must be one of {', '.join(TYPES)}")
    if not name.isidentifier() or not name.isascii():
        raise UnusableSchema(f"have the name {name!r}, but a name has letters, digits and _ only")
    if unknown := sorted(set(given) - _KNOWN):
        raise UnusableSchema(f"say {unknown[0]!r} of {name!r}, which is not understood; leave it out")
    choices = given.get("enum")
    if choices is not None and not isinstance(choices, list):
        raise UnusableSchema(f"need a list as the enum of {name!r}")
    for bound in ("minimum", "maximum", "maxLength"):
        if bound in given and not _is_number(given[bound]):
            raise UnusableSchema(f"need a number as the {bound} of {name!r}")
    return given


def _checked(name: str, wanted: Mapping[str, object], value: object) -> Value:
    kind = str(wanted["type"])
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise BadArguments(f"The parameter {name!r} must be of the type {kind}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadArguments(f"The parameter {name!r} must be a finite number.")
    choices = wanted.get("enum")
    if choices is not None and value not in cast(list[object], choices):
        raise BadArguments(f"The parameter {name!r} must be one of {json.dumps(choices)[:500]}.")
    if isinstance(value, str):
        longest = min(int(cast(float, wanted.get("maxLength", LONGEST_VALUE))), MOST_LENGTH)
        if len(value) > longest or any(ord(character) < 32 for character in value):
            raise BadArguments(f"The parameter {name!r} must be one line of {longest} characters at most.")
        return value
    number = cast(int | float | bool, value)
    least, most = cast(float, wanted.get("minimum", -1e15)), cast(float, wanted.get("maximum", 1e15))
    if not isinstance(number, bool) and not least <= number <= most:
        raise BadArguments(f"The parameter {name!r} must be from {least:g} to {most:g}.")
    return number


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""Reads TOOLS_FILE: what tools there are, how each is called, what is sent to it. Checked at the start."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from personaplex_ui.errors import SettingsError
from personaplex_ui.speech.tools.address import AddressTemplate, UnusableAddress
from personaplex_ui.speech.tools.parameters import Parameters, UnusableSchema

NAME = "TOOLS_FILE"
SECRETS = "TOOL_"
"""How the names of variables begin that a tool's headers may hold: so no other secret gets to a tool."""

LONGEST_FILE_BYTES = 200_000
MOST_TOOLS = 32
LONGEST_DESCRIPTION = 1_000
USUAL_SEC, MOST_SEC = 5.0, 30.0
USUAL_BYTES, MOST_BYTES = 8_000, 64_000
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
EXAMPLE = "See docs/CONVERSATION.md for an example."

_KEYS = frozenset(
    ("name", "description", "parameters", "method", "url", "headers", "timeout_sec", "most_bytes")
)
_OURS = frozenset(("host", "content-length", "transfer-encoding", "connection", "content-type"))
_SECRET = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Tool:
    """One HTTP request that a language model may have made. ``headers``: with their secrets, so they are not
    shown."""

    name: str
    description: str
    parameters: Parameters
    method: str
    address: AddressTemplate
    headers: Mapping[str, str] = field(repr=False)
    timeout_sec: float = USUAL_SEC
    most_bytes: int = USUAL_BYTES

    @property
    def offer(self) -> dict[str, object]:
        """As chat completions expect it."""
        told = {"name": self.name, "description": self.description, "parameters": self.parameters.schema}
        return {"type": "function", "function": told}


def read_tools(path: Path, secrets: Mapping[str, str]) -> tuple[Tool, ...]:
    """The tools in the file ``path``. ``secrets``: variables by name, for ``${NAME}`` in headers.

    Raises:
        SettingsError: the file cannot be read, or a tool in it cannot be used; the sentence says which.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(
            f"is {str(path)!r}, which cannot be read: {error.strerror}. Correct the path."
        ) from error
    if len(content) > LONGEST_FILE_BYTES:
        raise _refused(f"is larger than {LONGEST_FILE_BYTES // 1_000} kB. Leave some tools out.")
    try:
        given: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refused(f"is not JSON: {error}. {EXAMPLE}") from None
    if not isinstance(given, list) or not given or len(cast(list[object], given)) > MOST_TOOLS:
        raise _refused(f"must be a list of 1 to {MOST_TOOLS} tools. {EXAMPLE}")
    tools = tuple(_tool(each, number, secrets) for number, each in enumerate(cast(list[object], given), 1))
    names = [tool.name for tool in tools]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise _refused(f"has two tools with the name {twice!r}. Rename one.")
    return tools


def _tool(given: object, number: int, secrets: Mapping[str, str]) -> Tool:
    if not isinstance(given, dict):
        raise _refused(f"has a tool, number {number}, that is not an object. {EXAMPLE}")
    tool = cast(dict[str, object], given)
    name = tool.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise _refused(f"has a tool, number {number}, without a name of letters, digits, _ and -.")

    def refused(sentence: str) -> SettingsError:
        return _refused(f"has a tool {name!r}: {sentence}.")

    if unknown := sorted(set(tool) - _KEYS):
        raise refused(f"it has {unknown[0]!r}, which is not one of {', '.join(sorted(_KEYS))}")
    description, method, url = tool.get("description"), tool.get("method", "GET"), tool.get("url")
    if not isinstance(description, str) or not 0 < len(description.strip()) <= LONGEST_DESCRIPTION:
        raise refused(f"it needs a description of at most {LONGEST_DESCRIPTION} characters")
    if method not in METHODS:
        raise refused(f"its method must be one of {', '.join(METHODS)}")
    if not isinstance(url, str):
        raise refused("it needs a url")
    try:
        parameters = Parameters(tool.get("parameters", {"type": "object", "properties": {}}))
        address = AddressTemplate(url)
    except UnusableSchema as error:
        raise refused(f"its parameters {error}") from None
    except UnusableAddress as error:
        raise refused(f"its url {error}") from None
    if unknown := sorted(address.names - set(parameters.properties)):
        raise refused(f"its url has {{{unknown[0]}}}, which is not one of its parameters")
    timeout_sec, most_bytes = tool.get("timeout_sec", USUAL_SEC), tool.get("most_bytes", USUAL_BYTES)
    if (
        isinstance(timeout_sec, bool)
        or not isinstance(timeout_sec, int | float)
        or not 0 < timeout_sec <= MOST_SEC
    ):
        raise refused(f"its timeout_sec must be a number above 0, up to {MOST_SEC:g}")
    if isinstance(most_bytes, bool) or not isinstance(most_bytes, int) or not 0 < most_bytes <= MOST_BYTES:
        raise refused(f"its most_bytes must be a whole number from 1 to {MOST_BYTES}")
    try:
        headers = _headers(tool.get("headers", {}), secrets)
    except ValueError as error:
        raise refused(str(error)) from None
    return Tool(name, description.strip(), parameters, method, address, headers, timeout_sec, most_bytes)


def _headers(given: object, secrets: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ValueError("its headers must be an object of texts")
    headers: dict[str, str] = {}
    for name, value in cast(dict[str, object], given).items():
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name) or not isinstance(value, str):
            raise ValueError("its headers must be an object of texts, by names of letters, digits and -")
        if name.lower() in _OURS:
            raise ValueError(f"its header {name!r} is set by the app; leave it out")
        for secret in _SECRET.findall(value):
            if not secret.startswith(SECRETS) or not secrets.get(secret):
                why = f"is not set; its name has to begin with {SECRETS}"
                raise ValueError(f"its header {name!r} needs the variable {secret!r}, which {why}")
        filled = _SECRET.sub(lambda found: secrets[found[1]], value)
        if not re.fullmatch(r"[ -~]*", filled):
            raise ValueError(f"its header {name!r} has characters in it that no header can hold")
        headers[name] = filled
    return headers


def _refused(sentence: str) -> SettingsError:
    return SettingsError(f"{NAME} {sentence}", NAME)

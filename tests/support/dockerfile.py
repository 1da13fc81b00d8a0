"""The Dockerfile, read: its instructions and what follows each."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions and what follows each, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def arguments(instruction: str) -> list[str]:
    return [argument for name, argument in dockerfile() if name == instruction]


def only(instruction: str) -> str:
    (argument,) = arguments(instruction)
    return argument


def copies() -> list[tuple[list[str], str]]:
    """The sources and the target of each COPY."""
    return [(argument.split()[:-1], argument.split()[-1]) for argument in arguments("COPY")]


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for argument in arguments("ENV") for pair in argument.split())

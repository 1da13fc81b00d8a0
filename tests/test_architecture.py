"""Holds the directions of imports, where the environment is read, and the size of files."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "personaplex_ui"
MAX_LINES = 400

# What each part may import of ours besides itself; ALL may import everything.
ALL = "all"
MAY_IMPORT = {
    "errors": (),
    "voices": ("audio", "errors"),
    "presets": (),
    "plain_text": (),
    "tar": (),
    "settings": ("setting_values", "errors", "voices"),
    "setting_values": ("phone.numbers", "voices"),
    "env_file": ("errors",),
    "process_environment": ("env_file", "hub_environment", "setting_values", "errors"),
    "hub_environment": (),
    "listening": ("errors",),
    "log_context": (),
    "database": ("errors",),
    "connection_limits": (),
    "open_files": (),
    "repeated_records": (),
    "logs": ("log_context",),
    "library_prints": ("logs",),
    "shutdown_signals": (),
    "process_restart": (),
    "audio": ("errors",),
    "protocols": ("plain_text", "errors"),
    "engine": ("audio", "log_context", "errors"),
    "echo": ("engine.speech_model", "audio", "errors"),
    "personaplex": ("engine.speech_model", "audio", "voices", "tar", "errors"),
    "calls": ("database", "engine", "audio", "voices", "plain_text", "log_context", "errors"),
    "compat": ("connection_limits", "protocols", "audio"),
    "transports": (
        "calls",
        "compat",
        "protocols",
        "engine.speech_model",
        "audio",
        "voices",
        "log_context",
        "errors",
    ),
    "phone": (
        "database",
        "transports",
        "protocols",
        "calls",
        "engine",
        "audio",
        "voices",
        "plain_text",
        "log_context",
        "errors",
    ),
    "ui": ("phone", "transports", "web", "calls", "engine", "audio", "voices", "presets", "errors"),
    "web": (
        "phone",
        "transports",
        "protocols",
        "calls",
        "engine",
        "voices",
        "tar",
        "log_context",
        "errors",
    ),
    "engine_choice": ("echo", "personaplex", "engine", "settings", "voices", "errors"),
    "server": ALL,
    "parts": ALL,
    "front_doors": ALL,
    "deploy": ALL,
    "bench": ALL,
    "offline": ALL,
    "app": ALL,
}
READS_ENVIRONMENT = ("app", "bench", "offline", "process_environment", "process_restart")
KNOWS_NO_ASYNCIO = ("audio", "protocols")
KNOWS_TORCH = ("personaplex", "bench")


def sources() -> list[Path]:
    return [*sorted((ROOT / PACKAGE).rglob("*.py")), *ROOT.glob("app.py")]


def module_of(path: str) -> str:
    """``audio.frames`` for ``personaplex_ui/audio/frames.py``, ``audio`` for its ``__init__.py``."""
    parts = Path(path).with_suffix("").parts
    parts = parts[1:] if parts[0] == PACKAGE else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.Module, path: str) -> Iterator[str]:
    """The full names of all that the file imports anywhere, by a statement or by a call with a literal."""
    folder = Path(path).parts[:-1]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = [*folder[: len(folder) - level + 1]] if level else []
                base += [module] if module else []
                yield from (".".join([*base, alias.name]) for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name
            case _:
                pass


def is_within(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def reads_environment(tree: ast.Module) -> bool:
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {a.name for a in node.names})
        for node in ast.walk(tree)
    )


def violations(path: str, source: str) -> list[str]:
    """What the file at ``path`` (from the root of the repository) does that it may not, one sentence each."""
    tree = ast.parse(source)
    part = module_of(path).partition(".")[0]
    found: list[str] = []
    if part and part not in MAY_IMPORT:
        return [f"{path}: nothing says yet what {part} may import"]
    allowed = MAY_IMPORT.get(part, ())
    for name in imports(tree, path):
        ours = name.removeprefix(f"{PACKAGE}.") if is_within(name, (PACKAGE,)) else None
        if name in (PACKAGE, f"{PACKAGE}.__version__"):
            continue
        if ours is not None and allowed != ALL and not is_within(ours, (part, *allowed)):
            found.append(f"{path}: {part or PACKAGE} may not import {ours}")
        if is_within(name, ("torch", "moshi")) and part not in KNOWS_TORCH:
            found.append(f"{path}: {part or PACKAGE} may not import {name}")
        if is_within(name, ("asyncio", "anyio")) and part in KNOWS_NO_ASYNCIO:
            found.append(f"{path}: {part} may not import {name}")
    if reads_environment(tree) and part not in READS_ENVIRONMENT:
        found.append(f"{path}: {part or PACKAGE} may not read the environment")
    return found


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in sources()])
def test_a_file_keeps_to_its_place(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    assert violations(path, source) == []
    assert ast.get_docstring(ast.parse(source)), f"{path} has no docstring that says what it knows"
    assert len(source.splitlines()) <= MAX_LINES, f"{path}: is there a second noun in it?"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("audio/frames.py", "from personaplex_ui.calls.call import Call"),
        ("audio/frames.py", "from ..calls import call"),
        ("audio/frames.py", "from .. import calls"),
        ("audio/frames.py", "import asyncio"),
        ("audio/frames.py", "def cut():\n    from asyncio import Queue"),
        ("protocols/moshi.py", "import asyncio.queues"),
        ("protocols/moshi.py", "from personaplex_ui.transports import moshi_ws"),
        ("engine/worker.py", "import personaplex_ui.calls.call"),
        ("engine/worker.py", "from personaplex_ui.engine_room import pump"),
        ("engine/worker.py", "import torch"),
        ("engine/worker.py", "from moshi.models import loaders"),
        ("engine/worker.py", "import importlib\nimportlib.import_module('torch.cuda')"),
        ("echo/model.py", "from personaplex_ui.engine.worker import Worker"),
        ("personaplex/model.py", "from personaplex_ui.engine import scheduler"),
        ("calls/call.py", "from personaplex_ui.transports import webrtc"),
        (
            "calls/call.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import personaplex_ui.ui",
        ),
        ("transports/webrtc.py", "from personaplex_ui.engine.worker import Worker"),
        ("transports/webrtc.py", "from personaplex_ui.engine import speech_model, worker"),
        ("ui/blocks.py", "from personaplex_ui.settings import Settings"),
        ("ui/blocks.py", "from personaplex_ui import server"),
        ("web/routes.py", "from personaplex_ui.settings import Settings"),
        ("web/routes.py", "from personaplex_ui import settings"),
        ("errors.py", "from personaplex_ui.voices.catalogue import Voice"),
        ("__init__.py", "from personaplex_ui.server import build"),
        ("server.py", "import os\nport = os.environ['PORT']"),
        ("server.py", "from os import getenv"),
        ("server.py", "import torch"),
        ("settings.py", "import os\nport = os.getenv('PORT')"),
        ("newcomer/thing.py", "import json"),
    ],
)
def test_what_is_out_of_place_is_found(path: str, source: str) -> None:
    assert len(violations(f"{PACKAGE}/{path}", source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "personaplex_ui/audio/recording.py",
            "from personaplex_ui.errors import RecordingFailed\nimport os, numpy",
        ),
        (
            "personaplex_ui/audio/recording.py",
            "from . import frames\nfrom .frames import Frame\nfrom ..errors import X",
        ),
        ("personaplex_ui/engine/worker.py", "from personaplex_ui.audio.frames import Frame\nimport asyncio"),
        ("personaplex_ui/personaplex/model.py", "import torch\nfrom moshi.models import loaders"),
        ("personaplex_ui/transports/webrtc.py", "from personaplex_ui.engine.speech_model import Answer"),
        (
            "personaplex_ui/web/routes.py",
            "from personaplex_ui import __version__\nimport torchaudio, os\nos.path",
        ),
        ("personaplex_ui/server.py", "from personaplex_ui.settings import Settings"),
        ("personaplex_ui/bench.py", "import os\nfrom personaplex_ui.settings import Settings\nos.environ"),
        (
            "app.py",
            "import os\nfrom personaplex_ui.settings import Settings\nSettings.from_mapping(os.environ)",
        ),
    ],
)
def test_what_is_in_its_place_is_left_alone(path: str, source: str) -> None:
    assert violations(path, source) == []


def test_importing_the_page_writes_nothing_beside_it() -> None:
    """Gradio writes a .pyi file beside each class statement of a component."""
    importlib.import_module("personaplex_ui.ui.blocks")
    assert list((ROOT / PACKAGE).rglob("*.pyi")) == []

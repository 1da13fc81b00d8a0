"""Holds the directions of imports, where the environment is read, and the size of files."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "personaplex_ui"
MAX_LINES = 400
MAX_FUNCTION_LINES = 50

# What each room may import of ours besides itself; ALL may import everything. A module is in the room
# with the longest name that fits.
ALL = "all"
LOW = ("errors", "logs.call_context", "sliding_window")
MAY_IMPORT = {
    "errors": (),
    "plain_text": (),
    "sliding_window": (),
    "tar": (),
    "build_tools": (),
    "database": ("errors",),
    "logs": ("sliding_window",),
    "voices": ("audio", "errors"),
    "audio": ("errors",),
    "duplex": ("audio", "errors"),
    "speech": ("audio", "voices", "plain_text", "tar", "errors"),
    "models.cascade": ("engine.speech_model", "engine.reports", "speech", "audio", "errors"),
    "face": ("audio", "errors"),
    "config": ("channels.twilio.numbers", "voices", "errors"),
    "engine": ("audio", *LOW),
    "models.echo": ("engine.speech_model", "audio", "errors"),
    "models.personaplex.kernels": ("build_tools",),
    "models.personaplex": (
        "engine.speech_model",
        "engine.reports",
        "engine.clip_batch",
        "audio",
        "voices",
        "tar",
        "errors",
    ),
    "models": ("engine", "speech", "config.settings", "voices", "errors"),
    "calls": ("database", "duplex", "engine", "audio", "voices", "plain_text", *LOW),
    "routing": ("calls", "engine.speech_model", "speech", *LOW),
    "captions": ("calls.captions", "engine", "speech", "config.settings", "audio", "errors"),
    "compat": ("audio", "logs"),
    "channels": (
        "web",
        "compat",
        "calls",
        "engine",
        "speech",
        "face",
        "audio",
        "voices",
        "database",
        "plain_text",
        "tar",
        *LOW,
    ),
    "web": ("compat", "calls", "duplex", "engine", "audio", "voices", "tar", *LOW),
    "ui": ("doctor.report", "channels", "web", "compat", "calls", "engine", "audio", "voices", "errors"),
    "app": ALL,
    "entry": ALL,
    "cli": ALL,
    "__main__": ALL,
    "drain": ("config.env_file", "errors"),
    "doctor": ALL,
    "doctor.report": (),
    "offline": ALL,
    "accept": ALL,
    "deploy": ALL,
    "benchmarks": ALL,
}
READS_ENVIRONMENT = (
    "entry",
    "cli",
    "app.restart",
    "drain.command",
    "offline",
    "doctor",
    "accept.command",
    "config.environment",
    "speech.weights.__main__",
    "benchmarks",
)
KNOWS_NO_ASYNCIO = ("audio",)
KNOWS_TORCH = ("models.personaplex", "accept", "benchmarks")
KNOWS_PRIVATE_NAMES = ("compat", "benchmarks")
"""Of the libraries below: a new version may change them without a word."""

LIBRARIES = ("gradio", "fastrtc", "aiortc")
PRIVATE_MODULES = ("gradio.context", "gradio.queueing", "gradio.route_utils", "gradio.routes")
"""Modules without an underscore that no documentation of the library names."""


def sources() -> list[Path]:
    return [
        *sorted((ROOT / PACKAGE).rglob("*.py")),
        *sorted((ROOT / "benchmarks").rglob("*.py")),
        ROOT / "app.py",
    ]


def module_of(path: str) -> str:
    """``audio.frames`` for ``personaplex_ui/audio/frames.py``, ``audio`` for its ``__init__.py``."""
    parts = Path(path).with_suffix("").parts
    if parts == ("app",):
        return "entry"
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


def room_of(module: str) -> str | None:
    return max((room for room in MAY_IMPORT if is_within(module, (room,))), key=len, default=None)


def is_within(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def reads_environment(tree: ast.Module) -> bool:
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {a.name for a in node.names})
        for node in ast.walk(tree)
    )


def private_names(tree: ast.Module, path: str) -> Iterator[str]:
    """What a file that imports one of ``LIBRARIES`` uses of its private names.

    Types are not known here, so each ``._name`` counts that is not of ``self``, ``cls`` or ``os``.
    """
    imported = list(imports(tree, path))
    if not any(is_within(name, LIBRARIES) for name in imported):
        return
    yield from (name for name in imported if is_within(name, PRIVATE_MODULES))
    yield from (name for name in imported if is_within(name, LIBRARIES) and "._" in name)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls" | "os")):
                pass
            case ast.Attribute(attr=name) if name.startswith("_") and not name.endswith("__"):
                yield name
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ) if name.startswith("_") and not name.endswith("__"):
                yield name
            case _:
                pass


def violations(path: str, source: str) -> list[str]:
    """What the file at ``path`` (from the root of the repository) does that it may not, one sentence each."""
    tree = ast.parse(source)
    module = module_of(path)
    part = room_of(module)
    found: list[str] = []
    if module and part is None:
        return [f"{path}: nothing says yet what {module} may import"]
    part = part or PACKAGE
    allowed = MAY_IMPORT.get(part, ())
    for name in imports(tree, path):
        ours = name.removeprefix(f"{PACKAGE}.") if is_within(name, (PACKAGE,)) else None
        if name in (PACKAGE, f"{PACKAGE}.__version__"):
            continue
        if ours is not None and allowed != ALL and not is_within(ours, (part, *allowed)):
            found.append(f"{path}: {part} may not import {ours}")
        if is_within(name, ("torch", "moshi", "triton")) and not is_within(part, KNOWS_TORCH):
            found.append(f"{path}: {part} may not import {name}")
        if is_within(name, ("asyncio", "anyio")) and part in KNOWS_NO_ASYNCIO:
            found.append(f"{path}: {part} may not import {name}")
    if not is_within(module, KNOWS_PRIVATE_NAMES):
        found += [f"{path}: only compat may use {name}" for name in private_names(tree, path)]
    if reads_environment(tree) and not is_within(module, READS_ENVIRONMENT):
        found.append(f"{path}: {part} may not read the environment")
    return found


def cycles(files: dict[str, str]) -> list[list[str]]:
    """Modules that import each other in a circle, for type checking too: one list for each circle."""
    modules = {f"{PACKAGE}.{module_of(path)}": (path, source) for path, source in files.items()}
    graph: dict[str, set[str]] = {}
    for module, (path, source) in modules.items():
        graph[module] = set()
        for name in imports(ast.parse(source), path):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != module:
                graph[module].add(target)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        left = [start]
        while left:
            for target in graph[left.pop()] - seen:
                seen.add(target)
                left.append(target)
        return seen

    reached = {module: reachable(module) for module in graph}
    knots = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in graph
        if module in reached[module]
    }
    return [list(knot) for knot in sorted(knots)]


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sources()}
    assert cycles(files) == []


def test_a_cycle_for_type_checking_is_found() -> None:
    one = f"from {PACKAGE}.engine.two import Two"
    two = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {PACKAGE}.engine import one"
    files = {f"{PACKAGE}/engine/one.py": one, f"{PACKAGE}/engine/two.py": two}
    assert cycles(files) == [[f"{PACKAGE}.engine.one", f"{PACKAGE}.engine.two"]]


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
        ("echo/model.py", "from personaplex_ui.engine.engine import Worker"),
        ("personaplex/model.py", "from personaplex_ui.engine import scheduler"),
        (
            "models/personaplex/kernels/norm.py",
            "from personaplex_ui.models.personaplex.runtime import depth",
        ),
        ("audio/frames.py", "import triton.language as tl"),
        ("calls/call.py", "from personaplex_ui.transports import webrtc"),
        (
            "calls/call.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import personaplex_ui.ui",
        ),
        ("transports/webrtc.py", "from personaplex_ui.engine.engine import Worker"),
        ("transports/webrtc.py", "from personaplex_ui.engine import speech_model, worker"),
        ("ui/blocks.py", "from personaplex_ui.config.settings import Settings"),
        ("ui/blocks.py", "from personaplex_ui import server"),
        ("web/routes.py", "from personaplex_ui.config.settings import Settings"),
        ("web/routes.py", "from personaplex_ui import settings"),
        ("errors.py", "from personaplex_ui.voices.catalogue import Voice"),
        ("__init__.py", "from personaplex_ui.app.server import build"),
        ("server.py", "import os\nport = os.environ['PORT']"),
        ("server.py", "from os import getenv"),
        ("server.py", "import torch"),
        ("settings.py", "import os\nport = os.getenv('PORT')"),
        ("newcomer/thing.py", "import json"),
        ("ui/blocks.py", "from gradio import queueing"),
        ("ui/blocks.py", "from gradio.routes import App"),
        ("ui/blocks.py", "import gradio.context"),
        ("ui/blocks.py", "from gradio.events import _setup"),
        ("ui/blocks.py", "import gradio as gr\ngr.Blocks()._queue"),
        ("ui/blocks.py", "import gradio as gr\ndef f(page):\n    return page._queue"),
        ("web/routes.py", "from aiortc import RTCPeerConnection\ngetattr(peer, '_queue')"),
    ],
)
def test_what_is_out_of_place_is_found(path: str, source: str) -> None:
    assert len(violations(f"{PACKAGE}/{path}", source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "personaplex_ui/audio/recording/recorder.py",
            "from personaplex_ui.errors import RecordingFailed\nimport os, numpy",
        ),
        (
            "personaplex_ui/audio/recording/recorder.py",
            "from . import frames\nfrom .frames import Frame\nfrom ..errors import X",
        ),
        ("personaplex_ui/engine/engine.py", "from personaplex_ui.audio.frames import Frame\nimport asyncio"),
        ("personaplex_ui/models/personaplex/model.py", "import torch\nfrom moshi.models import loaders"),
        (
            "personaplex_ui/channels/browser/session.py",
            "from personaplex_ui.engine.speech_model import Answer",
        ),
        (
            "personaplex_ui/web/routes.py",
            "from personaplex_ui import __version__\nimport torchaudio, os\nos.path",
        ),
        ("personaplex_ui/app/server.py", "from personaplex_ui.config.settings import Settings"),
        ("benchmarks.py", "import os\nfrom personaplex_ui.config.settings import Settings\nos.environ"),
        ("personaplex_ui/compat/gradio.py", "from gradio.queueing import Queue\nQueue()._x"),
        ("personaplex_ui/ui/blocks.py", "import gradio as gr\ngr.__version__\nself._x\ncls._x"),
        ("personaplex_ui/ui/blocks.py", "import os\nimport gradio\nos._exit(1)"),
        (
            "app.py",
            "import os\nfrom personaplex_ui.config import settings\nsettings.read(os.environ)",
        ),
    ],
)
def test_what_is_in_its_place_is_left_alone(path: str, source: str) -> None:
    assert violations(path, source) == []


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in sources()])
def test_a_function_fits_a_screen(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES]
    assert long == []


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "DESIGN.md"])
def test_what_a_document_names_is_there(document: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    roots = (ROOT, ROOT / PACKAGE, ROOT / PACKAGE / "models" / "personaplex")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)+(?:\.py)?)`", text))
    gone = [
        name
        for name in named
        if not any((root / f"{name}{end}").exists() for root in roots for end in ("", ".py"))
    ]
    assert named
    assert gone == []


def test_importing_the_page_writes_nothing_beside_it() -> None:
    """Gradio writes a .pyi file beside each class statement of a component."""
    importlib.import_module("personaplex_ui.ui.blocks")
    assert list((ROOT / PACKAGE).rglob("*.pyi")) == []

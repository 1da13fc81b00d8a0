"""Gradio's stubs are left alone; the last test shows what Gradio would do."""

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio
import pytest
from gradio import component_meta

from personaplex_ui.compat.gradio_stubs import MODULE, leave_stubs_alone

COMPONENT = "class Lamp(metaclass=Meta):\n    EVENTS = ['change']\n"


def define_component(folder: Path, meta: ModuleType) -> list[str]:
    """The files in ``folder`` once a component is defined there."""
    path = folder / "lamp.py"
    path.write_text(COMPONENT)
    spec = importlib.util.spec_from_file_location("lamp", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    module.Meta = meta.ComponentMeta
    sys.modules["lamp"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["lamp"]
    assert callable(module.Lamp.change)
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def as_gradio_ships_it() -> ModuleType:
    spec = PathFinder.find_spec(MODULE, gradio.__path__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_component_is_defined_and_nothing_is_written(tmp_path: Path) -> None:
    assert define_component(tmp_path, component_meta) == ["lamp.py"]


def test_only_what_is_not_imported_yet_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(sys.meta_path)
    leave_stubs_alone()
    assert sys.meta_path == before


def test_gradio_would_write_stubs_beside_each_component(tmp_path: Path) -> None:
    assert define_component(tmp_path, as_gradio_ships_it()) == ["lamp.py", "lamp.pyi"]

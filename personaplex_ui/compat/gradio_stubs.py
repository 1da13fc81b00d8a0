"""Gradio 5.50 rewrites its own type stubs when it is imported: not here.

It parses the source of each of its components, writes it anew with the events, and compares that with the
component's ``.pyi``, which its wheel brings along: two fifths of the time that its import takes. Apps that
start at once read the files which the others write. ``tests/unit/compat/test_gradio_stubs.py`` fails when
Gradio no longer does it, so this can go.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULE = "gradio.component_meta"


def leave_stubs_alone() -> None:
    """From now on; to be called before Gradio is imported."""
    if MODULE not in sys.modules and _StublessFinder not in sys.meta_path:
        sys.meta_path.insert(0, _StublessFinder)


class _StublessFinder:
    """Finds the one module as Python does, and takes its writer of stubs from it."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != MODULE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_mend(module: ModuleType) -> None:
                run(module)
                vars(module)["create_or_modify_pyi"] = _write_nothing

            spec.loader.exec_module = run_and_mend
        return spec


def _write_nothing(component_class: type, class_name: str, events: Sequence[object]) -> None:
    pass

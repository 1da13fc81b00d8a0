"""What is known of weights before they are fetched: which are here, what there is room for, and who has the
rest. Changes nothing."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from personaplex_ui.speech.weights.checking import is_whole
from personaplex_ui.speech.weights.errors import SourceFailed
from personaplex_ui.speech.weights.fetching import free_bytes, needed_bytes
from personaplex_ui.speech.weights.hub import ask_hub
from personaplex_ui.speech.weights.manifest import HubSource, Manifest, WeightFile, read_manifest
from personaplex_ui.speech.weights.registries import NAMES, Registries, find_package


@dataclass(frozen=True, slots=True)
class WeightSurvey:
    """``missing``: weights of which files are not in ``folder``; ``altered``: files that are not what they
    should be. ``needed``, ``free``: bytes that fetching them takes, and that the disk has. ``trouble``: why
    the folder cannot be used. ``reachable``, ``unreachable``: the sources of what is not here, and why; empty
    if they were not asked."""

    folder: Path
    missing: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    needed: int = 0
    free: int = 0
    trouble: str = ""
    reachable: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return not (self.missing or self.altered)


def survey_weights(
    folder: Path,
    names: Sequence[str],
    registries: Registries | None,
    manifest: Manifest | None = None,
) -> WeightSurvey:
    """Blocks: 0.3 s for 100 MB that are here, and up to 20 s where sources are asked. ``registries``: None to
    ask nobody."""
    manifest = manifest or read_manifest()
    files = [file for name in names for file in manifest.below(name)]
    try:
        lacking = [file for file in files if not is_whole(folder / file.name, file)]
        altered = [file for file in lacking if (folder / file.name).exists()]
        trouble = _write_trouble(folder) if lacking else ""
        free = 0 if trouble else free_bytes(_existing(folder))
    except OSError as error:
        return WeightSurvey(folder, tuple(names), trouble=error.strerror or "it cannot be read")
    missing = dict.fromkeys(file.name.partition("/")[0] for file in lacking if file not in altered)
    asked = _ask(lacking, manifest, registries) if registries is not None else {}
    return WeightSurvey(
        folder,
        tuple(missing),
        tuple(file.name for file in altered),
        needed_bytes(manifest, lacking) if lacking else 0,
        free,
        trouble,
        tuple(place for place, why in asked.items() if not why),
        tuple(why for why in asked.values() if why),
    )


def _existing(folder: Path) -> Path:
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)


def _write_trouble(folder: Path) -> str:
    """Why nothing can be written below the first folder of the path that exists, without leaving anything."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"0")
    except OSError as error:
        return error.strerror or "it cannot be written to"
    return ""


def _ask(files: Sequence[WeightFile], manifest: Manifest, registries: Registries) -> dict[str, str]:
    """For each place that has any of ``files``, why one of them cannot be had there; empty if it can."""
    questions: dict[str, Callable[[Path], None]] = {}
    for file in files:
        for source in file.sources:
            if isinstance(source, HubSource):
                questions.setdefault("the hub", _of_hub(source, file.bytes, registries))
                continue
            for part in source.parts:
                name = NAMES[manifest.packages[part.package].index]
                questions.setdefault(name, _of_package(part.package, manifest, registries))
    answers: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for place, ask in questions.items():
            try:
                ask(Path(scratch))
                answers[place] = ""
            except SourceFailed as failed:
                answers[place] = str(failed)
    return answers


def _of_hub(source: HubSource, size: int, registries: Registries) -> Callable[[Path], None]:
    return lambda scratch: ask_hub(source, size, registries.hub)


def _of_package(key: str, manifest: Manifest, registries: Registries) -> Callable[[Path], None]:
    return lambda scratch: find_package(manifest.packages[key], registries, scratch)

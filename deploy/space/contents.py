"""What of this repository is the Space: the files, by a list of what belongs to it, and the README."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILES = (
    "app.py",
    "requirements.txt",
    "packages.txt",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
    ".env.example",
)
FOLDERS = ("personaplex_ui", "voices", "docs")
SCREENSHOTS = "docs/screenshots"
NEVER = re.compile(r"(^|/)(__pycache__|\.[^/]*cache|\.DS_Store|\.env|recordings)(/|$)|\.pyc$|\.sqlite3$")
OWN_VOICES = re.compile(r"^voices/.*\.(pt|wav)$")
"""People's voices. In a public Space everybody could fetch them."""

FRONT_MATTER = "deploy/space/front-matter.yml"


@dataclass(frozen=True)
class Contents:
    """``paths``: relative to the repository, without the README, sorted. ``readme``: its text."""

    paths: tuple[str, ...]
    readme: str
    total_bytes: int

    def write_to(self, folder: Path, root: Path) -> None:
        """All of it, as it will be in the Space."""
        for path in self.paths:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, target)
        (folder / "README.md").write_text(self.readme, "utf-8")


def find_contents(root: Path, own_voices: bool = False, screenshots: bool = False) -> Contents:
    paths = sorted(_paths(root, own_voices, screenshots))
    readme = with_front_matter(
        (root / "README.md").read_text("utf-8"), (root / FRONT_MATTER).read_text("utf-8")
    )
    size = sum((root / path).stat().st_size for path in paths) + len(readme.encode())
    return Contents(tuple(paths), readme, size)


def _paths(root: Path, own_voices: bool, screenshots: bool) -> Iterator[str]:
    yield from FILES
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root).as_posix()
            if (
                path.is_symlink()
                or not path.is_file()
                or NEVER.search(name)
                or (OWN_VOICES.search(name) and not own_voices)
                or (name.startswith(f"{SCREENSHOTS}/") and not screenshots)
            ):
                continue
            yield name


def with_front_matter(readme: str, front_matter: str) -> str:
    """The README with this front matter in place of what it may have."""
    body = re.sub(r"\A---\n.*?^---\n", "", readme, count=1, flags=re.DOTALL | re.MULTILINE)
    return f"{front_matter.rstrip()}\n{body}"

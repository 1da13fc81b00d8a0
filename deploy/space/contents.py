"""What of this repository is the Space: the files, by a list of what belongs to it, and the README."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.space.errors import PushError

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
NEVER = re.compile(r"(^|/)(\.[^/]*|__pycache__|recordings)(/|$)|(\.pyc|\.sqlite3(-\w+)?|~)$", re.IGNORECASE)
"""Settings, caches, calls, and what editors leave behind."""

OF_DOCS = re.compile(r"\.(md|png)$")
VOICES = frozenset({"voices/README.md", "voices/catalogue.json"})
"""Of the app. All else there is people's voices; in a public Space everybody could fetch them."""

OWN_VOICE = re.compile(r"\.(pt|wav)$", re.IGNORECASE)
GIT_WITHIN_SEC = 60.0

FRONT_MATTER = "deploy/space/front-matter.yml"


@dataclass(frozen=True)
class Contents:
    """``paths``: relative to the repository, without the README, sorted. ``readme``: its text.
    ``left_out``: files of the app's folders that git does not know."""

    paths: tuple[str, ...]
    readme: str
    total_bytes: int
    left_out: tuple[str, ...] = ()

    def write_to(self, folder: Path, root: Path) -> None:
        """All of it, as it will be in the Space.

        Raises:
            OSError: a file cannot be read or written.
        """
        for path in self.paths:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, target)
        (folder / "README.md").write_text(self.readme, "utf-8")


def find_contents(root: Path, own_voices: bool = False, screenshots: bool = False) -> Contents:
    """Raises:
    PushError: a file is missing or cannot be read."""
    known = _known_to_git(root)
    found = set(_paths(root, own_voices, screenshots))
    strangers = {
        path for path in found if known is not None and path not in known and not _is_own_voice(path)
    }
    paths = sorted({*FILES, *(found - strangers)})
    try:
        front_matter = (root / FRONT_MATTER).read_text("utf-8")
        readme = with_front_matter((root / "README.md").read_text("utf-8"), front_matter)
        size = sum((root / path).stat().st_size for path in paths) + len(readme.encode())
    except OSError as error:
        raise PushError(
            f"{Path(str(error.filename)).name} is missing or cannot be read, but belongs to the Space; get "
            "the whole repository again."
        ) from error
    return Contents(tuple(paths), readme, size, tuple(sorted(strangers)))


def _paths(root: Path, own_voices: bool, screenshots: bool) -> Iterator[str]:
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root).as_posix()
            if path.is_symlink() or not path.is_file() or NEVER.search(name):
                continue
            match folder:
                case "voices":
                    belongs = name in VOICES or (own_voices and _is_own_voice(name))
                case "docs":
                    belongs = OF_DOCS.search(name) is not None
                    belongs = belongs and (screenshots or not name.startswith(f"{SCREENSHOTS}/"))
                case _:
                    belongs = True
            if belongs:
                yield name


def _is_own_voice(name: str) -> bool:
    return name.startswith("voices/") and OWN_VOICE.search(name) is not None


def _known_to_git(root: Path) -> frozenset[str] | None:
    """What git keeps of the app's folders; None where there is no checkout, or no git.

    Raises:
        PushError: git does not tell.
    """
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    # In a hook, git's own variables name another place.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = [git, "-C", str(root), "ls-files", "-z", "--", *FOLDERS]
    try:
        ran = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=GIT_WITHIN_SEC
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PushError(f"git does not tell which files are the app's: {error}. Try 'git status'.") from error
    if ran.returncode:
        said = " ".join(ran.stderr.decode(errors="replace").split())[:200]
        raise PushError(f"git does not tell which files are the app's. Try 'git status'; it says: {said}")
    return frozenset(os.fsdecode(ran.stdout).split("\0"))


def with_front_matter(readme: str, front_matter: str) -> str:
    """The README with this front matter in place of what it may have."""
    body = re.sub(r"\A---\n.*?^---\n", "", readme, count=1, flags=re.DOTALL | re.MULTILINE)
    return f"{front_matter.rstrip()}\n{body}"

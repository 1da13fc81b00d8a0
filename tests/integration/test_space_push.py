"""``deploy/space/push.py`` against a small hub on loopback: the hub's real client goes over the wire."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from deploy.space.command import main
from deploy.space.contents import find_contents, with_front_matter
from deploy.space.prices import PRICES
from deploy.space.settings import OF_THIS_MACHINE, PRIVATE, SECRETS, VARIABLES
from personaplex_ui.config.settings import Settings
from tests.support.space_hub import Space, SpaceHub, serving

ROOT = Path(__file__).parents[2]
VALUES = {
    "HF_TOKEN": "hf_ReadingSecret",
    "APP_PASSWORD": "a long PassSecret",
    "API_KEY": "key-OperatorSecret",
    "TWILIO_AUTH_TOKEN": "twilio-TokenSecret",
}
OF_PEOPLE = {
    "HUMAN_NUMBER": "+15557654321",
    "LLM_BASE_URL": "http://llm.intern.example.org/v1",
    "PHONE_PERSONAS": '{"+15551234567": {"voice": "NATM1"}}',
    "TURN_USERNAME": "ann",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_PHONE_NUMBER": "+15551234567",
}
NAME = "ann/personaplex"

Told = tuple[int, str, str]
"""Exit status, output, complaints."""

Push = Callable[..., Told]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository of the same kind."""
    folder = tmp_path / "repository"
    for path in (
        "personaplex_ui/ui/static",
        "personaplex_ui/__pycache__",
        "voices",
        "docs/screenshots",
        "deploy/space",
    ):
        (folder / path).mkdir(parents=True)
    for path in (
        "app.py",
        "requirements.txt",
        "packages.txt",
        "LICENSE",
        "CHANGELOG.md",
        "SECURITY.md",
        ".env.example",
    ):
        (folder / path).write_text(f"{path}\n")
    files = {
        "personaplex_ui/cli.py": b"serve = None\n",
        "personaplex_ui/empty.py": b"",
        "personaplex_ui/ui/static/share.png": b"\x89PNG\0\0\1",
        "personaplex_ui/__pycache__/cli.pyc": b"\0",
        "voices/catalogue.json": b"{}",
        "voices/mine.wav": b"RIFF\0",
        "docs/DESIGN.md": b"# Design\n",
        "docs/screenshots/page.png": b"\x89PNG\0\2",
        "README.md": b"---\ntitle: old\n---\n# The app\n",
        "deploy/space/front-matter.yml": b"---\ntitle: new\nsdk: gradio\n---\n",
        ".env": b"HF_TOKEN=hf_ReadingSecret\nPORT=8000\nMAX_CALLS=2\n",
    }
    for path, content in files.items():
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SpaceHub]:
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # whose protocol is not played here
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    with serving(SpaceHub()) as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        yield served


@pytest.fixture
def push(hub: SpaceHub, root: Path, capsys: pytest.CaptureFixture[str]) -> Push:
    def run(*options: str, **variables: str) -> Told:
        environment = {"HF_PUSH_TOKEN": hub.token, **variables}
        status = main(options or ("personaplex",), environment, sleep=lambda sec: None, root=root)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_a_space_is_made_filled_and_waited_for(hub: SpaceHub, push: Push) -> None:
    hub.stages = ["BUILDING", "BUILDING", "APP_STARTING", "RUNNING"]
    hub.healths = [
        (503, {"status": "loading", "message": "Fetching the weights.", "progress": 0.4}),
        (200, {}),
    ]
    status, said, complained = push("--sleep-minutes", "30", "--private", "personaplex", **VALUES)
    assert (status, complained) == (0, "")
    space = hub.spaces[NAME]
    assert (space.hardware, space.sleep_sec, space.private, space.sdk) == ("l4x1", 1800, True, "gradio")
    assert space.secrets == VALUES
    assert space.variables == {"MAX_CALLS": "2"}, "PORT is this machine's"
    assert set(space.files) == {
        *(".gitattributes", "README.md", "app.py", "requirements.txt", "packages.txt", "LICENSE"),
        *("CHANGELOG.md", "SECURITY.md", ".env.example", "voices/catalogue.json", "docs/DESIGN.md"),
        *("personaplex_ui/cli.py", "personaplex_ui/empty.py", "personaplex_ui/ui/static/share.png"),
    }
    assert space.files["README.md"] == b"---\ntitle: new\nsdk: gradio\n---\n# The app\n"
    assert space.files["personaplex_ui/ui/static/share.png"] == b"\x89PNG\0\0\1", (
        "by way of the large file storage"
    )
    waiting = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    assert waiting == ["the Space is being built", "the app starts", "loading: Fetching the weights. (40%)"]
    assert "https://huggingface.co/spaces/ann/personaplex" in said
    assert "0.80 USD an hour" in said
    assert hub.keys[-1] == f"Bearer {hub.token}", "a private Space opens to nobody else"


def test_an_unchanged_push_changes_nothing(hub: SpaceHub, push: Push) -> None:
    push(**VALUES)
    before, commits = len(hub.changes()), list(hub.spaces[NAME].commits)
    status, said, _ = push("--hardware", "l4x1", "personaplex", **VALUES)
    assert status == 0
    assert hub.changes()[before:] == []
    assert hub.spaces[NAME].commits == commits
    assert "Files: are there" in said


def test_a_changed_repository_is_one_commit_that_also_removes(hub: SpaceHub, push: Push, root: Path) -> None:
    push(**VALUES)
    (root / "personaplex_ui/empty.py").unlink()
    (root / "personaplex_ui/new.py").write_text("new = True\n")
    (root / "personaplex_ui/cli.py").write_text("serve = 1\n")
    commits = len(hub.spaces[NAME].commits)
    assert push(**VALUES)[0] == 0
    space = hub.spaces[NAME]
    assert len(space.commits) == commits + 1
    assert "personaplex_ui/empty.py" not in space.files
    assert space.files["personaplex_ui/new.py"] == b"new = True\n"
    assert ".gitattributes" in space.files


def test_settings_of_a_space_that_is_there_are_changed(hub: SpaceHub, push: Push) -> None:
    push(**VALUES)
    options = (
        "--hardware",
        "a10g-small",
        "--sleep-minutes",
        "60",
        "--storage",
        "small",
        "--renew-secrets",
        "personaplex",
    )
    assert push(*options, **{**VALUES, "API_KEY": "another key", "MAX_CALLS": "3"})[0] == 0
    space = hub.spaces[NAME]
    assert (space.hardware, space.sleep_sec, space.storage) == ("a10g-small", 3600, "small")
    assert space.secrets["API_KEY"] == "another key"
    stored = {"HF_HOME": "/data/.huggingface", "RECORDINGS_DIR": "/data/recordings"}
    assert space.variables == {"MAX_CALLS": "3", **stored}
    assert push("--sleep-minutes", "90", "personaplex", **VALUES)[0] == 0
    assert (space.hardware, space.sleep_sec) == ("a10g-small", 5400), "the hardware stays as it is"


def test_a_secret_that_is_there_is_given_again_only_if_asked_to(hub: SpaceHub, push: Push) -> None:
    push(**VALUES)
    push(**{**VALUES, "API_KEY": "another key"})
    assert hub.spaces[NAME].secrets == VALUES
    hub.knows_secrets = False  # then all are given
    push(**{**VALUES, "API_KEY": "another key"})
    assert hub.spaces[NAME].secrets["API_KEY"] == "another key"


def test_voices_and_pictures_go_where_they_are_wanted(hub: SpaceHub, push: Push) -> None:
    push("--with-voices", "--with-screenshots", "personaplex", **VALUES)
    assert {"voices/mine.wav", "docs/screenshots/page.png"} <= set(hub.spaces[NAME].files)


def test_a_space_of_an_organisation(hub: SpaceHub, push: Push) -> None:
    assert push("house/talk", **VALUES)[0] == 0
    assert "house/talk" in hub.spaces
    status, _, complained = push("strangers/talk", **VALUES)
    assert (status, set(hub.spaces)) == (1, {"house/talk"})
    assert "who is not in strangers" in complained


STRAY = (
    *("voices/mine.WAV", "voices/me.Pt", "voices/boss.mp3", "voices/interview.flac", "voices/secret.m4a"),
    *("personaplex_ui/.env.production", "docs/.env.local", "personaplex_ui/.cli.py.swp", ".env.old"),
    *("docs/calls.sqlite3-wal", "docs/calls.SQLITE3", "docs/notes of clients.txt", "personaplex_ui/cli.py~"),
    *("voices/.catalogue.json.swp", "personaplex_ui/.idea/workspace.xml", "personaplex_ui/recordings/1.wav"),
)


def test_what_lies_about_stays_here(root: Path) -> None:
    before = find_contents(root).paths
    for path in STRAY:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(b"private")
    assert find_contents(root).paths == before
    with_voices = {*find_contents(root, own_voices=True).paths} - {*before}
    assert with_voices == {"voices/mine.wav", "voices/mine.WAV", "voices/me.Pt"}, "which the app can use"


def test_of_a_checkout_only_what_git_keeps_is_pushed(hub: SpaceHub, push: Push, root: Path) -> None:
    for command in (("init", "-q"), ("add", "personaplex_ui", "voices/catalogue.json", "docs")):
        subprocess.run(["git", "-C", root, *command], check=True)
    (root / "personaplex_ui/clients.py").write_text("ann = '+15551234567'\n")
    (root / "docs/CLIENTS.md").write_text("Ann\n")
    status, said, _ = push("--with-voices", "personaplex", **VALUES)
    assert status == 0
    for path in ("personaplex_ui/clients.py", "docs/CLIENTS.md"):
        assert path not in hub.spaces[NAME].files
        assert f"File {path}: stays here, since it is not in git" in said
    assert {"personaplex_ui/cli.py", "docs/DESIGN.md", "voices/mine.wav"} <= set(hub.spaces[NAME].files)
    assert "Not in git: docs/CLIENTS.md" in push("--dry-run", "personaplex", **VALUES)[1]
    (root / ".git/config").write_text("[broken")
    status, _, complained = push(**VALUES)
    assert (status, complained.count("\n")) == (1, 1)
    assert "git does not tell which files are the app's" in complained


def test_what_is_peoples_own_is_a_secret(hub: SpaceHub, push: Push) -> None:
    push(**VALUES)
    space = hub.spaces[NAME]
    space.variables |= {"HUMAN_NUMBER": OF_PEOPLE["HUMAN_NUMBER"], "TURN_URLS": "turn:example.org"}
    status, said, complained = push(**VALUES, **OF_PEOPLE, LLM_MODEL="large")
    assert (status, complained) == (0, "")
    assert space.variables == {"MAX_CALLS": "2", "LLM_MODEL": "large", "TURN_URLS": "turn:example.org"}
    assert space.secrets == VALUES | OF_PEOPLE
    assert "Variable HUMAN_NUMBER: removed, since it will be a secret" in said
    assert "Variable TURN_URLS: is public; set TURN_URLS and run this again" in said
    assert f"Space {NAME}: is there" in said, "the name of its user is hidden nowhere"
    lines = push("--dry-run", "personaplex", **VALUES, **OF_PEOPLE, LLM_MODEL="large")[1].splitlines()
    assert {f"Secret:     {name} = ***" for name in OF_PEOPLE} <= {*lines}


def test_line_ends_around_tokens_are_no_part_of_them(hub: SpaceHub, push: Push) -> None:
    ends = {name: f"{value}\r\n" for name, value in VALUES.items()}
    assert push(**ends, HF_PUSH_TOKEN=f"{hub.token}\r")[0] == 0
    assert hub.spaces[NAME].secrets == VALUES
    hub.token = VALUES["HF_TOKEN"]
    assert push(HF_PUSH_TOKEN="", HF_TOKEN=f"{hub.token}\n")[0] == 0


def test_a_sleeping_space_is_woken(hub: SpaceHub, push: Push) -> None:
    push(**VALUES)
    hub.stages = ["PAUSED"]
    assert push(**VALUES)[0] == 0
    assert ("POST", "/api/spaces/ann/personaplex/restart") in hub.requests


# Secrets --------------------------------------------------------------------------------------------


def test_no_secret_is_printed(hub: SpaceHub, push: Push) -> None:
    told = [
        push(**VALUES),
        push("--dry-run", "personaplex", **VALUES),
        push("--renew-secrets", "personaplex", **VALUES),
    ]
    hub.refuse = lambda method, path: (
        (400, f"bad value {VALUES['API_KEY']}") if path.endswith("/secrets") else None
    )
    told.append(push(**VALUES))
    assert "***" in told[-1][2]
    for value in (*VALUES.values(), hub.token):
        assert not any(value in text for _, *texts in told for text in texts)


def test_a_dry_run_asks_nobody_and_tells_all(hub: SpaceHub, push: Push) -> None:
    options = ("--dry-run", "--list-files", "--hardware", "t4-small", "--storage", "small")
    status, said, _ = push(*options, NAME, **VALUES)
    assert (status, hub.requests) == (0, [])
    assert "Missing:" not in said
    assert "is not known" not in said
    lines = said.splitlines()
    assert [line for line in lines if line.startswith("Secret:")] == [
        f"Secret:     {name} = ***" for name in VALUES
    ]
    assert "Variable:   MAX_CALLS = 2, which the hub shows and copies into duplicates" in lines
    assert "File:       personaplex_ui/cli.py" in lines
    assert not any(word in said for word in ("mine.wav", ".pyc", "screenshots", "File:       .env\n"))


def test_a_dry_run_tells_what_is_missing_and_counts_files(push: Push, root: Path) -> None:
    (root / ".env").unlink()
    status, said, _ = push("--dry-run", "--hardware", "zz", NAME)
    assert status == 0
    lines = said.splitlines()
    assert "Missing:    the secret HF_TOKEN, which fetches the weights and opens the relay" in said
    assert any("zz is not known here" in line and "l4x1" in line for line in lines)
    assert "File:       personaplex_ui/ with 3 files" in lines
    assert "File:       app.py" in lines
    last_file = max(at for at, line in enumerate(lines) if line.startswith("File:"))
    assert last_file < min(at for at, line in enumerate(lines) if line.startswith(("Hardware:", "Missing:")))


# Failures -------------------------------------------------------------------------------------------


def test_after_a_failure_at_each_step_the_next_run_goes_on(hub: SpaceHub, push: Push) -> None:
    """Each different request is refused once."""
    refused: set[tuple[str, str]] = set()
    steps: list[str] = []

    def once(method: str, path: str) -> tuple[int, str] | None:
        path = re.sub(r"/storage/\w+", "/storage", path)
        if (method, path) in refused or path == "/health":
            return None
        refused.add((method, path))
        return 403, "You do not have the rights"

    hub.refuse = once
    options = ("--storage", "small", "--sleep-minutes", "30", "personaplex")
    for _ in range(40):
        status, _, complained = push(*options, **VALUES)
        if status == 0:
            break
        stopped = re.fullmatch(
            r"Stopped while (.+?): (.+) Run it again; what is there already stays\.\n", complained
        )
        assert stopped, complained
        assert "make one of the type Write" in stopped[2]
        steps.append(stopped[1])
    else:
        pytest.fail("it never came to an end")
    assert len(steps) > 10
    whole = {"looking whose token it is", "looking for the Space", "making the Space", "uploading the files"}
    assert whole | {"setting the secret HF_TOKEN", "setting the variable MAX_CALLS"} <= set(steps)
    space = hub.spaces[NAME]
    assert space.secrets == VALUES
    assert (space.hardware, space.storage, space.sleep_sec) == ("l4x1", "small", 1800)
    assert len(space.commits) == 2, "the hub's, and ours"


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        (401, "Invalid credentials", "make one with the right to write"),
        (402, "Payment required", "means of payment"),
        (403, "You must add a payment method to your account", "means of payment"),
        (403, "You don't have the rights to create a space", "may not write to ann/personaplex"),
        (409, "You already created this space repo", "is taken"),
        (429, "Too many requests", "wait some minutes"),
        (507, "Private repository storage limit reached", "storage is full"),
        (503, "Service unavailable", "the hub has trouble"),
    ],
)
def test_each_refusal_has_its_advice(hub: SpaceHub, push: Push, status: int, words: str, advice: str) -> None:
    hub.refuse = lambda method, path: (status, words) if path == "/api/repos/create" else None
    code, _, complained = push(**VALUES)
    assert (code, complained.count("\n")) == (1, 1)
    assert complained.startswith("Stopped while making the Space: ")
    assert advice in complained
    assert words in complained


def test_without_a_network(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    status, _, complained = push(**VALUES)
    assert status == 1
    assert "was not reached; check the network" in complained


def test_without_a_token_or_with_one_that_may_not(hub: SpaceHub, push: Push, root: Path) -> None:
    (root / ".env").unlink()
    assert "There is no token." in push(HF_PUSH_TOKEN="")[2]
    assert "the token is not valid" in push(HF_PUSH_TOKEN="hf_OldSecret")[2]
    hub.role = "read"
    assert "The token may only read." in push(**VALUES)[2]
    hub.role, hub.can_pay = "write", False
    assert "no means of payment" in push("--hardware", "l4x1", "personaplex", **VALUES)[2]
    assert hub.spaces == {}
    assert push("--hardware", "cpu-basic", "personaplex", **VALUES)[0] == 0


def test_the_token_of_the_space_does_where_there_is_no_other(hub: SpaceHub, push: Push) -> None:
    hub.token = VALUES["HF_TOKEN"]
    assert push(HF_PUSH_TOKEN="")[0] == 0, "from .env"


def test_another_space_of_that_name_is_left_alone(hub: SpaceHub, push: Push) -> None:
    readme = {"README.md": b"# What I am going to write\n"}
    for other in (
        Space(files={"app.py": b"", "cats.jpg": b""}, sdk="static"),
        Space(files={**readme}, commits=["My plans", "initial commit"]),
        Space(files={**readme}, commits=["initial commit"], sdk="docker"),
    ):
        hub.spaces[NAME] = other
        files, before = dict(other.files), len(hub.changes())
        for options, words in (
            ((), "is taken by another Space"),
            (("--delete", "--yes", "personaplex"), "does not hold this app"),
        ):
            status, _, complained = push(*options, **VALUES)
            assert status == 1
            assert words in complained
        assert (other.files, hub.changes()[before:]) == (files, [])
        assert hub.spaces[NAME] is other


@pytest.mark.parametrize(
    ("stage", "said", "words"),
    [
        ("BUILD_ERROR", "No matching distribution", "?logs=build. The hub says: No matching distribution"),
        ("RUNTIME_ERROR", "", "?logs=container"),
        ("CONFIG_ERROR", "", "(config error)"),
    ],
)
def test_a_space_that_does_not_run_is_told_with_its_log(
    hub: SpaceHub, push: Push, stage: str, said: str, words: str
) -> None:
    push(**VALUES)
    hub.spaces[NAME].error = said
    hub.stages = ["BUILDING", stage]
    status, _, complained = push(**VALUES)
    assert status == 1
    assert words in complained


def test_a_model_that_failed_and_one_that_takes_too_long_are_told(hub: SpaceHub, push: Push) -> None:
    hub.healths = [(503, {"status": "failed", "message": "The licence was not accepted."})]
    assert "but says: The licence was not accepted." in push(**VALUES)[2]
    hub.healths = [(503, {"status": "loading", "message": "Loading.", "progress": 0.5})]
    asked = len(hub.keys)
    status, _, complained = push("--wait-minutes", "2", "personaplex", **VALUES)
    assert status == 1
    assert "not ready within 2 minutes (loading: Loading. (50%))" in complained
    assert len(hub.keys) - asked == 12
    assert hub.keys[-1] == f"Bearer {VALUES['API_KEY']}", "a closed server tells more to its key"


@pytest.mark.parametrize(
    ("options", "variables", "words"),
    [
        (("ann/my space",), {}, "cannot be the name of a Space"),
        (("--hardware", "cpu-basic", "--sleep-minutes", "5"), {}, "leave --sleep-minutes out"),
        ((), {"MAX_CALLS": "many"}, "MAX_CALLS"),
        ((), {"HF_REPO": "/srv/weights"}, "HF_REPO names a folder"),
        ((), {"PHONE_PERSONAS": "nowhere.json"}, "PHONE_PERSONAS"),
        ((), {"LLM_API_KEY": "one\ntwo"}, "LLM_API_KEY has several lines"),
    ],
)
def test_an_unusable_wish_is_named_before_anybody_is_asked(
    hub: SpaceHub, push: Push, options: tuple[str, ...], variables: dict[str, str], words: str
) -> None:
    status, _, complained = push(*options, **VALUES, **variables)
    assert (status, hub.requests) == (1, [])
    assert words in complained


def test_a_missing_file_and_a_full_disk_are_told(
    hub: SpaceHub, push: Push, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(shutil, "copyfile", is_full)
    status, _, complained = push(**VALUES)
    assert status == 1
    assert "Stopped while copying the files: No space left on device. It needs 0 MB" in complained
    for name in ("requirements.txt", "README.md"):
        (root / name).rename(root / "away")
        assert f"{name} is missing or cannot be read" in push(**VALUES)[2]
        (root / "away").rename(root / name)


# Removing it ----------------------------------------------------------------------------------------


def test_deleting_asks_first(hub: SpaceHub, push: Push, root: Path) -> None:
    push(**VALUES)
    status, _, complained = push("--delete", "personaplex")
    assert (status, set(hub.spaces)) == (1, {NAME})
    assert "give --yes" in complained
    before = len(hub.requests)
    status, said, _ = push("--delete", "--dry-run", "personaplex")
    assert (status, len(hub.requests)) == (0, before)
    assert (said.count("\n"), said.startswith("Delete:     personaplex, ")) == (1, True)
    (root / "requirements.txt").unlink()  # which does not matter any more
    assert push("--delete", "--yes", "personaplex")[0] == 0
    assert hub.spaces == {}
    assert "is not there" in push("--delete", "--yes", "personaplex")[1]


# What belongs together ------------------------------------------------------------------------------


def test_every_setting_of_the_app_is_passed_on_or_left_out_for_a_reason() -> None:
    secret = {
        name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
    }
    assert set(SECRETS) == secret
    ours = {name.upper() for name in Settings.model_fields}
    assert {*SECRETS, *PRIVATE, *VARIABLES} == ours - OF_THIS_MACHINE
    assert not {*SECRETS, *PRIVATE} & {*VARIABLES}
    asking = re.compile(r"NUMBER$|_SID$|USERNAME|_URLS?$|PERSONAS$|PROMPT$")
    shown = {name for name in VARIABLES if asking.search(name)}
    assert shown == {"DEFAULT_VOICE_PROMPT"}, "of these, only the name of a voice is nobody's own"
    assert ours >= OF_THIS_MACHINE


def test_this_repository_is_a_space_with_all_that_it_needs() -> None:
    contents = find_contents(ROOT)
    matter = yaml.safe_load(contents.readme.split("---\n")[1])
    assert {matter["app_file"], "requirements.txt", "packages.txt", "personaplex_ui/cli.py"} <= {
        *contents.paths
    }
    not_there = (".env", "tests/", "recordings", ".git/", "__pycache__", "docs/screenshots", "deploy/")
    assert not [path for path in contents.paths if path == ".env" or path.startswith(not_there[1:])]
    assert contents.total_bytes < 10_000_000
    tracked = subprocess.run(["git", "ls-files", "personaplex_ui"], cwd=ROOT, capture_output=True, text=True)
    assert {path for path in contents.paths if path.startswith("personaplex_ui/")} >= {
        *tracked.stdout.split()
    }


def test_the_front_matter_takes_the_place_of_another_or_of_none() -> None:
    assert with_front_matter("# App\n---\n", "---\na: 1\n---\n") == "---\na: 1\n---\n# App\n---\n"
    assert with_front_matter("---\nb: 2\n---\n# App\n", "---\na: 1\n---\n\n") == "---\na: 1\n---\n# App\n"


def test_the_prices_are_those_of_the_page() -> None:
    page = (ROOT / "deploy" / "space" / "README.md").read_text()
    for hardware in ("l4x1", "a10g-small", "cpu-upgrade"):
        assert f"| `{hardware}` | {PRICES[hardware]:.2f} |" in page


def test_the_script_starts_from_anywhere(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ENV_FILE": os.devnull}
    command = [sys.executable, str(ROOT / "deploy" / "space" / "push.py"), "--dry-run", "ann/talk"]
    ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(r"^File:       personaplex_ui/ with \d+ files$", ran.stdout, re.MULTILINE)

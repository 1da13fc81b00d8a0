"""Compose and the platforms' files, as far as they can be checked without a cloud; what is told of them."""

import re
import runpy
import sys
import tomllib
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from deploy.space.settings import PUSH_TOKEN
from personaplex_ui.app import bootstrap
from personaplex_ui.config.settings import BrowserCalls, LogFormat, LogLevel, Settings
from personaplex_ui.logs import formats as logs
from personaplex_ui.models.personaplex.hub import download
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable, Report

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DOCUMENTS = [ROOT / "docs" / "DEPLOYMENT.md", *sorted((ROOT / "deploy").rglob("README.md"))]
LIBRARIES_READ = {
    *("HF_HOME", "GRADIO_TEMP_DIR", "NUMBA_CACHE_DIR", "NO_TORCH_COMPILE", "PYTHONUNBUFFERED", "HOME"),
    "TRITON_CACHE_DIR",
    *(
        "HF_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "HF_HUB_ENABLE_HF_TRANSFER",
        "HF_HUB_DOWNLOAD_TIMEOUT",
        "HF_ENDPOINT",
    ),
}
"""Variables that are not ours."""


class RecordedReads(dict[str, str]):
    """An empty environment that remembers what was looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None, /) -> Any:
        self.names.add(key)
        return default


def image_environment() -> dict[str, str]:
    return dict(re.findall(r"^(?:ENV|   ) ([A-Z_]+)=(\S+)", DOCKERFILE, re.MULTILINE))


def variables_of_ours() -> set[str]:
    reads = RecordedReads()
    Settings.from_mapping(reads)
    return reads.names


# Compose ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


SERVICES = ("app", "without-gpu")


@pytest.mark.parametrize("name", SERVICES)
def test_compose_keeps_what_the_image_keeps_under_data(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    places = {volume.split(":")[1]: volume.split(":")[0] for volume in service["volumes"]}
    image = {name: value for name, value in image_environment().items() if value.startswith("/data/")}
    assert image.items() <= service["environment"].items(), "or a .env would change them"
    assert set(places) == set(image.values())
    for source in places.values():
        assert (ROOT / source).is_dir() if source.startswith("./") else source in compose["volumes"]


def test_compose_takes_a_gpu_only_where_one_is_meant(compose: dict[str, Any]) -> None:
    with_gpu, without = (compose["services"][name] for name in SERVICES)
    (device,) = with_gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "deploy" not in without
    assert "profiles" not in with_gpu, "it would not start by itself"
    assert without["profiles"] == ["without-gpu"], "it would start beside the other"


COMPILER = {"gcc", "libc6-dev"}
"""Debian's packages with which Triton builds kernels, besides the headers of Python's own images."""


def test_the_image_and_the_platforms_have_what_builds_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = re.search(r"apt-get install \S+ \S+ ([^\\&]+)", DOCKERFILE)
    assert installed
    assert set(installed[1].split()) >= COMPILER
    assert image_environment()["TRITON_CACHE_DIR"].startswith("/tmp/"), "or user 1000 cannot write there"
    assert [set(args) for name, args, _ in ModalScript(monkeypatch).image.steps if name == "apt_install"] == [
        COMPILER
    ]
    assert set((ROOT / "packages.txt").read_text().split()) >= COMPILER, "which a Space installs"


# A Space ---------------------------------------------------------------------------------------------


def front_matter_of(text: str) -> dict[str, Any] | None:
    found = re.match(r"---\n(.*?)^---$", text, re.DOTALL | re.MULTILINE)
    return yaml.safe_load(found[1]) if found else None


def test_a_space_gets_what_is_pinned_here() -> None:
    matter = front_matter_of((ROOT / "deploy" / "space" / "front-matter.yml").read_text())
    assert matter
    pinned = re.search(r"^gradio==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    assert (matter["sdk"], matter["sdk_version"]) == ("gradio", pinned[1])
    assert isinstance(matter["python_version"], str), "3.10 would be read as 3.1"
    assert f"\nFROM python:{matter['python_version']}-" in DOCKERFILE
    assert (ROOT / matter["app_file"]).is_file()
    assert matter["suggested_hardware"] == "l4x1"
    assert matter["models"] == [Settings.from_mapping({}).hf_repo]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert matter["license"] == project["license"].lower()
    assert len(matter["short_description"]) <= 60


def test_the_readme_carries_the_same_front_matter() -> None:
    carried = front_matter_of((ROOT / "README.md").read_text())
    assert carried is not None
    assert carried == front_matter_of((ROOT / "deploy" / "space" / "front-matter.yml").read_text())


# Modal -----------------------------------------------------------------------------------------------


class RecordedImage:
    """``modal.Image``: remembers the steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def step(*args: Any, **options: Any) -> "RecordedImage":
            self.steps.append((name, args, options))
            return self

        return step


class ModalScript:
    """``deploy/modal/app.py``, run with a stand-in for the package ``modal``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        self.image = RecordedImage()
        self.committed = 0
        self._options: list[dict[str, Any]] = []
        modal: Any = SimpleNamespace(
            Image=self.image,
            App=self._named,
            Volume=SimpleNamespace(from_name=self._named),
            Secret=SimpleNamespace(from_name=self._named),
            concurrent=self._decorator,
            asgi_app=self._decorator,
        )
        monkeypatch.setitem(sys.modules, "modal", modal)
        self.defined = runpy.run_path(str(ROOT / "deploy" / "modal" / "app.py"))
        # A decorator is made before what it decorates: serve with its two, then download.
        function, concurrent, _, self.download = self._options
        self.serve = function | concurrent
        for name in variables:
            monkeypatch.delenv(name)

    @property
    def environment(self) -> dict[str, str]:
        (environment,) = (args[0] for name, args, _ in self.image.steps if name == "env")
        return environment

    def names(self) -> dict[str, Any]:
        """What is looked up at Modal, and with how many objects a function depends on."""
        volume, secrets = self.defined["volume"], self.defined["secrets"]
        return {
            "app": self.defined["app"].name,
            "volume": volume.name,
            "secrets": [secret.name for secret in secrets],
            "options": {
                name: value for name, value in self.serve.items() if name not in ("volumes", "secrets")
            },
        }

    def _commit(self) -> None:
        self.committed += 1

    def _named(self, name: str, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(name=name, function=self._decorator, commit=self._commit, **options)

    def _decorator(self, **options: Any) -> Any:
        self._options.append(options)

        def unchanged(decorated: Any) -> Any:
            return decorated

        return unchanged


MODAL_GIVES_SEC = 30
"""To the end of a lifespan: https://modal.com/docs/guide/lifecycle-functions"""

GOODBYES_SEC = 8
"""After so long a process that is told to stop is ended by itself."""


def modal_variables() -> set[str]:
    """What ``deploy/modal/app.py`` reads when it is deployed."""
    return set(
        re.findall(
            r'^    "([A-Z_]+)": ".*",', (ROOT / "deploy" / "modal" / "app.py").read_text(), re.MULTILINE
        )
    )


def script_variables() -> set[str]:
    """What ``deploy/cloudrun/setup.sh`` and ``deploy/space/push.py`` read besides the app's own."""
    settings = (ROOT / "deploy" / "cloudrun" / "parts" / "settings.sh").read_text()
    found = re.search(r'^OF_THE_SCRIPT="([A-Z_ ]+)"$', settings, re.MULTILINE)
    assert found
    return {*found[1].split(), PUSH_TOKEN}


def test_modal_gets_the_app_and_all_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    script = ModalScript(monkeypatch)
    environment = script.environment
    assert environment.keys() <= variables_of_ours() | LIBRARIES_READ | modal_variables()
    folders = {args[0]: args[1] for name, args, _ in script.image.steps if name == "add_local_dir"}
    assert folders == {source: f"/root/{source}" for source in ("voices", "personaplex_ui")}
    assert [args for name, args, _ in script.image.steps if name == "pip_install_from_requirements"] == [
        ("requirements.txt",)
    ]
    options = script.serve
    assert (options["gpu"], options["max_containers"], options["min_containers"]) == ("L4", 1, 0)
    assert options["timeout"] > Settings.from_mapping({}).max_call_seconds, (
        "a call over the websocket is one request"
    )
    assert options["region"] is None
    (mounted,) = options["volumes"]
    assert all(environment[name].startswith(f"{mounted}/") for name in ("HF_HOME", "RECORDINGS_DIR"))
    assert script.download["volumes"] == options["volumes"]
    assert "gpu" not in script.download
    assert int(environment["DRAIN_SECONDS"]) + GOODBYES_SEC < MODAL_GIVES_SEC


MODAL_GIVEN = {
    "MODAL_APP": "talk",
    "MODAL_SECRET": "weights, telephone",
    "MODAL_VOLUME": "talk-data",
    "MODAL_GPU": "A10",
    "MODAL_REGIONS": "eu-west,eu-north",
    "MIN_CONTAINERS": "1",
    "SLEEP_MINUTES": "5",
}


def test_modal_takes_names_and_sizes_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert modal_variables() == MODAL_GIVEN.keys()
    script = ModalScript(monkeypatch, **MODAL_GIVEN)
    named = script.names()
    assert (named["app"], named["volume"], named["secrets"]) == (
        "talk",
        "talk-data",
        ["weights", "telephone"],
    )
    options = named["options"]
    assert (options["gpu"], options["region"]) == ("A10", ["eu-west", "eu-north"])
    assert (options["min_containers"], options["scaledown_window"]) == (1, 300)

    in_container = ModalScript(monkeypatch, **script.environment)
    assert in_container.names() == named, "Modal refuses a container that comes to something else"


@pytest.mark.parametrize(
    ("name", "value"), [("MIN_CONTAINERS", "2"), ("SLEEP_MINUTES", "21"), ("SLEEP_MINUTES", "soon")]
)
def test_modal_is_not_asked_for_what_cannot_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SystemExit, match=name):
        ModalScript(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("given", "way"),
    [
        ({}, BrowserCalls.WEBSOCKET),
        (
            {"TURN_URLS": "turn:turn.example.org", "TURN_USERNAME": "ann", "TURN_CREDENTIAL": "x"},
            BrowserCalls.WEBRTC,
        ),
    ],
)
def test_on_modal_the_app_is_built_with_its_settings_and_log(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], way: BrowserCalls
) -> None:
    script = ModalScript(monkeypatch)
    served: list[Settings] = []
    logged: list[tuple[str, bool]] = []

    def build_app(settings: Settings) -> str:
        served.append(settings)
        return "the app"

    def configure_logging(level: str, json_lines: bool) -> None:
        assert served == [], "what the building logs would look otherwise"
        logged.append((level, json_lines))

    monkeypatch.setattr(bootstrap, "build_app", build_app)
    monkeypatch.setattr(logs, "configure_logging", configure_logging)
    variables = {"MAX_CALLS": "3", "LOG_LEVEL": LogLevel.DEBUG.value, "LOG_FORMAT": LogFormat.JSON.value}
    for name, value in {**variables, **given}.items():
        monkeypatch.setenv(name, value)
    assert script.defined["serve"]() == "the app"
    assert [(settings.max_calls, settings.browser_calls) for settings in served] == [(3, way)]
    assert logged == [("debug", True)]


@pytest.mark.parametrize("fails", [False, True])
def test_on_modal_the_weights_are_kept_in_the_volume(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fails: bool
) -> None:
    script = ModalScript(monkeypatch)

    def find_checkpoint(repo: str, revision: str | None, hub: download.Hub, report: Report) -> None:
        assert (repo, revision, hub.token) == ("nvidia/personaplex-7b-v1", "main", "hf_ReadingSecret")
        report("Downloading the weights.", 0.25)
        if fails:
            raise CheckpointUnusable("The token was refused.")

    monkeypatch.setattr(download, "find_checkpoint", find_checkpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_ReadingSecret")
    monkeypatch.setenv("HF_REVISION", "main")
    with pytest.raises(CheckpointUnusable) if fails else nullcontext():
        script.defined["download"]()
    assert script.committed == 1, "a download that broke off is resumed"
    said = capsys.readouterr().out
    assert " 25% Downloading the weights." in said
    assert "hf_ReadingSecret" not in said


# What is written about it ----------------------------------------------------------------------------


def test_the_example_of_an_env_file_names_what_is_read() -> None:
    named = re.findall(r"^# ([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(named) == sorted({*variables_of_ours(), "NO_TORCH_COMPILE", "ENV_FILE"})


def test_the_files_set_only_variables_that_somebody_reads(compose: dict[str, Any]) -> None:
    known = variables_of_ours() | LIBRARIES_READ
    assert image_environment().keys() <= known
    for service in compose["services"].values():
        assert service["environment"].keys() <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_documents_name_only_what_exists(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (path.parent / target).exists(), target
    variables = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`", text))
    assert (
        variables
        <= variables_of_ours() | LIBRARIES_READ | modal_variables() | script_variables() | haproxy_reads()
    )


def haproxy_reads() -> set[str]:
    files = [path for path in (ROOT / "deploy" / "haproxy").iterdir() if path.suffix in (".cfg", ".lua")]
    text = "".join(path.read_text() for path in files)
    return set(re.findall(r"""(?:\$\{|\benv\(|getenv\(")([A-Z][A-Z0-9_]+)""", text))


def test_pre_commit_runs_the_ruff_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (revision,) = (hook["rev"] for hook in hooks if hook["repo"].endswith("/ruff-pre-commit"))
    assert f"\nruff=={revision.removeprefix('v')}\n" in (ROOT / "requirements-dev.txt").read_text()

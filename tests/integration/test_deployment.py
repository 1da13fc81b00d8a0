"""Compose and the platforms' files, as far as they can be checked without a cloud; what is told of them."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from starlette.datastructures import Headers

from personaplex_ui.app import bootstrap
from personaplex_ui.config.settings import LogFormat, LogLevel, Settings
from personaplex_ui.logs import formats as logs
from personaplex_ui.web.security.proxy_headers import parse_networks, trace

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
    image, _, _ = run_modal_script(monkeypatch)
    assert [set(args) for name, args, _ in image.steps if name == "apt_install"] == [COMPILER]
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


# Cloud Run and Modal ---------------------------------------------------------------------------------

CLOUD_RUN = ROOT / "deploy" / "cloudrun" / "deploy.sh"
GIVEN = {
    "PROJECT": "my-project",
    "BUCKET": "my-bucket",
    "TURN_URLS": "turns:turn.example.org:443?transport=tcp,turn:turn.example.org:3478",
    "TURN_USERNAME": "ann",
}


def run_cloud_run_script(folder: Path, given: Mapping[str, str]) -> tuple[int, str, list[list[str]]]:
    """Its exit code, what it said, and how it called a ``gcloud`` that only writes that down."""
    calls = folder / "calls"
    gcloud = folder / "gcloud"
    gcloud.write_text(
        f'#!/bin/sh\nfor argument; do printf "%s\\0" "$argument"; done >>"{calls}"\necho >>"{calls}"\n'
    )
    gcloud.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", **given}
    done = subprocess.run([CLOUD_RUN], env=environment, capture_output=True, text=True, timeout=20)
    written = calls.read_text().splitlines() if calls.exists() else []
    return done.returncode, done.stderr, [line.rstrip("\0").split("\0") for line in written]


def deployed_on_cloud_run(folder: Path, given: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """How the image is built, and the options of the deployment."""
    code, said, calls = run_cloud_run_script(folder, given)
    assert (code, said) == (0, "")
    build, deploy = calls
    assert build[:2] == ["builds", "submit"]
    assert deploy[:2] == ["run", "deploy"]
    return build, {name: value for name, _, value in (option[2:].partition("=") for option in deploy[3:])}


def variables_given(options: Mapping[str, str]) -> dict[str, str]:
    found = re.fullmatch(r"\^(.)\^(.*)", options["update-env-vars"])
    assert found
    return dict(pair.split("=", 1) for pair in found[2].split(found[1]))


def test_cloud_run_gets_one_instance_with_a_gpu(tmp_path: Path) -> None:
    build, options = deployed_on_cloud_run(tmp_path, GIVEN)
    assert f"--tag={options['image']}" in build
    assert (options["gpu"], options["gpu-type"]) == ("1", "nvidia-l4")
    assert (options["min-instances"], options["max-instances"]) == ("1", "1")
    assert {"no-cpu-throttling", "session-affinity"} <= options.keys()
    assert int(options["port"]) == Settings.from_mapping({}).port
    assert "/health" not in options["startup-probe"], "it says 503 while the model loads"

    given = variables_given(options)
    assert given.keys() <= variables_of_ours()
    assert given["HF_REPO"].startswith("/weights/")
    settings = Settings.from_mapping({**given, "HF_REPO": "", "TURN_CREDENTIAL": "a secret"})
    assert settings.turn_urls == tuple(GIVEN["TURN_URLS"].split(","))
    assert options["update-secrets"].split("=")[0] in variables_of_ours()


def test_a_second_deployment_on_cloud_run_takes_nothing_away(tmp_path: Path) -> None:
    _, options = deployed_on_cloud_run(tmp_path, GIVEN)
    taking = [
        name for name in options if re.match(r"(set|clear|remove)-(env-vars|secrets)|env-vars-file", name)
    ]
    assert taking == []


@pytest.mark.parametrize(
    ("given", "forwarded"),
    [
        ({}, "198.51.100.1, 203.0.113.5"),  # the first is what the caller wrote itself
        ({"TRUSTED_PROXIES": "169.254.0.0/16,192.0.2.9"}, "203.0.113.5,192.0.2.9"),
    ],
)
def test_on_cloud_run_the_client_is_known(tmp_path: Path, given: dict[str, str], forwarded: str) -> None:
    _, options = deployed_on_cloud_run(tmp_path, GIVEN | given)
    variables = {"TRUSTED_PROXIES": variables_given(options)["TRUSTED_PROXIES"]}
    trusted = parse_networks(Settings.from_mapping(variables).trusted_proxies)
    headers = Headers({"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"})
    found = trace("169.254.1.1", headers, trusted)
    assert (str(found.client), found.scheme, found.unknown_proxy) == ("203.0.113.5", "https", False)


@pytest.mark.parametrize("missing", GIVEN)
def test_cloud_run_is_not_asked_for_half_of_it(tmp_path: Path, missing: str) -> None:
    given = {name: value for name, value in GIVEN.items() if name != missing}
    code, said, calls = run_cloud_run_script(tmp_path, given)
    assert code != 0
    assert f"{missing}: the " in said
    assert calls == []


class RecordedImage:
    """``modal.Image``: remembers the steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def step(*args: Any, **options: Any) -> "RecordedImage":
            self.steps.append((name, args, options))
            return self

        return step


def run_modal_script(monkeypatch: pytest.MonkeyPatch) -> tuple[RecordedImage, dict[str, Any], dict[str, Any]]:
    """The image, the options of its function, and what the script defines."""
    image = RecordedImage()
    function: dict[str, Any] = {}

    def decorator(**options: Any) -> Any:
        function.update(options)

        def unchanged(decorated: Any) -> Any:
            return decorated

        return unchanged

    def named(name: str, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(name=name, function=decorator, **options)

    modal: Any = SimpleNamespace(
        Image=image,
        App=named,
        Volume=SimpleNamespace(from_name=named),
        Secret=SimpleNamespace(from_name=named),
        concurrent=decorator,
        asgi_app=decorator,
    )
    monkeypatch.setitem(sys.modules, "modal", modal)
    return image, function, runpy.run_path(str(ROOT / "deploy" / "modal" / "app.py"))


def test_modal_gets_the_app_and_all_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    image, function, _ = run_modal_script(monkeypatch)
    (environment,) = (args[0] for name, args, _ in image.steps if name == "env")
    assert environment.keys() <= variables_of_ours() | LIBRARIES_READ
    folders = {args[0]: args[1] for name, args, _ in image.steps if name == "add_local_dir"}
    assert folders == {source: f"/root/{source}" for source in ("voices", "personaplex_ui")}
    assert [args for name, args, _ in image.steps if name == "pip_install_from_requirements"] == [
        ("requirements.txt",)
    ]
    assert (function["gpu"], function["max_containers"]) == ("L4", 1)
    (mounted,) = function["volumes"]
    assert all(environment[name].startswith(f"{mounted}/") for name in ("HF_HOME", "RECORDINGS_DIR"))


def test_on_modal_the_app_is_built_with_its_settings_and_log(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, module = run_modal_script(monkeypatch)
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
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert module["serve"]() == "the app"
    assert [settings.max_calls for settings in served] == [3]
    assert logged == [("debug", True)]


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
    assert variables <= variables_of_ours() | LIBRARIES_READ | haproxy_reads()


def haproxy_reads() -> set[str]:
    files = [path for path in (ROOT / "deploy" / "haproxy").iterdir() if path.suffix in (".cfg", ".lua")]
    text = "".join(path.read_text() for path in files)
    return set(re.findall(r"""(?:\$\{|\benv\(|getenv\(")([A-Z][A-Z0-9_]+)""", text))


def test_pre_commit_runs_the_ruff_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (revision,) = (hook["rev"] for hook in hooks if hook["repo"].endswith("/ruff-pre-commit"))
    assert f"\nruff=={revision.removeprefix('v')}\n" in (ROOT / "requirements-dev.txt").read_text()

"""What ``deploy/cloudrun/setup.sh`` asks for and checks, and what it says and hands to gcloud."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from personaplex_ui.config.env_file import read_env_file
from personaplex_ui.config.settings import Settings
from tests.support.cloudrun import (
    ALL,
    LEAST,
    ROOT,
    SECRET_VALUES,
    SETUP,
    TURN,
    URL,
    CloudRun,
    Made,
    Terminal,
    deployed_with,
    known_options,
    variables_of,
)

OURS = {field.upper() for field in Settings.model_fields}


@pytest.fixture
def cloud(tmp_path: Path) -> CloudRun:
    return CloudRun(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    cloud = CloudRun(tmp_path_factory.mktemp("cloud"))
    return Made(cloud.run(**ALL), cloud.contents())


def lists_in(script: str) -> dict[str, list[str]]:
    """The lists of names in a script."""
    text = (SETUP.parent / "parts" / script).read_text()
    found = re.findall(r'^([A-Z_]+)="([A-Z0-9_\s]+)"$', text, re.MULTILINE)
    return {name: names.split() for name, names in found}


# Settings -------------------------------------------------------------------------------------------


def test_one_sentence_names_all_that_is_missing_and_nothing_is_made(cloud: CloudRun) -> None:
    ran = cloud.run(TURN_URLS=TURN["TURN_URLS"], TWILIO_PHONE_NUMBER="+15551234567")
    assert (ran.code, ran.said, ran.changes) == (2, "", [])
    (sentence,) = ran.complained.splitlines()
    named = re.findall(r"([A-Z_]+) \(", sentence)
    assert named == ["PROJECT", "HF_TOKEN", "TURN_USERNAME", "TURN_CREDENTIAL", "TWILIO_AUTH_TOKEN"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROJECT", "My Project"),
        ("REGION", "europe-north1"),
        ("SERVICE", "a-name-that-is-much-too-long"),
        ("WEIGHTS", "disk"),
        ("HF_REPO", "/srv/weights"),
        ("CPU", "2"),
        ("MEMORY", "8Gi"),
        ("MIN_INSTANCES", "2"),
        ("WAIT_MINUTES", "soon"),
        ("MAX_CALL_SECONDS", "3600"),
        ("MAX_CALL_SECONDS", "0"),
        ("MAX_CALL_SECONDS", "014"),
        ("SERVER_URL", "talk.example.org"),
        ("DEFAULT_TEXT_PROMPT", "You are ~~kind~~."),
        ("PHONE_PERSONAS", "nowhere.json"),
    ],
)
def test_an_unusable_value_is_named_before_anything_is_made(cloud: CloudRun, name: str, value: str) -> None:
    ran = cloud.run(**{**LEAST, name: value})
    assert (ran.code, ran.changes) == (2, [])
    assert name in ran.complained
    assert ran.complained.endswith(".\n")


def test_the_settings_of_env_are_read_as_the_app_reads_them(cloud: CloudRun) -> None:
    cloud.env_file.write_bytes(
        b"\xef\xbb\xbfPROJECT=my-project\r\n"
        b"  # HF_TOKEN=commented\n"
        b"export HF_TOKEN = 'hf_FirstSecret'  # a comment\n"
        b'API_KEY="with # and $signs" # a comment\n'
        b"APP_PASSWORD= un#quoted  #gone\n"
        b"MAX_CALLS=1\nMAX_CALLS=3\n"
        b"LLM_MODEL=\n"
        b"DEFAULT_TEXT_PROMPT=You are kind, and; precise"
    )
    meant = read_env_file(cloud.env_file)
    assert meant["APP_PASSWORD"] == "un#quoted", "else this proves nothing"
    given = variables_of(deployed_with(cloud, {}))
    assert (given["MAX_CALLS"], given["DEFAULT_TEXT_PROMPT"]) == ("3", meant["DEFAULT_TEXT_PROMPT"])
    assert "LLM_MODEL" not in given
    kept = cloud.contents()
    for name in ("HF_TOKEN", "API_KEY", "APP_PASSWORD"):
        assert kept[f"value personaplex-{name.lower().replace('_', '-')} 1"] == meant[name]


def test_the_environment_wins_and_what_only_the_app_can_read_is_refused(cloud: CloudRun) -> None:
    cloud.env_file.write_text("MAX_CALLS=1\nSERVER_URL=https://desk.example.org\nPORT=8000\n")
    given = variables_of(deployed_with(cloud, {**LEAST, "MAX_CALLS": "2"}))
    assert (given["MAX_CALLS"], given["SERVER_URL"]) == ("2", URL), "the address in .env is the desk's"
    assert "PORT" not in given
    for value in (r'"a\nb"', '"over\nlines"'):
        cloud.env_file.write_text(f"DEFAULT_TEXT_PROMPT={value}\n")
        ran = cloud.run(**LEAST)
        assert (ran.code, ran.changes) == (2, [])
        assert "DEFAULT_TEXT_PROMPT in" in ran.complained


def test_personas_in_a_file_go_as_text(cloud: CloudRun, tmp_path: Path) -> None:
    (tmp_path / "personas.json").write_text('{"+1555": {"voice": "NATM1"}}')
    given = variables_of(deployed_with(cloud, {**LEAST, "PHONE_PERSONAS": str(tmp_path / "personas.json")}))
    assert given["PHONE_PERSONAS"] == '{"+1555": {"voice": "NATM1"}}'


def test_every_setting_of_the_app_is_passed_on_or_left_out_for_a_reason() -> None:
    lists = lists_in("settings.sh")
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert set(lists["SECRETS"]) == {name.upper() for name in secret}
    left_out = {
        *("INSTANCE_PATH", "DRAIN_SECONDS"),  # there is one instance, and 10 s after SIGTERM
        *("PORT", "HOST", "DEVICE", "CPU_OFFLOAD", "FASTRTC_PHONE", "SPACE_ID", "SPACES_ZERO_GPU"),
        *("SPEECH_WEIGHTS_DIR", "DOCUMENTS_DIR", "TOOLS_FILE", "RECORDINGS_DIR", "VOICES_DIR", "STATIC_PATH"),
    }
    passed = {*lists["SECRETS"], *lists["VARIABLES"], *lists["ONLY_FROM_ENVIRONMENT"], "HF_REPO"}
    assert passed == OURS - left_out


def test_on_a_terminal_it_asks_for_what_is_missing(cloud: CloudRun) -> None:
    terminal = Terminal(
        {
            "Google Cloud project": "my-project",
            "The region": "us-east4",
            "Hugging Face token": SECRET_VALUES["HF_TOKEN"],
            "password for the page": SECRET_VALUES["APP_PASSWORD"],
            "account SID": "AC0123",
            "auth token": SECRET_VALUES["TWILIO_AUTH_TOKEN"],
            "number at Twilio": "+15551234567",
        }
    )
    assert terminal.run(cloud) == 0, terminal.seen
    (deployment,) = (call for call in cloud.calls() if call.words.startswith("run deploy"))
    given = variables_of(deployment)
    assert given["TWILIO_PHONE_NUMBER"] == "+15551234567"
    assert given["BROWSER_CALLS"] == "websocket"
    assert deployment.options()["region"] == "us-east4"
    for name in ("HF_TOKEN", "APP_PASSWORD", "TWILIO_AUTH_TOKEN"):
        assert SECRET_VALUES[name] not in terminal.seen, "typed unseen"
        assert SECRET_VALUES[name] in cloud.contents().values()


# A dry run, what it says of itself ------------------------------------------------------------------


def test_a_dry_run_prints_what_a_run_calls_and_calls_nothing(cloud: CloudRun, made: Made) -> None:
    dry = cloud.run("--dry-run", **ALL)
    assert (dry.code, dry.calls) == (0, [])
    printed = dry.said
    for call in made.ran.calls:
        if call.changes:
            words = " ".join(word for word in call.arguments[:3] if not word.startswith("-"))
            assert f"gcloud {words}" in printed
    assert printed.count("printf %s '***' | gcloud secrets versions add") == len(SECRET_VALUES)


def test_gcloud_knows_every_command_and_option(cloud: CloudRun) -> None:
    known = known_options()
    calls = [*cloud.run(**ALL).calls, *cloud.run(**{**ALL, "WEIGHTS": "hub"}).calls]
    (cloud.state / "bucket gs:__my-project-personaplex").write_text("")  # as if it were somebody else's
    calls += cloud.run("--delete", "--yes", "--with-bucket", **ALL).calls
    seen: set[str] = set()
    for call in calls:
        if call.arguments[0] in ("curl", "sleep"):
            continue
        command = next(
            each for each in sorted(known, reverse=True) if f"{call.words} ".startswith(f"{each} ")
        )
        seen.add(command)
        for option in (word.partition("=")[0] for word in call.arguments if word.startswith("--")):
            assert {option, option.replace("--no-", "--", 1)} & known[command], f"{command} {option}"
    assert seen == set(known), "some are no longer called"


def test_the_builds_are_what_cloud_build_reads() -> None:
    for name in ("image.yaml", "weights.yaml"):
        build = yaml.safe_load((SETUP.parent / name).read_text())
        assert build["options"]["logging"] == "CLOUD_LOGGING_ONLY", (
            "an account of one's own may not use another log"
        )
        assert all(step["args"] for step in build["steps"])
    pinned = re.search(r"^huggingface[-_]hub==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    assert f'"huggingface_hub=={pinned[1]}"' in (SETUP.parent / "weights.yaml").read_text()


def test_the_image_is_known_again_by_all_that_goes_into_it(cloud: CloudRun) -> None:
    copied = re.findall(r"^COPY (?:--\S+ )?(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    hashed = re.search(r"find (Dockerfile .+) -type f", (SETUP.parent / "parts" / "builds.sh").read_text())
    sent = set(re.findall(r"^!/(\S+)$", (SETUP.parent / "source.ignore").read_text(), re.MULTILINE))
    assert hashed
    voices = {"voices/README.md", "voices/catalogue.json"}
    assert {*hashed[1].split()} - voices | {"voices"} == {*" ".join(copied).split(), "Dockerfile"}
    assert sent == {*hashed[1].split(), ".dockerignore", "voices"}


def test_the_script_needs_nothing_newer_than_bash_3_2() -> None:
    newer = r"declare -[gA]|local -[nA]|mapfile|readarray|\$\{\w+[,^@]|\|&|&>>|coproc|wait -n|printf .*%\("
    for script in (SETUP, *sorted((SETUP.parent / "parts").glob("*.sh"))):
        assert not re.search(newer, script.read_text()), script
        assert subprocess.run(["bash", "-n", script]).returncode == 0


def test_the_cost_is_computed_from_the_list_prices_of_the_page(cloud: CloudRun) -> None:
    prices = dict(
        re.findall(
            r"^([A-Z]+)_PRICE=([\d.]+)$", (SETUP.parent / "parts" / "service.sh").read_text(), re.MULTILINE
        )
    )
    gpu, cpu, memory = (float(prices[name]) for name in ("GPU", "CPU", "MEMORY"))
    page = (SETUP.parent / "README.md").read_text()
    assert all(price in page for price in prices.values())
    for sizes in ({}, {"CPU": "4", "MEMORY": "16Gi", "MIN_INSTANCES": "0"}):
        cpus, gib = int(sizes.get("CPU", "8")), int(sizes.get("MEMORY", "32Gi").removesuffix("Gi"))
        hour = 3600 * (gpu + cpus * cpu + gib * memory)
        said = cloud.run("--no-wait", **{**LEAST, **sizes}).said
        assert f"about {hour:.2f} USD an hour" in said
        assert f"a day {24 * hour:.0f}, a month of 730 hours {730 * hour:.0f}" in said
        assert f"{hour:.2f}" in page

"""``deploy/cloudrun/setup.sh`` against a stand-in ``gcloud`` that keeps a small cloud and fails at each step.

No real cloud is asked. ``tests/data/gcloud/options.json`` holds the options that the real gcloud has.
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from personaplex_ui.config.settings import BrowserCalls, Settings
from personaplex_ui.web.security.proxy_headers import parse_networks, trace
from tests.support.cloudrun import (
    ALL,
    LEAST,
    PROJECT,
    READY,
    SECRET_VALUES,
    SETUP,
    STAND_INS,
    TURN,
    URL,
    WITHIN_SEC,
    CloudRun,
    Made,
    Terminal,
    deployed_with,
    variables_of,
)


@pytest.fixture
def cloud(tmp_path: Path) -> CloudRun:
    return CloudRun(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    cloud = CloudRun(tmp_path_factory.mktemp("cloud"))
    return Made(cloud.run(**ALL), cloud.contents())


# What it makes --------------------------------------------------------------------------------------


def test_it_makes_all_that_the_app_needs_and_a_second_run_makes_nothing(cloud: CloudRun) -> None:
    first = cloud.run(**ALL)
    assert first.code == 0, first.complained
    state = cloud.contents()
    assert {name for name in state if not name.startswith(("value", "image"))} == {
        "signed-in",
        "project",
        "billing",
        "services",
        "account personaplex-run@my-project.iam.gserviceaccount.com",
        "account personaplex-build@my-project.iam.gserviceaccount.com",
        "repository personaplex",
        "rights personaplex",
        "rights my-project",
        "bucket gs:__my-project-personaplex",
        "rights gs:__my-project-personaplex",
        "object gs:__my-project-personaplex_personaplex-7b-v1.complete",
        "object gs:__my-project-personaplex_personaplex-7b-v1_model.safetensors",
        "object gs:__my-project-personaplex_personaplex-setup-sources_1.tgz",
        *(f"secret personaplex-{name.lower().replace('_', '-')}" for name in SECRET_VALUES),
        *(f"rights personaplex-{name.lower().replace('_', '-')}" for name in SECRET_VALUES),
        "service personaplex",
        "revision",
    }
    assert f"The page:      {URL}" in first.said
    assert f"{URL}/twilio/inbound" in first.said

    second = cloud.run(**ALL)
    assert second.code == 0
    assert second.changes == []
    assert cloud.contents() == state
    assert second.said.count(": is there") > 20
    assert not re.search(r": (made|given|built|copied|deployed|enabled)", second.said)


def test_each_account_may_do_what_it_needs_and_nothing_else(made: Made) -> None:
    rights = {name: text.split() for name, text in made.contents.items() if name.startswith("rights")}
    runner, builder = (
        f"serviceAccount:personaplex-{who}@my-project.iam.gserviceaccount.com" for who in ("run", "build")
    )
    secrets = {
        name.removeprefix("rights personaplex-") for name in rights if name.startswith("rights personaplex-")
    }
    assert secrets == {"hf-token", "app-password", "api-key", "twilio-auth-token", "turn-credential"}
    for secret in secrets:
        reader = builder if secret == "hf-token" else runner  # the weights in the bucket need no token
        assert rights[f"rights personaplex-{secret}"] == [f"roles/secretmanager.secretAccessor,{reader}"]
    assert rights["rights gs:__my-project-personaplex"] == [
        f"roles/storage.objectViewer,{runner}",
        f"roles/storage.objectUser,{builder}",
    ]
    assert rights["rights personaplex"] == [f"roles/artifactregistry.writer,{builder}"]
    assert rights["rights my-project"] == [f"roles/logging.logWriter,{builder}"]


def test_a_new_account_that_is_not_known_everywhere_yet_is_waited_for(cloud: CloudRun) -> None:
    cloud.put(slow_accounts="5")
    ran = cloud.run(**LEAST)
    assert ran.code == 0
    assert [call.arguments for call in ran.calls if call.arguments[0] == "sleep"] == [("sleep", "5")] * 5


def test_the_service_has_one_instance_with_a_gpu(made: Made) -> None:
    options = made.deployment.options()
    assert (options["gpu"], options["gpu-type"]) == ("1", "nvidia-l4")
    assert (options["min-instances"], options["max-instances"]) == ("1", "1")
    assert {"no-cpu-throttling", "session-affinity", "no-gpu-zonal-redundancy"} <= options.keys()
    assert int(options["port"]) == Settings.from_mapping({}).port
    assert "/health" not in options["startup-probe"], "it says 503 while the model loads"
    assert options["timeout"] == "60m"
    assert Settings.from_mapping({}).max_call_seconds < 3600, "a call is one request"
    taking = [name for name in options if re.match(r"(set|clear|remove)-|env-vars-file", name)]
    assert taking == [], "what was set by hand stays"
    assert options["service-account"] == "personaplex-run@my-project.iam.gserviceaccount.com"


def test_the_app_can_use_what_it_is_given(made: Made) -> None:
    deployment = made.deployment
    given = variables_of(deployment)
    secrets = dict(pair.split("=") for pair in deployment.options()["update-secrets"].split(","))
    assert given.keys() | secrets.keys() <= {field.upper() for field in Settings.model_fields}
    assert secrets["API_KEY"] == "personaplex-api-key:1"
    assert "HF_TOKEN" not in secrets
    assert given["HF_REPO"] == "/weights/personaplex-7b-v1"
    mounted = deployment.options()["add-volume-mount"]
    assert given["HF_REPO"].startswith(mounted.partition("mount-path=")[2])

    settings = Settings.from_mapping({**given, **{name: SECRET_VALUES[name] for name in secrets}})
    assert settings.server_url == URL
    assert settings.turn_urls == tuple(TURN["TURN_URLS"].split(","))
    assert settings.human_hours == ALL["HUMAN_HOURS"]
    assert settings.browser_calls is BrowserCalls.WEBRTC, "there is a TURN server"


def test_without_a_turn_server_pages_call_over_the_websocket(cloud: CloudRun) -> None:
    given = variables_of(deployed_with(cloud, LEAST))
    assert given["BROWSER_CALLS"] == "websocket"
    assert "TURN_URLS" not in given


def test_a_turn_server_of_an_earlier_run_stays_in_use(cloud: CloudRun) -> None:
    cloud.run(**ALL)
    given = variables_of(deployed_with(cloud, {**LEAST, "MAX_CALLS": "2"}))
    assert given["BROWSER_CALLS"] == "webrtc"
    assert given["MAX_CALLS"] == "2"


def test_a_turn_server_that_comes_later_is_used(cloud: CloudRun) -> None:
    assert variables_of(deployed_with(cloud, LEAST))["BROWSER_CALLS"] == "websocket"
    later = {**LEAST, **TURN, "TURN_CREDENTIAL": SECRET_VALUES["TURN_CREDENTIAL"]}
    assert variables_of(deployed_with(cloud, later))["BROWSER_CALLS"] == "webrtc"
    chosen = {**later, "BROWSER_CALLS": "websocket"}
    assert variables_of(deployed_with(cloud, chosen))["BROWSER_CALLS"] == "websocket"


@pytest.mark.parametrize(
    ("given", "forwarded"),
    [
        ({}, "198.51.100.1, 203.0.113.5"),  # the first is what the caller wrote itself
        ({"TRUSTED_PROXIES": "169.254.0.0/16,192.0.2.9"}, "203.0.113.5,192.0.2.9"),
    ],
)
def test_the_client_is_known(cloud: CloudRun, given: dict[str, str], forwarded: str) -> None:
    variables = {"TRUSTED_PROXIES": variables_of(deployed_with(cloud, LEAST | given))["TRUSTED_PROXIES"]}
    trusted = parse_networks(Settings.from_mapping(variables).trusted_proxies)
    headers = Headers({"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"})
    found = trace("169.254.1.1", headers, trusted)
    assert (str(found.client), found.scheme, found.unknown_proxy) == ("203.0.113.5", "https", False)


def test_weights_from_the_hub_need_no_bucket_to_be_mounted_but_a_token(cloud: CloudRun) -> None:
    deployment = deployed_with(cloud, {**LEAST, "WEIGHTS": "hub"})
    assert variables_of(deployment)["HF_REPO"] == "nvidia/personaplex-7b-v1"
    assert deployment.options()["update-secrets"] == "HF_TOKEN=personaplex-hf-token:1"
    assert "add-volume" not in deployment.options()
    assert not any("weights.yaml" in " ".join(call.arguments) for call in cloud.calls())
    assert cloud.run(**LEAST, WEIGHTS="hub").changes == []
    assert "add-volume" in deployed_with(cloud, LEAST).options()
    assert "clear-volumes" in deployed_with(cloud, {**LEAST, "WEIGHTS": "hub"}).options()


def test_a_domain_of_ones_own_and_other_sizes(cloud: CloudRun) -> None:
    own = {
        "SERVER_URL": "https://talk.example.org",
        "CPU": "4",
        "MEMORY": "16Gi",
        "MIN_INSTANCES": "0",
        "REGION": "us-east4",
    }
    deployment = deployed_with(cloud, {**LEAST, **own})
    options = deployment.options()
    assert variables_of(deployment)["SERVER_URL"] == "https://talk.example.org"
    assert [options[name] for name in ("cpu", "memory", "min-instances", "region")] == [
        "4",
        "16Gi",
        "0",
        "us-east4",
    ]


def test_a_changed_secret_is_a_new_version_and_a_new_revision(cloud: CloudRun) -> None:
    cloud.run(**ALL)
    ran = cloud.run(**{**ALL, "API_KEY": "another key"})
    assert ran.changes == ["secrets versions add personaplex-api-key", "run deploy personaplex"]
    assert "API_KEY=personaplex-api-key:2" in ran.only("run deploy").options()["update-secrets"]
    assert cloud.contents()["value personaplex-api-key 2"] == "another key"


def test_a_later_run_needs_no_secret_again(cloud: CloudRun) -> None:
    cloud.run(**ALL)
    ran = cloud.run(**{name: value for name, value in ALL.items() if name not in SECRET_VALUES})
    assert (ran.code, ran.changes) == (0, []), ran.complained


# Secrets --------------------------------------------------------------------------------------------


def test_no_secret_is_in_arguments_output_or_files_left_behind(cloud: CloudRun) -> None:
    cloud.put(health='503 {"status":"loading","message":"Loading","progress":0.5}\n' + READY)
    runs = [cloud.run(**ALL), cloud.run(**ALL), cloud.run("--dry-run", **ALL)]
    runs.append(cloud.run(**{**ALL, "API_KEY": SECRET_VALUES["API_KEY"] + "2"}))
    traced = subprocess.run(
        ["bash", "-x", SETUP], env=cloud.environment(ALL), capture_output=True, text=True, timeout=WITHIN_SEC
    )
    told = [
        part
        for ran in runs
        for part in (ran.said, ran.complained, *(" ".join(call.arguments) for call in ran.calls))
    ]
    told += [traced.stdout, traced.stderr, *(" ".join(call.arguments) for call in cloud.calls())]
    for value in SECRET_VALUES.values():
        assert not any(value in text for text in told)
    assert list(cloud.temporary.iterdir()) == []
    inputs = (cloud.state / "inputs").read_text()
    assert all(value in inputs for value in SECRET_VALUES.values()), "else this proves nothing"


def test_values_arrive_unchanged(made: Made) -> None:
    kept = made.contents
    for name, value in SECRET_VALUES.items():
        assert kept[f"value personaplex-{name.lower().replace('_', '-')} 1"] == value


# Failures -------------------------------------------------------------------------------------------

DENIED = "PERMISSION_DENIED: ann does not have permission"


def test_after_a_failure_at_each_step_the_next_run_goes_on(cloud: CloudRun, tmp_path: Path) -> None:
    """Each different call fails once, so the cloud is made in as many runs as there are calls."""
    (tmp_path / "other").mkdir()
    whole = CloudRun(tmp_path / "other")
    variables = {**LEAST, "API_KEY": SECRET_VALUES["API_KEY"]}
    calls = whole.run(**variables).calls
    cloud.put(**{"fail-each-once": DENIED})
    steps: list[str] = []
    for _ in range(2 * len(calls)):
        ran = cloud.run(**variables)
        if ran.code == 0:
            break
        assert ran.code == 1
        sentence = ran.complained.strip().splitlines()[-1]
        stopped = re.fullmatch(
            r"Stopped while (.+?): (.+) Then run it again; what is there already stays\.", sentence
        )
        assert stopped, sentence
        assert "your account lacks a right in the project my-project" in stopped[2]
        assert DENIED in ran.complained, "what gcloud said is shown, too"
        steps.append(stopped[1])
    else:
        pytest.fail("it never came to an end")
    assert cloud.contents() == whole.contents()
    assert len(steps) > 35
    for step in (
        "looking who is signed in",
        "looking for the project my-project",
        "enabling the services",
        "making the account personaplex-build@my-project.iam.gserviceaccount.com",
        "making the image repository personaplex",
        "making the bucket my-project-personaplex",
        "keeping the secret personaplex-api-key",
        "giving personaplex-run the role roles/storage.objectViewer on gs://my-project-personaplex",
        "building the image",
        "copying the weights of nvidia/personaplex-7b-v1 into the bucket",
        "deploying the service personaplex",
    ):
        assert step in steps


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("You do not currently have an active account selected.", "'gcloud auth login'"),
        ("Unable to find the server at run.googleapis.com", "check the network"),
        ("FAILED_PRECONDITION: Billing account is not open", "link it to an account"),
        ("You do not have quota for using GPUs without zonal redundancy.", "ask for 'NVIDIA L4 GPUs"),
    ],
)
def test_each_kind_of_failure_has_its_advice(cloud: CloudRun, error: str, advice: str) -> None:
    cloud.put(**{"fail-each-once": error})
    ran = cloud.run(**LEAST)
    assert ran.code == 1
    assert advice in ran.complained.splitlines()[-1]


def test_a_bucket_of_somebody_else_billing_that_is_off_and_nobody_signed_in(cloud: CloudRun) -> None:
    cloud.put(**{"bucket-of-others": ""})
    assert "set BUCKET to another one" in cloud.run(**LEAST).complained
    cloud.put(billing="False")
    assert "billing is off for the project my-project" in cloud.run(**LEAST).complained
    (cloud.state / "project").unlink()
    assert "there is no project my-project" in cloud.run(**LEAST).complained
    (cloud.state / "signed-in").unlink()
    assert "run 'gcloud auth login'" in cloud.run(**LEAST).complained


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        (None, "not known beforehand"),
        ("europe-west1,3\neurope-west4,0", "in europe-west4: 0 so far"),
        ("europe-west4,1", "ask for 2 or more"),
        ("europe-west4,3\nus-east4,0", "Quota of 3 L4 GPUs: is there"),
    ],
)
def test_the_quota_is_told_beforehand(cloud: CloudRun, quota: str | None, said: str) -> None:
    if quota is not None:
        cloud.put(quota=quota)
    ran = cloud.run("--no-wait", **LEAST)
    assert ran.code == 0
    assert said in ran.said


def test_an_interruption_says_where_it_was(cloud: CloudRun) -> None:
    os.mkfifo(cloud.state / "quota")  # the stand-in waits for somebody to write
    running = subprocess.Popen(
        [SETUP],
        env=cloud.environment(LEAST),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with (cloud.state / "quota").open("w"):  # until it reads
        os.killpg(running.pid, signal.SIGINT)
        said, complained = running.communicate(timeout=WITHIN_SEC)
    assert running.returncode == 130
    assert b"Interrupted while looking for the quota of L4 GPUs." in complained, said


# Health ---------------------------------------------------------------------------------------------


def test_it_waits_until_calls_can_be_taken_and_tells_how_far_it_is(cloud: CloudRun) -> None:
    loading = '503 {"status":"loading","message":"Reading \\"the\\" weights.","progress":%s}'
    cloud.put(health="\n".join(["000", "000", loading % 0.25, loading % 0.25, loading % 0.801, READY]))
    ran = cloud.run(**ALL)
    assert ran.code == 0
    waiting = ran.said.partition("Waiting until")[2].partition("Calls can be taken")[0]
    told = [line.strip() for line in waiting.splitlines() if line.startswith("    ")]
    assert told == [
        "no answer yet",
        r"loading: Reading \"the\" weights. (25 %)",
        r"loading: Reading \"the\" weights. (80 %)",
    ]
    asked = [call for call in ran.calls if call.arguments[0] == "curl"]
    assert [call.arguments[-1] for call in asked] == [f"{URL}/health"] * 6
    assert "Bearer key-SecondSecret" in (cloud.state / "inputs").read_text(), (
        "a closed server tells more to its key"
    )


def test_a_model_that_failed_and_one_that_takes_too_long_are_told(cloud: CloudRun) -> None:
    cloud.put(health='503 {"status":"failed","message":"The token was refused.","progress":0.0}')
    ran = cloud.run(**LEAST)
    assert ran.code == 1
    assert "the app says: The token was refused." in ran.complained
    cloud.put(health='503 {"status":"loading"}')
    ran = cloud.run(**LEAST, WAIT_MINUTES="2")
    assert ran.code == 1
    assert "was not ready within 2 minutes" in ran.complained
    assert sum(call.arguments[0] == "curl" for call in ran.calls) == 12


# Removing it ----------------------------------------------------------------------------------------


def test_deleting_leaves_the_bucket_and_with_bucket_nothing(cloud: CloudRun) -> None:
    before = cloud.contents()
    cloud.run(**ALL)
    assert cloud.run("--delete", **PROJECT).code == 2, "nobody can be asked"
    ran = cloud.run("--delete", "--yes", **PROJECT)
    assert ran.code == 0
    assert "--with-bucket deletes it" in ran.said
    left = {"services", "rights gs:__my-project-personaplex"}
    kept = {name for name in cloud.contents() if "my-project-personaplex" in name}
    assert cloud.contents().keys() - before.keys() - left == kept - left
    assert cloud.run("--delete", "--yes", "--with-bucket", **PROJECT).code == 0
    assert cloud.contents().keys() - before.keys() == {"services"}
    again = cloud.run("--delete", "--yes", "--with-bucket", **PROJECT)
    assert (again.code, again.changes) == (0, [])


def test_deleting_goes_on_after_failures_and_asks_on_a_terminal(cloud: CloudRun) -> None:
    cloud.run(**LEAST)
    there = cloud.contents()
    terminal = Terminal({"Type personaplex": "no"})
    assert terminal.run(cloud, "--delete", **PROJECT) == 2
    assert "Nothing was deleted." in terminal.seen
    assert cloud.contents() == there

    cloud.put(**{"fail-each-once": DENIED})
    runs = 0
    while (ran := cloud.run("--delete", "--yes", "--with-bucket", **PROJECT)).code:
        assert ran.complained.splitlines()[-1].startswith("Stopped while ")
        runs += 1
    assert runs > 10
    assert not any(name.startswith(("service ", "secret", "account", "bucket")) for name in cloud.contents())


def test_the_stand_in_is_what_is_called() -> None:
    assert {path.name for path in STAND_INS.iterdir()} == {"gcloud", "curl", "sleep"}
    assert all(os.access(path, os.X_OK) for path in STAND_INS.iterdir())

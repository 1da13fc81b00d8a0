"""The manifests of deploy/kubernetes, built and held against Kubernetes' schemas; what has to fit."""

import copy
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from personaplex_ui.config.settings import Settings
from tests.support.app_process import ROOT
from tests.support.haproxy import FILES, haproxy_program, write_certificate
from tests.support.kubernetes_schemas import NEWEST, NotValid, check
from tests.support.kustomize import BadKustomization, Object, build, containers_of

FOLDER = ROOT / "deploy" / "kubernetes"
BUILT = {name: build(FOLDER / name) for name in ("base", "overlays/keda", "overlays/turn", "overlays/agones")}
README = (FOLDER / "README.md").read_text()
APP = {"app.kubernetes.io/name": "personaplex"}
SPARE_SEC = 20
"""After the last call: recordings are closed, and the process ends."""

every_build = pytest.mark.parametrize("name", BUILT)


def only(objects: list[Object], kind: str, name: str = "") -> Object:
    [found] = [each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    return found


def settings_of(objects: list[Object]) -> dict[str, str]:
    return only(objects, "ConfigMap", "personaplex-settings")["data"]


def pods_of(objects: list[Object]) -> Iterator[Object]:
    """The templates of all pods."""
    for each in objects:
        if each["kind"] in ("StatefulSet", "Deployment", "DaemonSet"):
            yield each["spec"]["template"]
        elif each["kind"] == "Fleet":
            yield each["spec"]["template"]["spec"]["template"]


def app_pod(objects: list[Object]) -> Object:
    [pod] = [pod for pod in pods_of(objects) if pod["metadata"]["labels"] == APP]
    return pod["spec"]


def app_container(objects: list[Object]) -> Object:
    return next(each for each in app_pod(objects)["containers"] if each["name"] == "app")


def mappings(value: Any) -> Iterator[Object]:
    """All that are in it, itself included."""
    if isinstance(value, dict):
        yield cast(Object, value)
        for inside in cast(Object, value).values():
            yield from mappings(inside)
    elif isinstance(value, list):
        for inside in cast(list[Any], value):
            yield from mappings(inside)


@every_build
def test_kubernetes_takes_every_object(name: str) -> None:
    for each in BUILT[name]:
        check(each)


FREE = {"labels", "matchLabels", "nodeSelector", "data", "requests", "limits", "counters"}
"""Mappings whose keys are anybody's; so is a Service's selector, which is labels."""


def misspelled(value: Any, key: str = "") -> Iterator[tuple[Object, str]]:
    """Each place in ``value`` with a name that Kubernetes gave."""
    if isinstance(value, dict):
        fields = cast(Object, value)
        is_free = key in FREE or (key == "selector" and "matchLabels" not in fields)
        for name, inside in fields.items():
            if not is_free:
                yield fields, name
            yield from misspelled(inside, name)
    elif isinstance(value, list):
        for inside in cast(list[Any], value):
            yield from misspelled(inside, key)


def test_a_typo_in_any_field_is_found() -> None:
    """Each field of each kind, one after the other, with a letter too many."""
    tried, passed = 0, list[str]()
    seen: set[tuple[str, str]] = set()
    for each in (each for objects in BUILT.values() for each in objects):
        places = list(misspelled(each))
        for number, (_, field) in enumerate(places):
            if (each["kind"], field) in seen:
                continue
            seen.add((each["kind"], field))
            broken = copy.deepcopy(each)
            holder, name = list(misspelled(broken))[number]
            holder[f"{name}x"] = holder.pop(name)
            tried += 1
            try:
                check(broken, NEWEST)
                passed.append(f"{each['kind']}: {field}")
            except NotValid:
                pass
    assert tried > 200
    assert passed == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicas"), "2"),
        (("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), "7860"),
        (("spec", "template", "spec", "terminationGracePeriodSeconds"), "630s"),
    ],
)
def test_a_wrong_type_is_found(path: tuple[str | int, ...], value: object) -> None:
    broken = copy.deepcopy(only(BUILT["base"], "StatefulSet"))
    holder: Any = broken
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(NotValid):
        check(broken)


@pytest.mark.parametrize(
    "changed",
    [
        {"resource": ["processes.yaml"]},
        {"resources": ["processes.yaml", "processes.yaml"]},
        {"patches": [{"patch": "apiVersion: v1\nkind: Service\nmetadata:\n  name: nobody\n"}]},
        {"configMapGenerator": [{"name": "settings", "literal": ["A=b"]}]},
    ],
)
def test_a_mistake_in_a_kustomization_is_found(tmp_path: Path, changed: Mapping[str, Any]) -> None:
    (tmp_path / "processes.yaml").write_text((FOLDER / "base" / "processes.yaml").read_text())
    options = {"generatorOptions": {"disableNameSuffixHash": True}}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({**options, **changed}))
    with pytest.raises(BadKustomization):
        build(tmp_path)


@every_build
def test_what_is_named_is_there(name: str) -> None:
    """ConfigMaps, the Secrets that the README tells to make, ports, labels, volumes."""
    objects = BUILT[name]
    maps = {each["metadata"]["name"] for each in objects if each["kind"] == "ConfigMap"}
    labels = [pod["metadata"]["labels"] for pod in pods_of(objects)]
    for each in mappings(objects):
        for key in ("configMapRef", "configMapKeyRef", "configMap"):
            if key in each:
                assert each[key]["name"] in maps
        for key in ("secretRef", "secretKeyRef", "secret"):
            if key in each:
                assert f" {each[key]['name']} " in README
    for pod in (pod["spec"] for pod in pods_of(objects)):
        volumes = {volume["name"] for volume in pod["volumes"]}
        claims = {"data"} if app_pod(objects) == pod else set[str]()
        for container in pod["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for each in mappings(container):
                for probe in ("tcpSocket", "httpGet"):
                    if probe in each:
                        assert each[probe]["port"] in ports
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= volumes | claims
    for service in (each for each in objects if each["kind"] in ("Service", "PodDisruptionBudget")):
        selector = service["spec"]["selector"]
        assert selector.get("matchLabels", selector) in labels


@every_build
def test_the_settings_are_settings_and_hold_no_secret(name: str) -> None:
    literals = settings_of(BUILT[name])
    environment = {**literals, "INSTANCE_PATH": "/personaplex-0"}
    if "TURN_URLS" in literals:
        environment |= {"TURN_USERNAME": "ann", "TURN_CREDENTIAL": "x"}
    settings = Settings.from_mapping(environment)
    assert settings.instance_path == "/personaplex-0"
    for key in literals:
        assert not re.search("TOKEN|KEY|PASSWORD|CREDENTIAL", key)
        assert f"# {key}=" in (ROOT / ".env.example").read_text()


@every_build
def test_a_pod_is_given_the_time_that_its_calls_take(name: str) -> None:
    objects = BUILT[name]
    literals = settings_of(objects)
    drain_sec, call_sec = int(literals["DRAIN_SECONDS"]), int(literals["MAX_CALL_SECONDS"])
    assert drain_sec >= call_sec
    assert app_pod(objects)["terminationGracePeriodSeconds"] >= drain_sec + SPARE_SEC
    proxy = only(objects, "Deployment", "haproxy")["spec"]["template"]["spec"]
    assert proxy["terminationGracePeriodSeconds"] >= drain_sec + SPARE_SEC
    assert app_container(objects)["lifecycle"]["preStop"]["exec"]["command"][-1] == "drain"


@every_build
def test_pods_are_restarted_for_a_closed_port_and_asked_for_their_capacity(name: str) -> None:
    app = app_container(BUILT[name])
    assert app["readinessProbe"]["httpGet"]["path"] == "/capacity"
    assert "tcpSocket" in app["livenessProbe"]
    assert "tcpSocket" in app["startupProbe"]
    assert app["resources"]["limits"]["nvidia.com/gpu"] == 1


@every_build
def test_nothing_runs_as_root_or_writes_beside_its_volumes(name: str) -> None:
    for pod in (pod["spec"] for pod in pods_of(BUILT[name])):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    assert app_pod(BUILT[name])["securityContext"]["runAsUser"] == 1000


def test_keda_alone_decides_how_many_there_are_and_by_figures_of_ours() -> None:
    objects = BUILT["overlays/keda"]
    assert "replicas" not in only(objects, "StatefulSet")["spec"]
    scaled = only(objects, "ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == only(objects, "StatefulSet")["metadata"]["name"]
    query = scaled["triggers"][0]["metadata"]["query"]
    metrics = (ROOT / "personaplex_ui" / "web" / "metrics.py").read_text()
    for metric in set(re.findall(r"personaplex_\w+", query)):
        assert f'("{metric.removeprefix("personaplex_")}", ' in metrics
    places = re.search(r"server-template \S+ (\d+) ", (FOLDER / "base" / "processes.cfg").read_text())
    assert places is not None
    assert scaled["maxReplicaCount"] <= int(places[1])


def test_agones_has_the_same_pod_with_a_reporter_beside_it() -> None:
    base, fleet = app_pod(BUILT["base"]), copy.deepcopy(app_pod(BUILT["overlays/agones"]))
    assert app_container(BUILT["overlays/agones"]) == app_container(BUILT["base"])
    differ = {"containers", "volumes", "automountServiceAccountToken"}
    assert {key: value for key, value in fleet.items() if key not in differ} == {
        key: value for key, value in base.items() if key not in differ
    }
    # Agones puts a container beside that needs its account.
    assert "automountServiceAccountToken" not in fleet
    reporter = next(each for each in fleet["containers"] if each["name"] == "reporter")
    assert reporter["image"] == app_container(BUILT["base"])["image"]
    objects = BUILT["overlays/agones"]
    spec = only(objects, "Fleet")["spec"]["template"]["spec"]
    assert only(objects, "FleetAutoscaler")["spec"]["policy"]["counter"]["key"] in spec["counters"]
    assert not [each for each in objects if each["kind"] == "StatefulSet"]


def test_haproxy_reads_the_clusters_configuration(tmp_path: Path) -> None:
    base = BUILT["base"]
    for name in ("haproxy-configuration", "haproxy-processes"):
        for file, text in only(base, "ConfigMap", name)["data"].items():
            (tmp_path / file).write_text(text)
    [container] = containers_of(only(base, "Deployment", "haproxy"))
    environment = {each["name"]: each.get("value", "600") for each in container["env"]}
    write_certificate(tmp_path / "site.pem")
    environment |= {"CERTIFICATE": str(tmp_path / "site.pem"), "PLACEMENT": str(tmp_path / "placement.lua")}
    files = ["-f", str(tmp_path / "haproxy.cfg"), "-f", str(tmp_path / "processes.cfg")]
    checked = subprocess.run(
        [haproxy_program(), "-c", *files], env=environment, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert (FILES / "placement.lua").read_text() == (tmp_path / "placement.lua").read_text()


def test_compose_and_haproxys_list_have_the_same_processes() -> None:
    compose = yaml.safe_load((FILES / "compose.yml").read_text())
    listed = dict(
        re.findall(
            r'^    server (\S+) "\$\{\w+-(127\.0\.0\.1:\d+)\}"', (FILES / "processes.cfg").read_text(), re.M
        )
    )
    processes = {name: each for name, each in compose["services"].items() if name != "haproxy"}
    assert len(processes) == 2
    gpus: list[str] = []
    for name, process in processes.items():
        environment = process["environment"]
        settings = Settings.from_mapping(environment)
        assert settings.instance_path == f"/{name}"
        assert listed[name] == f"{environment['HOST']}:{environment['PORT']}"
        assert process["stop_grace_period"] == f"{settings.drain_seconds + 30}s"
        assert settings.drain_seconds >= settings.max_call_seconds
        gpus += process["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
    assert gpus == ["0", "1"]

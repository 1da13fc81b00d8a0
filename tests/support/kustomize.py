"""Builds a kustomization of deploy/kubernetes: as much of Kustomize as those use, and no guess besides.

So it needs no cluster and no program. What ``kubectl kustomize`` builds of them is the same.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

Object = dict[str, Any]

CLUSTER_WIDE = {"Namespace"}
KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "generatorOptions", "configMapGenerator"),
    *("patches", "images"),
}


class BadKustomization(ValueError):
    """It asks for what Kustomize, or this, does not know, or for what is not there."""


def build(folder: Path) -> list[Object]:
    """The objects of ``folder``. Raises BadKustomization, or OSError for a file that is missing."""
    asked = read(folder / "kustomization.yaml")[0]
    check_keys(asked, KNOWN, "kustomization")
    objects: list[Object] = []
    for name in asked.get("resources", []):
        path = folder / name
        for each in build(path) if path.is_dir() else read(path):
            _add(objects, each)
    if "configMapGenerator" in asked and asked.get("generatorOptions") != {"disableNameSuffixHash": True}:
        raise BadKustomization("The names of generated ConfigMaps have to be stable.")
    for generator in asked.get("configMapGenerator", []):
        _generate(objects, generator, folder)
    for patch in asked.get("patches", []):
        check_keys(patch, {"patch"}, "patch")
        _patch(objects, yaml.safe_load(patch["patch"]))
    if namespace := asked.get("namespace"):
        for each in objects:
            if each["kind"] not in CLUSTER_WIDE:
                each["metadata"]["namespace"] = namespace
    for image in asked.get("images", []):
        check_keys(image, {"name", "newName", "newTag"}, "image")
        for container in (container for each in objects for container in containers_of(each)):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return objects


def read(path: Path) -> list[Object]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def identity(each: Mapping[str, Any]) -> tuple[str, str, str, str]:
    metadata = each["metadata"]
    return each["apiVersion"], each["kind"], metadata.get("namespace", ""), metadata["name"]


def containers_of(each: Mapping[str, Any]) -> list[Object]:
    """Those of a workload that Kubernetes itself knows."""
    if each["kind"] not in ("StatefulSet", "Deployment", "DaemonSet"):
        return []
    return each["spec"]["template"]["spec"]["containers"]


def check_keys(asked: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    if unknown := sorted(set(asked) - set(known)):
        raise BadKustomization(f"Unknown in a {what}: {', '.join(unknown)}.")


def _add(objects: list[Object], new: Object) -> None:
    if identity(new) in map(identity, objects):
        raise BadKustomization(f"Twice: {identity(new)}.")
    objects.append(new)


def _find(objects: list[Object], like: Object) -> Object:
    for each in objects:
        if identity(each) == identity(like):
            return each
    raise BadKustomization(f"There is no {identity(like)} to be changed.")


def _generate(objects: list[Object], asked: Mapping[str, Any], folder: Path) -> None:
    check_keys(asked, {"name", "namespace", "behavior", "files", "literals"}, "configMapGenerator")
    data = {Path(name).name: (folder / name).read_text() for name in asked.get("files", [])}
    data |= dict(cast(str, literal).split("=", 1) for literal in asked.get("literals", []))
    metadata = {key: asked[key] for key in ("name", "namespace") if key in asked}
    made: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    if asked.get("behavior") == "merge":
        _find(objects, made)["data"].update(data)
    else:
        _add(objects, made)


def _patch(objects: list[Object], patch: Object) -> None:
    target = _find(objects, patch)
    if patch.pop("$patch", "") == "delete":
        objects.remove(target)
    else:
        _merge(target, patch)


def _merge(target: Object, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, list):
            raise BadKustomization("Lists are merged by Kustomize in ways of their own.")
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), cast(Object, value))
        else:
            target[key] = value

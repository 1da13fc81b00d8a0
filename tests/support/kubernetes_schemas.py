"""Whether an object is one that Kubernetes takes: no unknown field, no missing one, no wrong type.

Kubernetes' own kinds are held against its schemas, which the package ``kubernetes-validate`` brings. The
others (KEDA, Prometheus' operator, Agones) have no package of schemas, so those here were written from their
documentation (keda.sh/docs, prometheus-operator.dev/docs/api-reference, agones.dev/site/docs/reference): only
the fields that deploy/kubernetes uses, each of which is known to exist.
"""

import functools
import importlib.resources
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema.validators import Draft202012Validator
from referencing import Registry, Resource

OLDEST, NEWEST = "1.31", "1.37"
"""In which all that is used is there, and whose schemas are there."""

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
WHOLE: Schema = {"type": "integer", "minimum": 0}
COUNT_OR_SHARE: Schema = {"anyOf": [WHOLE, {"type": "string", "pattern": "^[0-9]+%$"}]}
LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


class NotValid(ValueError):
    """Kubernetes would refuse the object, or drop a field of it."""


def check(each: Mapping[str, Any], *versions: str) -> None:
    """``versions``: of Kubernetes; without, the oldest and the newest. Raises NotValid."""
    versions = versions or (OLDEST, NEWEST)
    try:
        schema = CUSTOM.get((each["apiVersion"], each["kind"]))
        if schema is None:
            for version in versions:
                _schema_of(each["apiVersion"], each["kind"], version).validate(each)
            return
        jsonschema.validate(each, schema)
        if each["kind"] == "Fleet":
            pods: Schema = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pods"}}
            check(pods | {"template": each["spec"]["template"]["spec"]["template"]}, *versions)
    except jsonschema.ValidationError as error:
        raise NotValid(f"{each['kind']}: {error.json_path}: {error.message}") from error
    except (KeyError, FileNotFoundError) as error:
        raise NotValid(f"{each.get('kind')}: {error}") from error


@functools.cache
def _schema_of(api_version: str, kind: str, version: str) -> Draft202012Validator:
    """As ``kubernetes_validate.validate(..., strict=True)`` has it, which reads a megabyte each time.

    Raises:
        FileNotFoundError: Kubernetes has no such kind.
    """
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)  # rbac.authorization.k8s.io/v1: rbac-v1
    schema = _read(version, f"{kind.lower()}-{group}.json")
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(version))


@functools.cache
def _definitions(version: str) -> Registry[Any]:
    return Resource.from_contents(_read(version, "_definitions.json")) @ Registry[Any]()


def _read(version: str, name: str) -> Any:
    schemas = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    return json.loads((schemas / f"v{version}.0-local-strict" / name).read_text())


def one_of(*words: str) -> Schema:
    return {"enum": list(words)}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] = {}) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def custom(version: str, kind: str, spec: Schema) -> tuple[tuple[str, str], Schema]:
    metadata = record({"name": TEXT, "namespace": TEXT}, {"labels": LABELS})
    words = {"apiVersion": one_of(version), "kind": one_of(kind)}
    return (version, kind), record({**words, "metadata": metadata, "spec": spec})


POLICIES = listed(record({"type": one_of("Pods", "Percent"), "value": WHOLE, "periodSeconds": WHOLE}))
SCALING = record({}, {"stabilizationWindowSeconds": WHOLE, "policies": POLICIES})

SCALED_OBJECT = record(
    {
        "scaleTargetRef": record({"name": TEXT}, {"apiVersion": TEXT, "kind": TEXT}),
        "triggers": listed(
            record(
                {
                    "type": one_of("prometheus"),
                    # Numbers have to be quoted.
                    "metadata": record({"serverAddress": TEXT, "query": TEXT, "threshold": TEXT}),
                },
                {"metricType": one_of("AverageValue", "Value")},
            )
        ),
    },
    {
        "pollingInterval": WHOLE,
        "minReplicaCount": WHOLE,
        "maxReplicaCount": WHOLE,
        "fallback": record({"failureThreshold": WHOLE, "replicas": WHOLE}),
        "advanced": record(
            {
                "horizontalPodAutoscalerConfig": record(
                    {"behavior": record({}, {"scaleUp": SCALING, "scaleDown": SCALING})}
                )
            }
        ),
    },
)
POD_MONITOR = record(
    {
        "selector": record({"matchLabels": LABELS}),
        "podMetricsEndpoints": listed(
            record(
                {"port": TEXT},
                {
                    "path": TEXT,
                    "interval": TEXT,
                    "authorization": record(
                        {"type": TEXT, "credentials": record({"name": TEXT, "key": TEXT})}
                    ),
                },
            )
        ),
    }
)
COUNTERS: Schema = {
    "type": "object",
    "additionalProperties": record({"count": WHOLE, "capacity": WHOLE}),
}
GAME_SERVER = record(
    {"container": TEXT, "template": {"type": "object"}},
    {
        "health": record(
            {}, {"initialDelaySeconds": WHOLE, "periodSeconds": WHOLE, "failureThreshold": WHOLE}
        ),
        "counters": COUNTERS,
    },
)
FLEET = record(
    {"replicas": WHOLE, "template": record({"spec": GAME_SERVER}, {"metadata": record({"labels": LABELS})})},
    {
        "scheduling": one_of("Packed", "Distributed"),
        "priorities": listed(
            record(
                {"type": one_of("Counter", "List"), "key": TEXT, "order": one_of("Ascending", "Descending")}
            )
        ),
        "strategy": record(
            {"type": one_of("RollingUpdate", "Recreate")},
            {"rollingUpdate": record({"maxSurge": COUNT_OR_SHARE, "maxUnavailable": COUNT_OR_SHARE})},
        ),
    },
)
FLEET_AUTOSCALER = record(
    {
        "fleetName": TEXT,
        "policy": record(
            {
                "type": one_of("Counter"),
                "counter": record(
                    {"key": TEXT, "bufferSize": COUNT_OR_SHARE, "maxCapacity": WHOLE}, {"minCapacity": WHOLE}
                ),
            }
        ),
    },
    {"sync": record({"type": one_of("FixedInterval"), "fixedInterval": record({"seconds": WHOLE})})},
)
CUSTOM: dict[tuple[str, str], Schema] = dict(
    (
        custom("keda.sh/v1alpha1", "ScaledObject", SCALED_OBJECT),
        custom("monitoring.coreos.com/v1", "PodMonitor", POD_MONITOR),
        custom("agones.dev/v1", "Fleet", FLEET),
        custom("autoscaling.agones.dev/v1", "FleetAutoscaler", FLEET_AUTOSCALER),
    )
)

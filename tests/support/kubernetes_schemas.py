"""Whether an object is one that Kubernetes takes: no unknown field, no missing one, no wrong type.

Kubernetes' own kinds are held against its schemas, which the package ``kubernetes-validate`` brings. The
others (KEDA, Prometheus' operator, Agones) have no package of schemas, so those here were written from their
documentation (keda.sh/docs, prometheus-operator.dev/docs/api-reference, agones.dev/site/docs/reference): only
the fields that deploy/kubernetes uses, each of which is known to exist.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema
import kubernetes_validate

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
                kubernetes_validate.validate(dict(each), version, strict=True)
            return
        jsonschema.validate(each, schema)
        if each["kind"] == "Fleet":
            pods: Schema = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pods"}}
            check(pods | {"template": each["spec"]["template"]["spec"]["template"]}, *versions)
    except (
        jsonschema.ValidationError,
        kubernetes_validate.ValidationError,
        kubernetes_validate.SchemaNotFoundError,
        KeyError,
    ) as error:
        raise NotValid(f"{each.get('kind')}: {error}") from error


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

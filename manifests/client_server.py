"""The members of manifests/demo-client-server: what the webhook gives a Pod, as a StatefulSet of its own.

A member beside the application and one of a separate cluster are configured alike, so the same functions
make both. It is also what lets members of both be one cluster, while the demo moves from one to the other.
"""

from typing import Any

from hazelcast_sidecar.group_objects.desired_objects import HAZELCAST_YAML, JAVA_SECURITY
from hazelcast_sidecar.injection.member import container, grace_period, volumes
from hazelcast_sidecar.names import CONFIG_KEY, GROUP, PREFIX, SECURITY_KEY, resource_name
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from manifests.yaml_text import Comments, commented, dumped, made_from

NAME = "hazelcast"
"""Of the StatefulSet, of the Service for clients, and of the label that selects the Pods."""

_DISCOVERED = "members"
"""As the members' headless Service and ConfigMap are called behind the prefix of such names."""

_GROUP = "demo"
"""The group of the demo's own members."""

_OWN_GRACE = 30
"""Seconds: what Kubernetes gives a Pod to end."""

_HOSTNAME = "kubernetes.io/hostname"

_POD = ("spec", "template", "spec")
_REASONS: Comments = {
    (
        "spec",
        "serviceName",
    ): "Members start one after the other, and end so when this is scaled down: one at a time leaves.",
    (
        "spec",
        "template",
        "metadata",
        "labels",
        GROUP,
    ): "Members beside the demo's replicas look for others with this "
    "label, and these look for it, too: while both are there they are one cluster.",
    (*_POD, "terminationGracePeriodSeconds"): "For a member to hand over its entries.",
    (
        *_POD,
        "topologySpreadConstraints",
    ): "A node that is lost takes one member with it where there is another node.",
}


def files() -> dict[str, str]:
    """Return the text of each file of the folder that is made, by its name."""
    spec = _spec()
    return {
        "configmap.yaml": made_from("group_objects/hazelcast.yaml") + dumped(_config_map()),
        "statefulset.yaml": made_from("injection/member.py") + commented(_stateful_set(spec), _REASONS),
    }


def _spec() -> SidecarSpec:
    """Return what the annotation `inject` alone asks for, as an ordinary container."""
    given = {f"{PREFIX}inject": "true", f"{PREFIX}native-sidecar": "false"}
    spec = parse(given, DefaultSpecs(Settings()).of(""))
    if not isinstance(spec, SidecarSpec):
        raise TypeError(spec)
    return spec


def _config_map() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": resource_name(_DISCOVERED), "labels": _labels()},
        "data": {CONFIG_KEY: HAZELCAST_YAML, SECURITY_KEY: JAVA_SECURITY},
    }


def _stateful_set(spec: SidecarSpec) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": NAME, "labels": _labels()},
        "spec": {
            "replicas": 2,
            "serviceName": resource_name(_DISCOVERED),
            "selector": {"matchLabels": _labels()},
            "template": {
                "metadata": {"labels": {**_labels(), GROUP: _GROUP}},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": grace_period(spec, _OWN_GRACE),
                    "topologySpreadConstraints": [
                        {
                            "topologyKey": _HOSTNAME,
                            "maxSkew": 1,
                            "whenUnsatisfiable": "ScheduleAnyway",
                            "labelSelector": {"matchLabels": _labels()},
                        }
                    ],
                    "containers": [container(spec, _DISCOVERED, Settings().run_as_user)],
                    "volumes": volumes(spec, _DISCOVERED),
                },
            },
        },
    }


def _labels() -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME}

"""Installations, each by its values and by a kustomization of manifests/ that says the same."""

import json
from typing import Any, NamedTuple

from hazelcast_sidecar.names import CONTROLLER, INJECTOR, SETTINGS, SETTINGS_KEY
from manifests.components import COMPONENTS


class Installation(NamedTuple):
    """An installation, said twice."""

    values: dict[str, Any]
    kustomization: dict[str, Any]


def _patch(kind: str, name: str, *operations: tuple[str, str, object]) -> dict[str, Any]:
    made = [{"op": op, "path": path, "value": value} for op, path, value in operations]
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(made)}


_POD = "/spec/template/spec"
_SECRETS = [{"name": "registry"}]
_SPREAD = [
    {
        "topologyKey": "topology.kubernetes.io/zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "webhook"}},
    }
]
_TOLERATIONS = [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}]
_AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "arm", "operator": "DoesNotExist"}]}]
        }
    }
}
_SETTINGS = {
    "defaults": {"image": "mirror.example/hazelcast:5.7.0", "port": 6000, "disruption-budget": True},
    "namespaces": {"team-a": {"memory-limit": "1Gi"}},
    "runAsUser": "platform",
    "imagePullSecrets": [{"name": "mirror"}, {"name": "other.mirror"}],
}
_DIGEST = f"sha256:{'5' * 64}"

_RULE = "/spec/groups/0/rules/1"

SCHEDULED = Installation(
    {
        "imagePullSecrets": _SECRETS,
        "image": {"pullPolicy": "Always"},
        "webhook": {
            "replicas": 5,
            "resources": {"requests": {"cpu": "250m"}},
            "topologySpreadConstraints": _SPREAD,
            "priorityClassName": "system-node-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": _TOLERATIONS,
            "affinity": _AFFINITY,
        },
        "controller": {
            "replicas": 3,
            "priorityClassName": "own",
            "resources": {"limits": {"memory": "1Gi"}},
        },
    },
    {
        "resources": ["base"],
        "replicas": [{"name": INJECTOR, "count": 5}, {"name": CONTROLLER, "count": 3}],
        "patches": [
            _patch(
                "Deployment",
                INJECTOR,
                ("add", f"{_POD}/imagePullSecrets", _SECRETS),
                ("replace", f"{_POD}/containers/0/imagePullPolicy", "Always"),
                ("replace", f"{_POD}/containers/0/resources/requests/cpu", "250m"),
                ("replace", f"{_POD}/topologySpreadConstraints", _SPREAD),
                ("replace", f"{_POD}/priorityClassName", "system-node-critical"),
                ("add", f"{_POD}/nodeSelector", {"kubernetes.io/os": "linux"}),
                ("add", f"{_POD}/tolerations", _TOLERATIONS),
                ("add", f"{_POD}/affinity", _AFFINITY),
            ),
            _patch(
                "Deployment",
                CONTROLLER,
                ("add", f"{_POD}/imagePullSecrets", _SECRETS),
                ("replace", f"{_POD}/containers/0/imagePullPolicy", "Always"),
                ("replace", f"{_POD}/containers/0/resources/limits/memory", "1Gi"),
                ("add", f"{_POD}/priorityClassName", "own"),
            ),
            _patch(
                "ResourceQuota",
                INJECTOR,
                ("replace", "/spec/scopeSelector/matchExpressions/0/values", ["system-node-critical"]),
            ),
        ],
    },
)
"""With everything that says where and how the programs run."""

INSTALLATIONS = {
    "as it is": Installation({}, {"resources": ["base"]}),
    **{
        component.folder: Installation(
            component.values,
            {"resources": [component.folder]}
            if component.overlay
            else {"resources": ["base"], "components": [component.folder]},
        )
        for component in COMPONENTS
    },
    "components/monitoring": Installation(
        {"monitoring": {"prometheus": True, "dashboards": True}},
        {"resources": ["base"], "components": ["components/monitoring"]},
    ),
    "monitoring of three replicas, with a label": Installation(
        {
            "webhook": {"replicas": 3},
            "monitoring": {"prometheus": True, "dashboards": True, "labels": {"release": "prometheus"}},
        },
        {
            "resources": ["base"],
            "components": ["components/monitoring"],
            "replicas": [{"name": INJECTOR, "count": 3}],
            "patches": [
                {
                    "target": {"group": "monitoring.coreos.com"},
                    "patch": json.dumps(
                        [{"op": "add", "path": "/metadata/labels/release", "value": "prometheus"}]
                    ),
                },
                _patch(
                    "PrometheusRule",
                    INJECTOR,
                    ("replace", f"{_RULE}/expr", "count(hazelcast_sidecar_open_connections) < 3"),
                    (
                        "replace",
                        f"{_RULE}/annotations/summary",
                        "Fewer than 3 replicas of the webhook run",
                    ),
                ),
            ],
        },
    ),
    "several components": Installation(
        {
            "repair": "missed",
            "chosenNamespaces": True,
            "clientCertificates": {"enabled": True},
            "certificates": {"source": "cert-manager"},
        },
        {
            "resources": ["overlays/cert-manager"],
            "components": [
                "components/repair",
                "components/chosen-namespaces",
                "components/client-certificates",
            ],
        },
    ),
    "a mirror's image": Installation(
        {"image": {"repository": "mirror.example:5000/a/injector", "tag": "7.1"}},
        {
            "resources": ["base"],
            "images": [{"name": INJECTOR, "newName": "mirror.example:5000/a/injector", "newTag": "7.1"}],
        },
    ),
    "an image by digest": Installation(
        {"image": {"repository": "mirror.example/injector", "digest": _DIGEST}},
        {
            "resources": ["base"],
            "images": [{"name": INJECTOR, "newName": "mirror.example/injector", "digest": _DIGEST}],
        },
    ),
    "scheduled": SCHEDULED,
    "settings": Installation(
        {"settings": _SETTINGS},
        {
            "resources": ["base"],
            "patches": [
                _patch(
                    "ConfigMap",
                    SETTINGS,
                    ("replace", f"/data/{SETTINGS_KEY}", json.dumps(_SETTINGS)),
                )
            ],
        },
    ),
    "failures are ignored": Installation(
        {"failurePolicy": "Ignore"},
        {
            "resources": ["base"],
            "patches": [
                _patch(
                    "MutatingWebhookConfiguration",
                    INJECTOR,
                    *(("replace", f"/webhooks/{number}/failurePolicy", "Ignore") for number in (2, 3, 4)),
                )
            ],
        },
    ),
}
"""By what is special about them."""

WITHOUT_KUSTOMIZATION: dict[str, dict[str, Any]] = {
    "one replica each": {"webhook": {"replicas": 1}, "controller": {"replicas": 1}},
    "no quota": {"webhook": {"priorityClassName": "own"}},
    "dashboards alone": {"monitoring": {"dashboards": True, "labels": {"release": "prometheus"}}},
    "labels that the installation has": {
        "monitoring": {"prometheus": True, "labels": {"app.kubernetes.io/name": "another", "n": "1e3"}}
    },
    "no policies": {"networkPolicies": {"enabled": False}},
    "named clients": {"clientCertificates": {"enabled": True, "name": "kube-apiserver"}},
    "a name of clients, and no certificates": {"clientCertificates": {"name": "kube-apiserver"}},
    "all repaired": {"repair": "all"},
    "an issuer": {
        "certificates": {
            "source": "cert-manager",
            "issuerRef": {"kind": "ClusterIssuer", "name": "internal", "group": "example.com"},
        }
    },
    "tag and digest": {"image": {"tag": "7.1", "digest": _DIGEST}},
    "other limits": {"webhook": {"resources": {"limits": {"memory": None, "cpu": 2}}, "affinity": {}}},
    "no spread": {"controller": {"topologySpreadConstraints": []}},
    "texts that look like something else": {
        "webhook": {"nodeSelector": {"a": "true", "b": "1e3"}, "priorityClassName": "007"},
        "image": {"tag": "1.10"},
        "settings": {"namespaces": {"1": {"cluster-name": "{{ .Release.Name }}: \"' #"}}},
    },
}
"""Values for which a kustomization needs more than patches, or would say nothing new."""

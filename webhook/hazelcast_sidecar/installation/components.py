"""The components of kustomize in `manifests/`, as values."""

from hazelcast_sidecar.kube.objects import JsonObject

COMPONENTS: dict[str, JsonObject] = {
    "chosen-namespaces": {"chosenNamespaces": True},
    "client-certificates": {"clientCertificates": {"enabled": True}},
    "repair": {"repair": "missed"},
    "monitoring": {"monitoring": {"prometheus": True, "dashboards": True}},
    "unlabelled-workloads": {"unlabelledWorkloads": True},
    "watch-groups": {"watchGroups": True},
    "cert-manager": {"certificates": {"source": "cert-manager"}},
}
"""Those that are whole by themselves: `api-servers-only` needs addresses, `networkPolicies.apiServers`."""

"""The names that the injector, the controller and their users share."""

import hashlib
import re
from typing import NamedTuple

PREFIX = "sidecar.hazelcast.com/"
"""The prefix of all our annotations, which no other may use."""

INJECT = PREFIX + "inject"
"""Annotation of a Pod, its template or its workload, and label of the first two: is a member wanted."""
STATUS = PREFIX + "status"
"""Annotation on an injected Pod: what was done, as JSON. With the container it marks an injected Pod."""

COPIED = PREFIX + "copied"
"""Annotation on a workload: what of its annotations was copied onto its Pod template, as JSON."""

WRITTEN_ANNOTATIONS = frozenset((STATUS, COPIED))
"""The annotations under our prefix that only the webhook writes."""

GROUP = PREFIX + "group"
"""Annotation: which Pods form one cluster. Label on an injected Pod, which the headless Service selects."""

DISRUPTION_BUDGET = PREFIX + "disruption-budget"

ZONE = "topology.kubernetes.io/zone"
"""Label of a node, and since Kubernetes 1.35 of its Pods (KEP-4742)."""

SERVICE_NAME = "kubernetes.io/service-name"
"""Label of an EndpointSlice: whose addresses it has."""

MIRROR = "kubernetes.io/config.mirror"
"""Annotation of the kubelet on a mirror Pod, which represents a static Pod that runs from a file."""

INJECTOR = "hazelcast-sidecar-injector"
"""The name of the webhook's configuration, its Service and its Deployment."""

POD_WEBHOOKS = (
    "pods.sidecar.hazelcast.com",
    "again.pods.sidecar.hazelcast.com",
    "decisive.pods.sidecar.hazelcast.com",
    "others.pods.sidecar.hazelcast.com",
)
"""The webhooks of its configuration for Pods: three for labelled ones, called in turn until one answers, and
one for those that no workload with a label of its own made."""

CONTROLLER = "hazelcast-sidecar-controller"
"""The name of the controller's Deployment, its ServiceAccount, its roles and its Lease."""

INSTALLATION_LABELS = {"app.kubernetes.io/name": INJECTOR, "app.kubernetes.io/part-of": INJECTOR}
"""The labels of all objects of an installation."""

CONTROLLER_LABELS = {"app.kubernetes.io/name": INJECTOR, "app.kubernetes.io/component": "controller"}
"""The labels of the controller's Pods, by which a NetworkPolicy knows them."""

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label of a namespace, which the API server sets: its name."""

DISCOVERY = "hazelcast-sidecar-discovery"
"""The name of the ClusterRole for members that ask the Kubernetes API for each other."""

AUTHORITY_SECRET, LEAF_SECRET = f"{INJECTOR}-ca", f"{INJECTOR}-tls"
SETTINGS, SETTINGS_KEY = "hazelcast-sidecar-settings", "settings.yaml"
"""The ConfigMap with the settings of the webhook and the controller, and the file in it."""

CONTAINER = "hazelcast"
PORT_NAME = "hazelcast"
CONFIG_VOLUME = "hazelcast-config"
CONFIG_DIRECTORY = "/etc/hazelcast"
CONFIG_KEY = "hazelcast.yaml"
POD_CONFIG_KEY = "hazelcast-pod.yaml"
"""The configuration of members whose clients are in their own Pod."""
PLACED_CONFIG_KEY, PLACED_POD_CONFIG_KEY = "hazelcast-placed.yaml", "hazelcast-pod-placed.yaml"
"""The same two for members that keep backups away from where the entries are (annotation `backups`)."""
IPV6 = "ipv6"
"""Value of the annotation `ip-family`: members have IPv6 addresses."""
ISTIO_PORTS = (
    "traffic.sidecar.istio.io/excludeInboundPorts",
    "traffic.sidecar.istio.io/excludeOutboundPorts",
    "traffic.sidecar.istio.io/includeInboundPorts",
)
LINKERD_PORTS = ("config.linkerd.io/skip-inbound-ports", "config.linkerd.io/skip-outbound-ports")
MESH_PORTS = frozenset((*ISTIO_PORTS, *LINKERD_PORTS))
"""Annotations with ports that a mesh leaves alone: of the Pod, of others; Istio's last: all that it takes."""
LICENSE_KEY = "license-key"
"""The key of a Secret with a licence, as Hazelcast's own operator has it."""
SCC = "openshift.io/scc"
"""Annotation of a Pod on OpenShift: the security context constraints that it meets."""
SECURITY_KEY = "java.security"
"""The JVM's security properties, beside the configuration."""
TMP_VOLUME = "hazelcast-tmp"
API_VOLUME = "hazelcast-api-access"
MEMBER_VOLUMES = (CONFIG_VOLUME, TMP_VOLUME, API_VOLUME)
"""All that a member may have; no other volume of its Pod has one of these names."""

ANYWHERE = "any"
"""Value of the annotation `backups`: on any other member."""

POD_CLIENTS = "pod"
"""Value of the annotation `clients`: only containers of the member's own Pod."""

MAX_PORT = 65533
"""The largest port, which leaves room for two ports above it."""


class Ports(NamedTuple):
    """The ports of a member: for its clients, for other members, and for the kubelet's probes."""

    clients: int
    members: int
    probes: int


def ports_of(port: int, *, pod_clients: bool) -> Ports:
    """Return a member's ports: one for all, or three in a row if only its own Pod's clients are allowed."""
    return Ports(port, port + 1, port + 2) if pod_clients else Ports(port, port, port)


RESOURCE_PREFIX = "hazelcast-"
MAX_LABEL = 63
MAX_GROUP = MAX_LABEL - len(RESOURCE_PREFIX)
"""Maximal characters of a group, so that the Service named after it is a DNS label (RFC 1123)."""

DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
"""A DNS label by RFC 1123, apart from its length."""

_HASH_LENGTH = 8
MAX_SUBDOMAIN = 253


def service_names(namespace: str) -> list[str]:
    """Return the DNS names of the webhook's Service."""
    return [f"{INJECTOR}.{namespace}.svc", f"{INJECTOR}.{namespace}.svc.cluster.local"]


def resource_name(group: str) -> str:
    """Return the name of each object of a group."""
    return RESOURCE_PREFIX + group


def group_of_workload(workload: str) -> str:
    """Return the default group of a workload's Pods: its name, made to fit a DNS label.

    A workload's name may be longer than a label and contain other characters. Such a name is shortened and
    gets a hash of the whole, so that two of them never share a group by accident.
    """
    if is_group(workload):
        return workload
    digest = hashlib.sha256(workload.encode()).hexdigest()[:_HASH_LENGTH]
    # Cut first: lower case never makes a text shorter, though it may make it longer.
    length = MAX_GROUP - _HASH_LENGTH - 1
    stem = re.sub(r"[^a-z0-9-]", "-", workload[:length].lower())[:length].strip("-")
    return f"{stem}-{digest}".lstrip("-")


def is_object_name(text: str) -> bool:
    """Tell whether a text can name a Kubernetes object: a DNS subdomain (RFC 1123)."""
    return len(text) <= MAX_SUBDOMAIN and all(DNS_LABEL.fullmatch(label) for label in text.split("."))


def is_group(text: str) -> bool:
    """Tell whether a text can be a group: a DNS label with room for the prefix of names made of it."""
    return len(text) <= MAX_GROUP and DNS_LABEL.fullmatch(text) is not None

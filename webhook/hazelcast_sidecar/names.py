"""The names that the injector, the controller and their users share."""

import hashlib
import re
from typing import NamedTuple

PREFIX = "sidecar.hazelcast.com/"
"""What every annotation of ours begins with; nothing else may use it."""

INJECT = PREFIX + "inject"
STATUS = PREFIX + "status"
"""Annotation on an injected Pod: what was done, as JSON. With the container it says 'done already'."""

COPIED = PREFIX + "copied"
"""Annotation on a workload: what of its annotations was copied onto its Pod template, as JSON."""

WRITTEN_ANNOTATIONS = frozenset((STATUS, COPIED))
"""The annotations under our prefix that we write and nobody else."""

GROUP = PREFIX + "group"
"""Annotation: which Pods form one cluster. Label on an injected Pod: what the headless Service selects."""

DISRUPTION_BUDGET = PREFIX + "disruption-budget"

MIRROR = "kubernetes.io/config.mirror"
"""Annotation of the kubelet's on a mirror Pod, which shows a static Pod that it runs from a file."""

INJECTOR = "hazelcast-sidecar-injector"
"""Of the webhook's configuration, its Service and its Deployment."""

POD_WEBHOOKS = (
    "pods.sidecar.hazelcast.com",
    "again.pods.sidecar.hazelcast.com",
    "decisive.pods.sidecar.hazelcast.com",
)
"""The webhooks of its configuration that are asked about a Pod, in turn until one of them answers."""

CONTROLLER = "hazelcast-sidecar-controller"
"""Of the controller's Deployment, its ServiceAccount, its roles and its Lease."""

DISCOVERY = "hazelcast-sidecar-discovery"
"""Of the ClusterRole for members that ask the Kubernetes API for each other."""

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
SECURITY_KEY = "java.security"
"""The JVM's security properties, beside the configuration."""
TMP_VOLUME = "hazelcast-tmp"

ANYWHERE = "any"
"""Value of the annotation `backups`: on any other member."""

POD_CLIENTS = "pod"
"""Value of the annotation `clients`: only containers of the member's own Pod."""

MAX_PORT = 65533
"""Leaves room for the two above it."""


class Ports(NamedTuple):
    """Where a member listens: for its clients, for other members, and for the kubelet's probes."""

    clients: int
    members: int
    probes: int


def ports_of(port: int, *, pod_clients: bool) -> Ports:
    """A member's ports: one for all, or three in a row where only its own Pod's clients are let in."""
    return Ports(port, port + 1, port + 2) if pod_clients else Ports(port, port, port)


RESOURCE_PREFIX = "hazelcast-"
MAX_LABEL = 63
MAX_GROUP = MAX_LABEL - len(RESOURCE_PREFIX)
"""Characters a group may have, so that the Service named after it is a DNS label (RFC 1123)."""

DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
"""RFC 1123, apart from the length."""

_HASH_LENGTH = 8
MAX_SUBDOMAIN = 253


def service_names(namespace: str) -> list[str]:
    """The DNS names of the webhook's Service."""
    return [f"{INJECTOR}.{namespace}.svc", f"{INJECTOR}.{namespace}.svc.cluster.local"]


def resource_name(group: str) -> str:
    """The name of each object that stands beside the Pods of a group."""
    return RESOURCE_PREFIX + group


def group_of_workload(workload: str) -> str:
    """The group of a workload's Pods where none is annotated: its name, made to fit a DNS label.

    A workload's name may be longer than a label and contain other characters. Such a name is shortened and
    gets a hash of the whole, so that two of them never share a group by accident.
    """
    if is_group(workload):
        return workload
    digest = hashlib.sha256(workload.encode()).hexdigest()[:_HASH_LENGTH]
    # Cut before all else: letters do not get fewer by lower case, though they may get more.
    length = MAX_GROUP - _HASH_LENGTH - 1
    stem = re.sub(r"[^a-z0-9-]", "-", workload[:length].lower())[:length].strip("-")
    return f"{stem}-{digest}".lstrip("-")


def is_object_name(text: str) -> bool:
    """Whether a text can name a Kubernetes object: a DNS subdomain (RFC 1123)."""
    return len(text) <= MAX_SUBDOMAIN and all(DNS_LABEL.fullmatch(label) for label in text.split("."))


def is_group(text: str) -> bool:
    """Whether a text can be a group: a DNS label that leaves room for the prefix of names made of it."""
    return len(text) <= MAX_GROUP and DNS_LABEL.fullmatch(text) is not None

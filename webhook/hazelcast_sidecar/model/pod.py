"""The parts of a Pod that decide about its injection.

The API server sends a Pod of some kilobytes; decoding only these parts into typed structs is several
times faster than decoding the document, and checks their types on the way.
Source: Kubernetes API reference, core/v1 Pod. An absent list differs from an empty one: the JSON
Patch operation that appends to it differs, too.
"""

from typing import Annotated

import msgspec

from hazelcast_sidecar.owners import controller_of

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""The largest integer of the API server; one of thousands of digits cannot even be printed."""


class Named(msgspec.Struct, gc=False):
    """An element of which only the name matters: a volume, an environment variable."""

    name: str = ""


class Given(msgspec.Struct, gc=False):
    """An object of which only matters that it is there."""


class VolumeMount(msgspec.Struct, gc=False, rename="camel"):
    """A mount of a volume into a container."""

    name: str = ""
    mount_path: str = ""


class ContainerPort(msgspec.Struct, gc=False, rename="camel"):
    """A port that a container declares."""

    container_port: Int64
    name: str = ""
    protocol: str = "TCP"


Quantity = str | Int64 | float
"""A resource quantity: text when the API server sends it; in a manifest it may be a number."""


class ResourceRequirements(msgspec.Struct, gc=False):
    """Resource requests and limits, by resource name."""

    requests: dict[str, Quantity] | None = None
    limits: dict[str, Quantity] | None = None


class WindowsOptions(msgspec.Struct, gc=False, rename="camel"):
    """Options for containers on Windows."""

    host_process: bool | None = None


class SecurityContext(msgspec.Struct, gc=False, rename="camel"):
    """The security context of a container or of the whole Pod."""

    windows_options: WindowsOptions | None = None
    run_as_user: Int64 | None = None

    @property
    def is_host_process(self) -> bool:
        """Tell whether it runs the containers as processes of a Windows node."""
        return bool(self.windows_options and self.windows_options.host_process)


class Container(msgspec.Struct, gc=False, rename="camel"):
    """A container or init container."""

    name: str = ""
    image: str = ""
    env: list[Named] | None = None
    ports: list[ContainerPort] | None = None
    restart_policy: str | None = None
    """"Always" makes an init container a native sidecar."""
    security_context: SecurityContext | None = None
    resources: ResourceRequirements | None = None
    volume_mounts: list[VolumeMount] | None = None


class PodOwner(msgspec.Struct, gc=False):
    """What made the Pod, as far as it matters; in a manifest, other fields may have any type."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class PodMetadata(msgspec.Struct, gc=False, rename="camel"):
    """The Pod's metadata; the name may be missing until the API server generates it."""

    name: str = ""
    generate_name: str = ""
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    owner_references: list[PodOwner] | None = None


class NodeRequirement(msgspec.Struct, gc=False):
    """What a label of a node must be."""

    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class NodeTerm(msgspec.Struct, gc=False, rename="camel"):
    """Requirements on the labels of a node, all of which must be met."""

    match_expressions: list[NodeRequirement] | None = None


class NodeTerms(msgspec.Struct, gc=False, rename="camel"):
    """Terms of which one must be met."""

    node_selector_terms: list[NodeTerm] | None = None


class NodeAffinity(msgspec.Struct, gc=False, rename="camel"):
    """The nodes that a Pod may run on."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = None


class Affinity(msgspec.Struct, gc=False, rename="camel"):
    """The nodes that a Pod may run on, and what may keep the Pods of a workload apart."""

    node_affinity: NodeAffinity | None = None
    pod_anti_affinity: Given | None = None


class DnsConfig(msgspec.Struct, gc=False):
    """The Pod's own settings of DNS."""

    searches: list[str] | None = None


class Spec(msgspec.Struct, gc=False, rename="camel"):
    """The Pod's spec."""

    containers: list[Container] | None = None
    """None: the API server sends null for a Pod without containers, and rejects it afterwards."""
    init_containers: list[Container] | None = None
    volumes: list[Named] | None = None
    image_pull_secrets: list[Named] | None = None
    termination_grace_period_seconds: Int64 | None = None
    service_account_name: str = ""
    dns_policy: str = ""
    dns_config: DnsConfig | None = None
    restart_policy: str = ""
    host_network: bool | None = None
    node_selector: dict[str, str] | None = None
    topology_spread_constraints: list[Given] | None = None
    affinity: Affinity | None = None
    os: Named | None = None
    security_context: SecurityContext | None = None
    resources: ResourceRequirements | None = None
    """Of the whole Pod (KEP-2837)."""


class Pod(msgspec.Struct, gc=False):
    """A Pod as far as injection reads it."""

    metadata: PodMetadata
    spec: Spec

    @property
    def containers(self) -> list[Container]:
        """Return init containers and containers."""
        return [*(self.spec.init_containers or ()), *(self.spec.containers or ())]

    @property
    def claim_names(self) -> tuple[str, ...]:
        """Return the names of volumes that its workload adds to those of the spec."""
        return ()

    def path_at(self, index: int) -> str:
        """Return the JSON path of the container that `containers` has at this index."""
        before = len(self.spec.init_containers or ())
        return f"spec.initContainers[{index}]" if index < before else f"spec.containers[{index - before}]"

    @property
    def display_name(self) -> str:
        """Return the name, or the beginning of the name that the API server will generate."""
        return self.metadata.name or f"{self.metadata.generate_name}*"


def is_controlled(pod: Pod) -> bool:
    """Tell whether a workload owns the Pod."""
    return _controller(pod.metadata) is not None


def _controller(metadata: PodMetadata) -> PodOwner | None:
    """Return the controller that made a Pod; the Node that owns a mirror Pod does not count."""
    owner = controller_of(metadata.owner_references)
    return None if owner is None or owner.kind == NODE else owner


NODE = "Node"
"""The kind that owns the mirror Pods of a node's static Pods."""

WITHOUT_SCALE = ("Job", "CronJob", "DaemonSet")
"""Kinds of workloads without the scale subresource."""


def is_scalable(pod: Pod) -> bool:
    """Tell whether the workload that made the Pod has the scale subresource, judging by its kind.

    A PodDisruptionBudget with maxUnavailable takes the number of Pods from it. Unknown kinds
    may have one.
    Source: Kubernetes documentation, "Specifying a Disruption Budget for your Application".
    """
    owner = _controller(pod.metadata)
    return owner is not None and owner.kind not in WITHOUT_SCALE


def owner_kind(pod: Pod) -> str:
    """Return the kind of the workload that made the Pod; empty if there is none."""
    owner = _controller(pod.metadata)
    return owner.kind if owner else ""


HASH_LABELS = ("pod-template-hash", "rollouts-pod-template-hash")
"""Set by Deployments and by Argo Rollouts on the Pods of each ReplicaSet that they make."""


NAMING_LABELS = {
    "Deployment": "serving.knative.dev/service",
    "Job": "scaledjob.keda.sh/name",
    "ReplicaSet": "serving.knative.dev/service",
    "ReplicationController": "deploymentconfig",
}
"""Labels with the name of what creates such an owner of Pods for each rollout, by the owner's kind.

Set by Knative Serving, KEDA and OpenShift on the Pods; the owner's name begins with that name.
"""


def workload_name(pod: Pod) -> str:
    """Return the name of the workload that a Pod belongs to, as far as the Pod itself shows.

    A ReplicaSet of a Deployment has its name, followed by the template's hash, which the Pod carries as a
    label; a Pod without an owner is its own workload.
    """
    metadata = pod.metadata
    owner = _controller(metadata)
    if owner is None:
        return metadata.name or metadata.generate_name.rstrip("-")
    labels = metadata.labels or {}
    maker = labels.get(NAMING_LABELS.get(owner.kind, ""))
    if maker and owner.name.startswith(f"{maker}-"):
        return maker
    if owner.kind == "ReplicaSet":
        for label in HASH_LABELS:
            template_hash = labels.get(label)
            if template_hash and owner.name.endswith(f"-{template_hash}"):
                return owner.name.removesuffix(f"-{template_hash}")
    return owner.name

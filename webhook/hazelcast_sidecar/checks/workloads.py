"""The workloads of Pods, as far as the Pods themselves show; only the controller verifies it."""

from collections.abc import Iterable

from hazelcast_sidecar.checks.snapshot import ObjectName
from hazelcast_sidecar.injection.drift import as_created
from hazelcast_sidecar.kube.objects import Kind, Metadata, owner_of
from hazelcast_sidecar.model.pod import workload_name
from hazelcast_sidecar.model.rolling_workload import ROLLING_KINDS
from hazelcast_sidecar.names import is_object_name

ROLLING = {name: Kind(name, "/apis/apps/v1", f"{name.lower()}s") for name in ROLLING_KINDS}
"""The kinds of workloads with rollouts, by name."""


def workload_of(pod: Metadata) -> ObjectName:
    """Return the workload of a Pod; its kind and name are any text."""
    owner = owner_of(pod)
    name = workload_name(as_created(pod))
    return ObjectName(owner.kind if name == owner.name else "Deployment", pod.namespace, name)


def rolling_workloads(pods: Iterable[Metadata]) -> list[ObjectName]:
    """Return the workloads of Pods that have rollouts, each once."""
    found = dict.fromkeys(workload_of(pod) for pod in pods)
    return [each for each in found if each.kind in ROLLING and is_object_name(each.name)]

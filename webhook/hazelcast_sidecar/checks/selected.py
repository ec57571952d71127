"""Whether the API server has Pods injected, by the selectors of what is registered as it was read."""

from collections.abc import Mapping

from hazelcast_sidecar.checks.results import Unread
from hazelcast_sidecar.kube.objects import JsonObject, Metadata
from hazelcast_sidecar.model.selection import Selected, selection_of

_Read = JsonObject | Unread | None


def selected(
    registered: tuple[_Read, _Read, _Read],
    namespaces: Mapping[str, Metadata] | Unread,
    namespace: str,
    pod: Mapping[str, str] | None,
) -> Selected:
    """Tell whether a Pod that is created now would be injected.

    Args:
        registered: the MutatingWebhookConfiguration, the MutatingAdmissionPolicy and its binding.
        namespaces: those of the cluster.
        namespace: the Pod's.
        pod: its labels; None for any Pod.
    """
    labels = None
    if not isinstance(namespaces, Unread) and namespace in namespaces:
        labels = namespaces[namespace].labels
    read = (None if isinstance(each, Unread) else each for each in registered)
    found = selection_of(*read).of(labels, pod)
    if found is not Selected.YES and any(isinstance(each, Unread) for each in registered):
        return Selected.UNKNOWN
    return found

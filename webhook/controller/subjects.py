"""From what made a Pod to the workload that a person looks at."""

from collections import OrderedDict
from typing import NamedTuple

from webhook.kube.api import Api, Kind, OwnerReference
from webhook.names import is_object_name

_MAX_KNOWN = 4096


class _Step(NamedTuple):
    """A kind that others make, and their kind."""

    kind: Kind
    made_by: str


_STEPS = {
    ("apps", "ReplicaSet"): _Step(Kind("ReplicaSet", "/apis/apps/v1", "replicasets"), "Deployment"),
    ("batch", "Job"): _Step(Kind("Job", "/apis/batch/v1", "jobs"), "CronJob"),
}


class Subjects:
    """The workloads of owners: a ReplicaSet's Deployment, a Job's CronJob, else the owner itself.

    The last ones found are kept, each under its namespace: whoever makes Pods writes their owner.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: OrderedDict[tuple[str, OwnerReference], OwnerReference] = OrderedDict()

    def known(self, namespace: str, owner: OwnerReference) -> OwnerReference | None:
        """The workload, where that needs no request."""
        if _step(owner) is None:
            return owner
        return self._known.get((namespace, owner))

    async def find(self, namespace: str, owner: OwnerReference) -> OwnerReference:
        """The workload; the owner itself where that has gone.

        Raises:
            ApiError: refused.
        """
        step = _step(owner)
        if step is None:
            return owner
        found = await self._api.get(step.kind, namespace, owner.name)
        subject = owner
        if found is not None and found.metadata.uid == owner.uid:
            group = _group(owner)
            for reference in found.metadata.owner_references:
                if reference.controller and (_group(reference), reference.kind) == (group, step.made_by):
                    subject = reference
        self._known[namespace, owner] = subject
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return subject


def _step(owner: OwnerReference) -> _Step | None:
    """What made the owner, by its kind; None where nothing does, or it has a name that no object has."""
    return _STEPS.get((_group(owner), owner.kind)) if is_object_name(owner.name) else None


def _group(reference: OwnerReference) -> str:
    return reference.api_version.partition("/")[0]

"""Verification of what Pods claim about themselves, before their group gets anything for it."""

from contextlib import suppress

import msgspec

from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.events.top_owner import CONFIRMABLE, TopOwners, is_well_formed
from hazelcast_sidecar.controller.reconcile.groups import Bearers, Claim, Groups, Key, Standing
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.sampled_log import SampledLog
from hazelcast_sidecar.group_objects.claims import Facts, PodWithMember, contradiction, facts_of
from hazelcast_sidecar.group_objects.desired_objects import SCALABLE, GroupWorkload
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import POD, pod_reference
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.runtime.log import LogLine

_AT_ONCE = 20
"""Pods of a group that are read before other groups have their turn."""

_REJECTED = "status rejected"
_LINES, _LINES_PER_SECOND = 20, 0.2


class Verifier:
    """Verifier that reads one whole Pod for each claim, and looks up its owner; most Pods are never read."""

    def __init__(
        self, api: Api, groups: Groups, recorder: Recorder, metrics: ControllerMetrics, log: LogLine
    ) -> None:
        self._api, self._groups, self._recorder = api, groups, recorder
        self._metrics, self._log = metrics, SampledLog(log, _LINES, _LINES_PER_SECOND)
        self._subjects: TopOwners = recorder.subjects

    async def verify(self, key: Key) -> bool:
        """Verify the claims of a group; return False if some are left for later.

        Raises:
            ApiError: refused.
        """
        for number, (bearers, uid, name) in enumerate(self._groups.doubtful(key)):
            if number == _AT_ONCE:
                return False
            await self._verify(bearers, uid, name)
        return True

    async def confirm_again(self, key: Key) -> None:
        """Look up the owners of a group once more.

        The garbage collector changes or deletes an object with an owner that does not exist: restoring such
        an owner would go on for ever.

        Raises:
            ApiError: refused.
        """
        seen: set[OwnerReference] = set()
        for bearers in list(self._groups.believed(key)):
            if bearers.standing is not None:
                owner = bearers.claim.owner
                standing = await self._standing(bearers.claim, again=owner not in seen)
                seen.add(owner)
                self._groups.believe(bearers, standing)

    async def _verify(self, bearers: Bearers, uid: str, name: str) -> None:
        claim = bearers.claim
        try:
            facts = self._groups.facts(uid)
        except KeyError:
            try:
                facts = await self._read(claim.key.namespace, uid, name)
            except LookupError:
                self._groups.skip(bearers, uid)
                return
        why = contradiction(facts, claim.status)
        if why is None:
            self._groups.believe(bearers, await self._standing(claim))
        else:
            self._groups.refuse(bearers, uid, facts)
            self._say(claim, pod_reference(name, uid), why)

    async def _read(self, namespace: str, uid: str, name: str) -> Facts | None:
        """Read the facts about a Pod's member; None if it has no member, or cannot be decoded.

        Raises:
            ApiError: refused.
            LookupError: it is gone.
        """
        with suppress(msgspec.MsgspecError, RecursionError):
            pod = await self._api.read_as(PodWithMember, POD, namespace, name)
            if pod is None or pod.metadata.uid != uid:
                raise LookupError(name)
            return facts_of(pod)
        return None

    async def _standing(self, claim: Claim, *, again: bool = False) -> Standing | None:
        """Find the owner of Pods; None if it does not exist, so that each Pod is its own workload."""
        owner = claim.owner
        found = await self._subjects.confirm(claim.key.namespace, owner, again=again)
        if found is not None:
            above = found.maker or found.reference
            scalable = (owner.api_version, owner.kind) in SCALABLE
            return Standing(found.reference, GroupWorkload(above.uid, _shown(above), scalable))
        if (owner.api_version, owner.kind) in CONFIRMABLE or owner.kind == "Pod":
            return None
        if not is_well_formed(owner):
            return None
        # A kind that the controller may not read, such as a CloneSet. The garbage collector can: if the
        # owner does not exist, that deletes the Pods, too.
        return Standing(owner, GroupWorkload(owner.uid, _shown(owner), scalable=False))

    def _say(self, claim: Claim, pod: OwnerReference, why: str) -> None:
        """Count a rejection, and report it at a limited rate: forged Pods must not displace other Events."""
        self._metrics.rejected.inc()
        namespace = claim.key.namespace
        if not self._log(_REJECTED, _REJECTED, "warning", namespace=namespace, pod=pod.name, why=why):
            return
        sentence = (
            f"its status annotation is ignored: {why}. The webhook writes that annotation; "
            "delete the Pod, so that its workload creates it again"
        )
        self._recorder.tell(namespace, pod, "StatusRejected", sentence, pod=pod, warning=True)


def _shown(owner: OwnerReference) -> str:
    return f"{owner.kind}/{owner.name}"

"""A healthy installation as a snapshot, for tests to change one thing of."""

import base64
import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from hazelcast_sidecar.certificates import make_authority, make_leaf
from hazelcast_sidecar.checks import dry_run
from hazelcast_sidecar.checks.group_health import groups_of, needed, unmet
from hazelcast_sidecar.checks.snapshot import DryRun, PodWithoutMember, Snapshot
from hazelcast_sidecar.checks.workloads import rolling_workloads
from hazelcast_sidecar.group_objects.desired_objects import OURS, of_group, requirements_of
from hazelcast_sidecar.injection.drift import as_created
from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.kube.objects import Metadata
from hazelcast_sidecar.model.rolling_workload import RollingWorkload
from hazelcast_sidecar.model.status import Status, encode
from hazelcast_sidecar.names import GROUP, INJECT, STATUS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.version import __version__
from tests.harness.pods import ours

MANIFESTS = Path(__file__).parents[2] / "manifests" / "base"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = "hazelcast-sidecar-injector"
AUTHORITY = make_authority(NOW)
LEAF = make_leaf(AUTHORITY, [f"{OWN}.{OWN}.svc"], NOW, lifetime=timedelta(days=90))

_SPEC = parse({INJECT: "true"}, DefaultSpecs(Settings()).of("default"))
assert isinstance(_SPEC, SidecarSpec)
TODAYS = fingerprint(_SPEC, Settings().run_as_user)


def manifest(file: str, kind: str) -> dict[str, Any]:
    """An object of manifests/base, for the caller to change."""
    return deepcopy(next(document for document in _documents(file) if document["kind"] == kind))


@cache
def _documents(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / file).read_text()))


def configuration() -> dict[str, Any]:
    """The shipped one, with a caBundle."""
    made = manifest("webhook.yaml", "MutatingWebhookConfiguration")
    for each in made["webhooks"]:
        each["clientConfig"]["caBundle"] = base64.b64encode(AUTHORITY.certificate).decode()
    return made


def deployment(file: str, available: int = 2) -> dict[str, Any]:
    """A shipped one, of which so many replicas are available."""
    made = manifest(file, "Deployment")
    return {**made, "spec": {"replicas": 2, **made["spec"]}, "status": {"availableReplicas": available}}


def settings(text: str) -> dict[str, Any]:
    """The ConfigMap with these settings."""
    return {"data": {"settings.yaml": text}}


def node(name: str, version: str = "v1.34.1", system: str = "linux") -> dict[str, Any]:
    """A node, as far as it is looked at."""
    info = {"kubeletVersion": version, "operatingSystem": system}
    return {"metadata": {"name": name}, "status": {"nodeInfo": info}}


def lease(renewed: datetime = NOW, holder: str = "one") -> dict[str, Any]:
    """The controller's, renewed then."""
    stamp = renewed.isoformat().replace("+00:00", "Z")
    return {"spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": stamp}}


def endpoint_slice(service: str, namespace: str, *addresses: str, ready: bool = True) -> dict[str, Any]:
    """The addresses of a Service."""
    listed = [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses]
    metadata = {"name": service, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}}
    return {"metadata": metadata, "endpoints": listed}


def record(group: str = "shop", **changed: Any) -> Status:
    """What the webhook leaves on a Pod."""
    made = {"version": __version__, "group": group, "cluster": "dev", "image": "hazelcast/hazelcast:5.7.0"}
    return Status(**{**made, "discovery": "dns", "port": 5701, "fingerprint": TODAYS, **changed})


def injected(name: str = "shop-1", namespace: str = "team-a", **changed: Any) -> Metadata:
    """A Pod of the Deployment shop with its member."""
    made = record(**changed)
    return Metadata(
        name=name,
        namespace=namespace,
        uid=f"uid-of-{name}",
        labels={"app": "shop", "pod-template-hash": "5d4f9c", GROUP: made.group, INJECT: "true"},
        known_annotations={INJECT: "true", STATUS: encode(made)},
        owner_references=(owner(),),
    )


def owner() -> OwnerReference:
    """The ReplicaSet of the Deployment shop."""
    return OwnerReference("apps/v1", "ReplicaSet", "shop-5d4f9c", "uid-of-shop", controller=True)


def pod_without_member(
    name: str = "shop-1", namespace: str = "team-a", alike: int = 1, **annotations: str
) -> PodWithoutMember:
    """A Pod of the Deployment shop that asks for a member and has none."""
    given = ours(**annotations)
    labels = {"pod-template-hash": "5d4f9c", INJECT: "true"}
    pod = Metadata(
        name=name, namespace=namespace, labels=labels, known_annotations=given, owner_references=(owner(),)
    )
    return PodWithoutMember(pod, as_created(pod), alike)


def tried(version: str = __version__, *, member: bool = True, seconds: float = 0.02) -> DryRun:
    """A Pod that came back."""
    pod = deepcopy(dry_run.POD)
    if member:
        pod["metadata"]["annotations"][STATUS] = encode(record(version=version))
        pod["spec"]["initContainers"] = [{"name": "hazelcast"}]
    return DryRun("default", (seconds, seconds, seconds), pod)


def with_pods(snapshot: Snapshot, *pods: Metadata) -> Snapshot:
    """These Pods run, and all that they need is there."""
    groups = groups_of(pods)
    services = {
        (group.namespace, obj["metadata"]["name"]): obj
        for group in groups
        for obj in of_group(requirements_of(group.statuses), group.name, group.namespace)
        if obj["kind"] == "Service"
    }
    return replace(
        snapshot,
        pods=list(pods),
        running=frozenset(pod.uid for pod in pods),
        existing_objects={name: Metadata(labels=OURS) for name in needed(groups)},
        unmet_requests=dict.fromkeys(unmet(groups)),
        services=services,
        group_endpoints=[endpoint_slice(name, namespace, "10.1.0.1") for namespace, name in services],
        workloads={name: rolling() for name in rolling_workloads(pods)},
    )


def rolling(replicas: int = 3, **spec: Any) -> RollingWorkload:
    """A workload whose rollouts end one Pod at a time, and that is found ready at once."""
    containers = [{"name": "app", "readinessProbe": {"periodSeconds": 1}}]
    given = {"replicas": replicas, "template": {"spec": {"containers": containers}}, **spec}
    return msgspec.convert({"spec": given}, RollingWorkload)


def policy(name: str, spec: dict[str, Any], namespace: str = "team-a") -> dict[str, Any]:
    """A NetworkPolicy."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


EMPTY = with_pods(
    Snapshot(
        now=NOW,
        namespace=OWN,
        version={"gitVersion": "v1.34.1"},
        nodes=[node("one"), node("two")],
        configuration=configuration(),
        mutating_policy=None,
        mutating_binding=None,
        webhook=deployment("deployment.yaml"),
        controller=deployment("controller.yaml"),
        endpoints=[endpoint_slice(OWN, OWN, "10.0.0.7", "10.0.0.8")],
        lease=lease(),
        settings=settings("defaults: {}"),
        leaf=LEAF.certificate,
        served=None,
        dry_run=tried(),
        missing_permissions=[],
        namespaces={
            name: Metadata(name=name, labels={"kubernetes.io/metadata.name": name})
            for name in ("default", "kube-system", "team-a", OWN)
        },
        without_member=[],
        policies=[],
        autoscalers={},
        budgets={},
        admission_api={"resources": [{"kind": "MutatingWebhookConfiguration"}]},
        configurations=[],
        denied_permissions=[],
    )
)
"""An installation that nobody uses yet."""

HEALTHY = with_pods(EMPTY, injected())


def changed_configuration(change: Any) -> Snapshot:
    """The healthy one with another configuration."""
    made = configuration()
    change(made["webhooks"])
    return replace(HEALTHY, configuration=json.loads(json.dumps(made)))

"""What other webhooks remove from injected Pods: each a change of the Pod in place, by its name."""

from collections.abc import Callable
from typing import Any

from tests.harness.strategies import PREFIX, Document

TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where it is mounted
TOKEN_MOUNT = {"name": "kube-api-access-x", "mountPath": TOKEN_DIRECTORY, "readOnly": True}
STATUS, GROUP = f"{PREFIX}status", f"{PREFIX}group"


def member(pod: Document) -> Document:
    """Find the member container of an injected Pod."""
    spec = pod["spec"]
    found = [*(spec.get("initContainers") or []), *spec["containers"]]
    return next(each for each in found if each["name"] == "hazelcast")


def without(elements: list[Document], key: str, value: str) -> list[Document]:
    """The elements of a list but those with this value."""
    return [each for each in elements if each.get(key) != value]


def _volume(name: str) -> Callable[[Document], None]:
    def change(pod: Document) -> None:
        pod["spec"]["volumes"] = without(pod["spec"].get("volumes") or [], "name", name)

    return change


def _mount(path: str) -> Callable[[Document], None]:
    def change(pod: Document) -> None:
        member(pod)["volumeMounts"] = without(member(pod).get("volumeMounts") or [], "mountPath", path)

    return change


def _variable(name: str) -> Callable[[Document], None]:
    def change(pod: Document) -> None:
        member(pod)["env"] = without(member(pod).get("env") or [], "name", name)

    return change


def _field(name: str) -> Callable[[Document], None]:
    def change(pod: Document) -> None:
        member(pod).pop(name, None)

    return change


def _metadata(part: str, key: str) -> Callable[[Document], None]:
    def change(pod: Document) -> None:
        (pod["metadata"].get(part) or {}).pop(key, None)

    return change


def _labels(pod: Document) -> None:
    pod["metadata"].pop("labels", None)


def _token(pod: Document) -> None:
    """As the API server mounts it where ours is away, when it looks at the Pod again."""
    mounts = member(pod).get("volumeMounts") or []
    if any(mount["mountPath"] == TOKEN_DIRECTORY for mount in mounts):
        member(pod)["volumeMounts"] = [*without(mounts, "mountPath", TOKEN_DIRECTORY), TOKEN_MOUNT]


def _volumes(pod: Document) -> None:
    own = [each for each in pod["spec"].get("volumes") or [] if each["name"] not in VOLUMES]
    pod["spec"]["volumes"] = own
    if not own:
        del pod["spec"]["volumes"]


VOLUMES = ("hazelcast-config", "hazelcast-tmp", "hazelcast-api-access")

TEARS: dict[str, Callable[[Any], None]] = {
    "restartPolicy": _field("restartPolicy"),
    "a volume": _volume("hazelcast-tmp"),
    "the other volume": _volume("hazelcast-config"),
    "volumes": _volumes,
    "a mount": _mount("/tmp"),  # noqa: S108 - in the container
    "the other mount": _mount("/etc/hazelcast"),
    "the token": _token,
    "mounts": _field("volumeMounts"),
    "a variable": _variable("HZ_CLUSTERNAME"),
    "discovery": _variable("HAZELCAST_KUBERNETES_SERVICE_DNS"),
    "env": _field("env"),
    "label": _metadata("labels", GROUP),
    "labels": _labels,
    "status": _metadata("annotations", STATUS),
}
"""What leaves the Pod recognizable, each for itself."""

TEARS_BY_API: dict[str, Callable[[Any], None]] = {
    "the access to the API": _volume("hazelcast-api-access"),
    "the token": _token,
}
"""What is more of a Pod whose member asks the Kubernetes API."""


def in_any_order(pod: Document) -> Document:
    """The Pod with the lists that parts are put back into by name, whatever their order."""
    made = {**pod, "spec": dict(pod["spec"])}
    made["spec"]["volumes"] = sorted(pod["spec"].get("volumes") or [], key=_name)
    for part in ("initContainers", "containers"):
        made["spec"][part] = [
            {
                **each,
                "env": sorted(each.get("env") or [], key=_name),
                "volumeMounts": sorted(each.get("volumeMounts") or [], key=lambda mount: mount["mountPath"]),
            }
            if each["name"] == "hazelcast"
            else each
            for each in pod["spec"].get(part) or []
        ]
    made["metadata"] = {**pod["metadata"], "labels": pod["metadata"].get("labels") or {}}
    return made


def _name(element: Document) -> str:
    return str(element["name"])

"""What an injection is about: the few parts of a Pod by which it is understood."""

from typing import Any

from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import PREFIX, STATUS

_OF_CONTAINER = ("name", "image", "restartPolicy", "ports", "env")
_OF_VOLUME = ("name", "configMap")
_SHOWN_ENV = "HAZELCAST_"


def outline(pod: JsonObject) -> JsonObject:
    """Return the annotations, the containers with image and ports, the volumes and the grace period.

    What configures the member in detail is left out, as is what records the injection.
    """
    spec = pod["spec"]
    annotations = {
        name: value
        for name, value in pod["metadata"]["annotations"].items()
        if name.startswith(PREFIX) and name != STATUS
    }
    shown: JsonObject = {"metadata": {"annotations": annotations}, "spec": {}}
    for key in ("initContainers", "containers"):
        if key in spec:
            shown["spec"][key] = [_container(each, member=key == "initContainers") for each in spec[key]]
    if "volumes" in spec:
        shown["spec"]["volumes"] = [_some(volume, _OF_VOLUME) for volume in spec["volumes"]]
    shown["spec"]["terminationGracePeriodSeconds"] = spec["terminationGracePeriodSeconds"]
    return shown


def _container(container: JsonObject, *, member: bool) -> JsonObject:
    found = _some(container, _OF_CONTAINER)
    env = [each for each in found.pop("env", []) if each["name"].startswith(_SHOWN_ENV)]
    if env and not member:
        found["env"] = env
    return found


def _some(mapping: JsonObject, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}

"""An object as the cluster has it, and the settings that are installed there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.model.workload import KINDS
from hazelcast_sidecar.names import INJECTOR, SETTINGS
from hazelcast_sidecar.spec.settings import Settings, installed
from hazelcast_sidecar.untrusted import UNDECODABLE

if TYPE_CHECKING:
    import argparse

    from hazelcast_sidecar.kube.client import Api
    from hazelcast_sidecar.kube.objects import Kind

_SHORT = {
    "deploy": "Deployment",
    "sts": "StatefulSet",
    "ds": "DaemonSet",
    "rs": "ReplicaSet",
    "cj": "CronJob",
}
_NAMES = {"po": "Pod", "pod": "Pod", "pods": "Pod"} | _SHORT
_NAMES |= {f"{name.lower()}{end}": name for _, name in KINDS for end in ("", "s")}


def fetch(options: argparse.Namespace) -> tuple[dict[str, Any], Settings]:
    """Return the object that `options.target` names, and the settings of the installation.

    Raises:
        InvalidSettingsError: the kind or the object does not exist, or no cluster answers.
    """
    kind, _, name = options.target.rpartition("/")
    known = _NAMES.get((kind or "pod").lower().partition(".")[0])
    if known is None or not name:
        kinds = ", ".join(sorted({*_NAMES.values()}))
        sentence = f'"{options.target}" is neither a Pod nor KIND/NAME, where KIND is one of {kinds}'
        raise InvalidSettingsError([Problem("target", sentence)])
    return asyncio.run(_fetch(options, known, name))


async def _fetch(options: argparse.Namespace, kind: str, name: str) -> tuple[dict[str, Any], Settings]:
    # Imported here, because explaining files does not need them.
    from kubernetes.aio.client import ApiClient  # noqa: PLC0415

    from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words  # noqa: PLC0415
    from hazelcast_sidecar.kube.kubeconfig import as_kubectl  # noqa: PLC0415

    configuration = await as_kubectl(options.kubeconfig, options.context)
    async with ApiClient(configuration) as client:
        api = Api(client)
        try:
            found = await api.read(_kind(kind), options.namespace, name)
            if found is None:
                sentence = f"the namespace {options.namespace} has no {kind} {name}"
                raise InvalidSettingsError([Problem("target", sentence)])
            return found, await _installed(api)
        except (*CONNECTION_ERRORS, *UNDECODABLE, ApiError) as error:
            raise InvalidSettingsError([Problem(configuration.host, in_words(error))]) from error


def _kind(name: str) -> Kind:
    from hazelcast_sidecar.kube.objects import POD, Kind  # noqa: PLC0415

    if name == "Pod":
        return POD
    group = next(group for group, known in KINDS if known == name)
    return Kind(name, f"/apis/{group}/v1", f"{name.lower()}s")


async def _installed(api: Api) -> Settings:
    """Return the settings in the installation's ConfigMap, or the shipped ones if there is none."""
    from hazelcast_sidecar.kube.objects import KEPT_KINDS  # noqa: PLC0415

    return installed(await api.read(KEPT_KINDS["ConfigMap"], INJECTOR, SETTINGS))

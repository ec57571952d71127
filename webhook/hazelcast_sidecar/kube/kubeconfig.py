"""Which cluster is asked, and as whom."""

import logging
from pathlib import Path

import yaml
from kubernetes.aio import client, config

from hazelcast_sidecar.errors import InvalidSettingsError, Problem

_READ_BUFFER = 64 * 1024
"""Bytes that are read ahead of each response: lines of a watch are cut by `kube/bounded.py`."""

_UNUSABLE = (config.ConfigException, OSError, yaml.YAMLError)


def _empty() -> client.Configuration:
    found = client.Configuration()
    found.client_session_kwargs = {"read_bufsize": _READ_BUFFER}
    return found


async def configuration(kubeconfig: Path | None) -> client.Configuration:
    """Of the cluster that a kubeconfig names; without one, of the cluster that this Pod runs in.

    Raises:
        InvalidSettingsError: there is none.
    """
    found = _empty()
    try:
        if kubeconfig is None:
            config.load_incluster_config(found)
        else:
            await config.load_kube_config(str(kubeconfig), client_configuration=found)
    except _UNUSABLE as error:
        where = "--kubeconfig" if kubeconfig else "in-cluster configuration"
        raise InvalidSettingsError(
            [Problem(where, f"{error} (outside a cluster, --kubeconfig names one)")]
        ) from error
    return found


async def as_kubectl(kubeconfig: Path | None, context: str | None) -> client.Configuration:
    """Of the cluster that kubectl would ask: the file, else what KUBECONFIG names, else ~/.kube/config.

    Raises:
        InvalidSettingsError: there is none, or no such context.
    """
    # It logs that a file is missing; what matters of it is raised here.
    logging.getLogger("kubernetes.aio.config.kube_config").setLevel(logging.ERROR)
    found = _empty()
    file = str(kubeconfig) if kubeconfig else None
    try:
        await config.load_kube_config(file, context=context, client_configuration=found)
    except _UNUSABLE as error:
        where = f"context {context}" if context else "kubeconfig"
        hint = "--kubeconfig or KUBECONFIG names one, `kubectl config get-contexts` lists its contexts"
        raise InvalidSettingsError([Problem(where, f"{error} ({hint})")]) from error
    return found

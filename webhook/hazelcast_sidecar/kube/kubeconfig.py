"""The cluster and the user that requests are for."""

import logging
import os
from pathlib import Path

import yaml
from kubernetes.aio import client, config

from hazelcast_sidecar.errors import InvalidSettingsError, Problem

_READ_BUFFER = 64 * 1024
"""Bytes that are read ahead of each response: `kube/bounded.py` splits the lines of a watch."""

_UNUSABLE = (config.ConfigException, OSError, yaml.YAMLError)


def _empty() -> client.Configuration:
    found = client.Configuration()
    found.client_session_kwargs = {"read_bufsize": _READ_BUFFER}
    return found


async def configuration(kubeconfig: Path | None) -> client.Configuration:
    """Return the configuration of a kubeconfig; without one, of the cluster that this Pod runs in.

    Raises:
        InvalidSettingsError: it is missing or invalid.
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
            [Problem(where, f"{error} (outside a cluster, give --kubeconfig)")]
        ) from error
    return found


def _is_in_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ


async def as_kubectl(kubeconfig: Path | None, context: str | None) -> client.Configuration:
    """Return the configuration that kubectl would use: the file, else KUBECONFIG, else ~/.kube/config.

    In a Pod without any of these it is that of the Pod's own cluster.

    Raises:
        InvalidSettingsError: it is missing, or has no such context.
    """
    # The library logs a missing file; what matters is raised here.
    logging.getLogger("kubernetes.aio.config.kube_config").setLevel(logging.ERROR)
    found = _empty()
    file = str(kubeconfig) if kubeconfig else None
    try:
        await config.load_kube_config(file, context=context, client_configuration=found)
    except _UNUSABLE as error:
        if kubeconfig is None and context is None and _is_in_pod() and not os.environ.get("KUBECONFIG"):
            return await configuration(None)
        where = f"context {context}" if context else "kubeconfig"
        hint = "set --kubeconfig or KUBECONFIG; `kubectl config get-contexts` lists contexts"
        raise InvalidSettingsError([Problem(where, f"{error} ({hint})")]) from error
    return found

"""How an installation is applied again: in the way that it was installed, as far as its objects show it."""

from shlex import quote

from hazelcast_sidecar.checks.snapshot import Snapshot

_RELEASE, _NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
"""Annotations that Helm puts on each object of a release."""
_BY_KUBECTL = (
    "kubectl apply -k manifests/base  # or as it was installed: "
    "hazelcast-sidecar install | kubectl apply -f -"
)


def install_again(snapshot: Snapshot, *values: str, otherwise: str = _BY_KUBECTL) -> str:
    """Return the command.

    Args:
        snapshot: of the installation.
        values: those of the chart that must have this value, as NAME=VALUE.
        otherwise: what to do where Helm did not install it.
    """
    for obj in (snapshot.configuration, snapshot.webhook, snapshot.controller, snapshot.settings):
        found = (obj.get("metadata", {}).get("annotations") or {}) if isinstance(obj, dict) else {}
        if _RELEASE in found and _NAMESPACE in found:
            where = f"{quote(found[_RELEASE])} manifests/chart --namespace {quote(found[_NAMESPACE])}"
            given = "".join(f" --set {value}" for value in values)
            return f"helm upgrade {where} --reset-then-reuse-values{given}"
    return otherwise

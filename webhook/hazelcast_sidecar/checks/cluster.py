"""Checks of the API server and the nodes."""

import re
from collections import Counter
from collections.abc import Iterable

from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.names import SETTINGS

_AREA = Area("cluster")
_MATCH_CONDITIONS = (1, 30)
"""The first version with match conditions (GA)."""
_NATIVE_SIDECARS = (1, 29)


def api_server(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the API server knows match conditions: without them the webhook would delay every Pod."""
    check = "API server"
    if isinstance(snapshot.version, Unread):
        return [_AREA.skipped(check, snapshot.version)]
    version = snapshot.version.get("gitVersion", "")
    if _minor(version) < _MATCH_CONDITIONS:
        message = f"{version} is older than 1.30, the first version with match conditions"
        return [
            _AREA.problem(check, message, "kubectl version  # upgrade the control plane to 1.30 or newer")
        ]
    return [_AREA.ok(check, f"{version}")]


def kubelets(snapshot: Snapshot) -> list[CheckResult]:
    """Check that the nodes support native sidecars."""
    check = "kubelets"
    if isinstance(snapshot.nodes, Unread):
        return [_AREA.skipped(check, snapshot.nodes)]
    versions = {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in snapshot.nodes
    }
    old = [name for name, version in versions.items() if _minor(version) < _NATIVE_SIDECARS]
    if old:
        message = (
            f"{len(old)} of {len(versions)} nodes are older than 1.29, for example {old[0]} "
            f"({versions[old[0]]}): native sidecars do not start there"
        )
        fix = (
            f'kubectl -n {snapshot.namespace} edit configmap {SETTINGS}  # native-sidecar: "false" under '
            "defaults, or upgrade these nodes"
        )
        return [_AREA.warning(check, message, fix)]
    return [_AREA.ok(check, _shown(versions.values()))]


def operating_systems(snapshot: Snapshot) -> list[CheckResult]:
    """Check that there are nodes that members can run on."""
    check = "node systems"
    if isinstance(snapshot.nodes, Unread):
        return [_AREA.skipped(check, snapshot.nodes)]
    systems = [node["status"]["nodeInfo"]["operatingSystem"] for node in snapshot.nodes]
    if "linux" not in systems:
        message = "no node runs Linux, and members need Linux"
        return [_AREA.problem(check, message, "kubectl get nodes -o wide  # and add one with Linux")]
    return [_AREA.ok(check, _shown(systems))]


def _minor(version: str) -> tuple[int, int]:
    """Return major and minor of v1.30.1-eks-1234; (0, 0) if it is not a version."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _shown(texts: Iterable[str]) -> str:
    counted = Counter(texts)
    return ", ".join(f"{text} ({number})" for text, number in sorted(counted.items()))

"""The files of manifests/ that come from the code, and the package's copy of the others.

`make manifests` writes them. The objects are the product's own functions'; here they become text, with the
reasons as comments.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from hazelcast_sidecar.group_objects.desired_objects import discovery_role
from hazelcast_sidecar.injection import webhook_configuration as registration
from hazelcast_sidecar.installation.base import REPAIR, settings_map
from hazelcast_sidecar.kube import permissions
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.monitoring.alerts import prometheus_rule
from hazelcast_sidecar.monitoring.dashboards import dashboards_map
from hazelcast_sidecar.monitoring.pod_monitors import pod_monitors
from hazelcast_sidecar.names import CONTROLLER, INJECTOR, INSTALLATION_LABELS
from manifests import chart, client_server, components, monitoring
from manifests.yaml_text import SEPARATOR, comment, commented, dumped, made_from

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "manifests"
PACKAGED = ROOT / "webhook" / "hazelcast_sidecar" / "installation" / "written.yaml"
_CERTIFICATES = FOLDER / "overlays" / "cert-manager" / "certificates.yaml"
_GENERATED = ("webhook.yaml", "controller-rbac.yaml")


def files() -> dict[Path, str]:
    """Return the text of each file."""
    made = {
        PACKAGED: _packaged(),
        FOLDER / "base" / "webhook.yaml": webhook(INJECTOR),
        FOLDER / "base" / "controller-rbac.yaml": controller_rbac(INJECTOR),
        FOLDER / "components" / "repair" / "rbac.yaml": repair_rbac(INJECTOR),
    }
    for name, text in components.kustomizations().items():
        made[FOLDER / name / "kustomization.yaml"] = text
    for name, text in monitoring.files().items():
        made[FOLDER / "components" / "monitoring" / name] = text
    for name, text in client_server.files().items():
        made[FOLDER / "demo-client-server" / "members" / name] = text
    for name, text in chart.files(_sources()).items():
        made[FOLDER / "chart" / name] = text
    return made


def written_by_hand() -> list[Path]:
    """Return the files with objects that are written by hand, in the order of the kustomization."""
    base = FOLDER / "base"
    resources = yaml.safe_load((base / "kustomization.yaml").read_text("utf-8"))["resources"]
    return [*(base / name for name in resources if name not in _GENERATED), _CERTIFICATES]


def _packaged() -> str:
    paths = written_by_hand()
    objects = [each for path in paths for each in yaml.safe_load_all(path.read_text("utf-8"))]
    head = "Made by `make manifests` from the files of manifests/ that are written by hand; change those."
    return comment(head) + SEPARATOR.join(map(dumped, objects))


def _sources() -> dict[str, str]:
    """Return the texts that the chart's templates are made of, each with the name of its template."""
    namespace = chart.NAMESPACE
    by_hand = {path.name: path.read_text("utf-8") for path in written_by_hand()}
    return {
        **by_hand,
        "settings.yaml": dumped(settings_map()),
        "controller-rbac.yaml": controller_rbac(namespace),
        "repair-rbac.yaml": repair_rbac(namespace),
        "rules.yaml": dumped(prometheus_rule(namespace)),
        "pod-monitors.yaml": SEPARATOR.join(map(dumped, pod_monitors(namespace))),
        "dashboards.yaml": dumped(dashboards_map(namespace)),
        "webhook.yaml": webhook(namespace),
    }


def webhook(namespace: str) -> str:
    """Write the webhook's configuration."""
    configuration = registration.webhook_configuration(namespace)
    return made_from("injection/webhook_configuration.py") + commented(configuration, registration.REASONS)


def controller_rbac(namespace: str) -> str:
    """Write what the controller may do."""
    everywhere = (
        "What the controller may do, and no more; tests/apiserver/test_rights.py takes each verb away in "
        "turn."
    )
    discovery = (
        "What `discovery: api` gives the ServiceAccount of a group's Pods, in their namespace: the "
        "controller binds it there."
    )
    documents = (
        commented(
            permissions.role("ClusterRole", CONTROLLER, permissions.IN_CLUSTER),
            {(): everywhere, **permissions.reasons(permissions.IN_CLUSTER)},
        ),
        dumped(permissions.binding("ClusterRole", CONTROLLER, namespace)),
        commented(discovery_role(), {(): discovery}),
        commented(
            permissions.role("Role", CONTROLLER, permissions.IN_OWN_NAMESPACE),
            {(): "In its own namespace.", **permissions.reasons(permissions.IN_OWN_NAMESPACE)},
        ),
        dumped(permissions.binding("Role", CONTROLLER, namespace)),
    )
    return made_from("kube/permissions.py") + SEPARATOR.join(documents)


def repair_rbac(namespace: str) -> str:
    """Write what the controller may do with --repair."""
    why = "Eviction honours PodDisruptionBudgets; the right to delete Pods, which would not, is not given."
    made: tuple[JsonObject, ...] = (
        permissions.role("ClusterRole", REPAIR, permissions.TO_REPAIR),
        permissions.binding("ClusterRole", REPAIR, namespace),
    )
    for each in made:
        each["metadata"]["labels"] = INSTALLATION_LABELS  # the base's are given to what the base has
    head = made_from("kube/permissions.py") + comment(why)
    return head + SEPARATOR.join(map(dumped, made))


def _write(made: Mapping[Path, str]) -> bool:
    """Write the files that differ, and return whether there are any."""
    stale = {
        path: text for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text
    }
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)} is new\n")
    return bool(stale)


if __name__ == "__main__":
    if _write({PACKAGED: _packaged()}):  # which this process has read as it was before
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "manifests.make"])  # noqa: S606 - itself
    _write(files())

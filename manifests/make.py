"""The files of manifests/ that come from the code: `make manifests` writes them.

The objects are the product's own functions'; here they become text, with the reasons as comments.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from hazelcast_sidecar.group_objects.desired_objects import discovery_role
from hazelcast_sidecar.injection import webhook_configuration as registration
from hazelcast_sidecar.kube import permissions
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import CONTROLLER, INJECTOR

FOLDER = Path(__file__).parent
_WIDTH = 118
_SOURCE = "Made by `make manifests` from webhook/hazelcast_sidecar/{}; change that instead."
_REPAIR = f"{CONTROLLER}-repair"
_LABELS = {"app.kubernetes.io/name": INJECTOR, "app.kubernetes.io/part-of": INJECTOR}

Comments = Mapping[tuple[str | int, ...], str]


def files() -> dict[Path, str]:
    """Return the text of each file."""
    return {
        FOLDER / "base" / "webhook.yaml": _webhook(),
        FOLDER / "base" / "controller-rbac.yaml": _controller_rbac(),
        FOLDER / "components" / "chosen-namespaces" / "kustomization.yaml": _chosen_namespaces(),
        FOLDER / "components" / "repair" / "rbac.yaml": _repair_rbac(),
    }


def _webhook() -> str:
    head = _SOURCE.format("injection/webhook_configuration.py")
    return _comment(head) + _text(registration.webhook_configuration(), registration.REASONS)


def _controller_rbac() -> str:
    head = _SOURCE.format("kube/permissions.py")
    everywhere = (
        "What the controller may do, and no more; tests/apiserver/test_rights.py takes each verb away in "
        "turn."
    )
    discovery = (
        "What `discovery: api` gives the ServiceAccount of a group's Pods, in their namespace: the "
        "controller binds it there."
    )
    documents = (
        _text(
            permissions.role("ClusterRole", CONTROLLER, permissions.IN_CLUSTER),
            {(): everywhere, **permissions.reasons(permissions.IN_CLUSTER)},
        ),
        _text(permissions.binding("ClusterRole", CONTROLLER)),
        _text(discovery_role(), {(): discovery}),
        _text(
            permissions.role("Role", CONTROLLER, permissions.IN_OWN_NAMESPACE),
            {(): "In its own namespace.", **permissions.reasons(permissions.IN_OWN_NAMESPACE)},
        ),
        _text(permissions.binding("Role", CONTROLLER)),
    )
    return _comment(head) + "---\n".join(documents)


def _repair_rbac() -> str:
    why = "Eviction honours PodDisruptionBudgets; the right to delete Pods, which would not, is not given."
    made = (
        permissions.role("ClusterRole", _REPAIR, permissions.TO_REPAIR),
        permissions.binding("ClusterRole", _REPAIR),
    )
    for each in made:
        each["metadata"]["labels"] = _LABELS  # the base's are given to what the base has
    head = _comment(_SOURCE.format("kube/permissions.py")) + _comment(why)
    return head + "---\n".join(map(_text, made))


def _chosen_namespaces() -> str:
    ((label, value),) = registration.CHOSEN.items()
    head = (
        _comment(_SOURCE.format("injection/webhook_configuration.py"))
        + "#\n"
        + _comment("Injects in namespaces alone that are labelled for it:")
        + f"#\n#   kubectl label namespace shop {label}={value}\n#\n"
        + _comment(
            "The API server chooses by a namespace's labels before it evaluates a match condition, for "
            "which it makes a copy of each new Pod. So Pods of all other namespaces cost nothing; an "
            "annotation there does nothing. The controller and `hazelcast-sidecar check` count such Pods as "
            "missed, with the reason, and the component `repair` leaves them alone."
        )
    )
    operations = [
        {"op": "add", "path": f"/webhooks/{number}/namespaceSelector/matchExpressions/-", "value": expression}
        for number in range(len(registration.webhook_configuration()["webhooks"]))
        for expression in registration.chosen_expressions(registration.CHOSEN)
    ]
    target = {"kind": "MutatingWebhookConfiguration", "name": INJECTOR}
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"target": target, "patch": _dumped(operations)}],
    }
    return head + _text(component)


# --- text --------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Lists of short values in one line, long texts folded, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - as PyYAML has it
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def _sequence(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.SequenceNode:
    short = all(isinstance(value, str) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else ">" if len(text) > _WIDTH // 2 else None if text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(list, _sequence)
_Dumper.add_representer(str, _string)


def _dumped(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _text(document: JsonObject, comments: Comments | None = None) -> str:
    """Write an object, with comments before the parts that they are about."""
    text = _dumped(document)
    lines = text.splitlines(keepends=True)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    places = [(*_place(root, path), comment) for path, comment in (comments or {}).items()]
    for line, column, comment in sorted(places, reverse=True):
        lines[line:line] = [_comment(comment, column)]
    return "".join(lines)


def _place(node: yaml.Node | None, path: Sequence[str | int]) -> tuple[int, int]:
    """Find the line and the column where a part of a document begins."""
    line, column = 0, 0
    for part in path:
        if isinstance(node, yaml.MappingNode):
            key, node = next(pair for pair in node.value if pair[0].value == part)
            line, column = key.start_mark.line, key.start_mark.column
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line, column = node.start_mark.line, node.start_mark.column - len("- ")
        else:
            raise LookupError(path)  # noqa: TRY004 - the path leads nowhere
    return line, column


def _comment(text: str, column: int = 0) -> str:
    lines = wrap(text, _WIDTH - column - 2, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{' ' * column}# {line}\n" for line in lines)


if __name__ == "__main__":
    for path, content in files().items():
        if path.read_text("utf-8") != content:
            path.write_text(content, "utf-8")
            sys.stdout.write(f"{path.relative_to(FOLDER.parent)} is new\n")

"""The Helm chart: the manifests' own texts, with expressions where values change them.

A template is the text of `manifests/base`, comments included. Each change of `installation/edits.py` takes
the place of a node in it, or becomes lines behind one; the rest is what `kubectl apply -k` applies.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
import yaml

from hazelcast_sidecar.installation.edits import (
    END,
    OPTIONAL,
    Condition,
    Edit,
    Expression,
    FieldPath,
    TemplateShape,
)
from hazelcast_sidecar.installation.rendering import edits_of, identity, is_namespaced
from hazelcast_sidecar.installation.values import Values
from hazelcast_sidecar.installation.values_reader import values_schema
from hazelcast_sidecar.kube import permissions
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import INJECTOR, INSTALLATION_LABELS
from hazelcast_sidecar.version import __version__
from manifests.yaml_text import SEPARATOR, comment, commented, compose, dumped

NAMESPACE = "NAMESPACE_OF_THE_RELEASE"
"""In a text that templates are made of: the installation's namespace."""

_CHECK = "hazelcast-sidecar-check"
"""The name of the test's Pod, its account and roles: for each of them Helm 3 asks for the log of a Pod."""
_TRIED = "default"
"""The namespace of the dry run."""
_RELEASE_NAMESPACE = Expression(lambda values: values, ".Release.Namespace")
_WITHIN_TEXT = _RELEASE_NAMESPACE._replace(shape=TemplateShape.PART)
_HEAD = (
    "Made by `make manifests` from the manifests for kustomize and "
    "webhook/hazelcast_sidecar/installation/edits.py."
)


def files(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the files of the chart by their names.

    Args:
        sources: the manifests' texts by file name.
    """
    return {
        "Chart.yaml": comment("Made by `make manifests`.") + dumped(_about()),
        "values.yaml": _values(),
        "values.schema.json": json.dumps(_schema(), indent=2, ensure_ascii=False) + "\n",
        **{
            f"templates/{name}": _template(text) for name, text in sources.items() if name != "namespace.yaml"
        },
        "templates/tests/check-rbac.yaml": _template(_check_rbac()),
    }


def _about() -> JsonObject:
    return {
        "apiVersion": "v2",
        "name": INJECTOR,
        "description": "Gives annotated workloads a Hazelcast cluster, a member beside each of their Pods",
        "type": "application",
        "version": __version__,
        "appVersion": __version__,
        "kubeVersion": ">=1.30.0-0",
    }


def _values() -> str:
    schema = values_schema()
    descriptions = dict(_descriptions(schema, schema["$defs"]["Values"], ()))
    head = (
        "Made by `make manifests` from webhook/hazelcast_sidecar/installation/values.py; docs/install.md "
        "explains each way to install. Unknown keys are refused."
    )
    text = commented(msgspec.to_builtins(Values()), descriptions)
    return comment(head) + re.sub(r"^((?:# .*\n)+)", r"\n\1", text, flags=re.MULTILINE)


def _descriptions(schema: JsonObject, part: JsonObject, path: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    """Yield what the schema says of each value, by its path."""
    for name, found in part.get("properties", {}).items():
        if "description" in found:
            yield (*path, name), found["description"]
        if reference := found.get("$ref"):
            inner = schema["$defs"][reference.rpartition("/")[2]]
            if inner.get("title", "").endswith("Values") and name != "resources":
                yield from _descriptions(schema, inner, (*path, name))


def _schema() -> JsonObject:
    """Return the schema, with the global values that a chart which has this one as a part may have."""
    schema = values_schema()
    schema["$defs"]["Values"]["properties"]["global"] = {"type": "object"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _check_rbac() -> str:
    """Write what the Pod of templates/tests/check.yaml may do, for as long as it runs."""
    hook = {
        "helm.sh/hook": "test",
        "helm.sh/hook-weight": "-1",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    }
    account: JsonObject = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _CHECK}}
    everywhere = permissions.role("ClusterRole", _CHECK, permissions.TO_CHECK)
    there = permissions.role("Role", _CHECK, permissions.TO_TRY)
    objects: list[tuple[JsonObject, Sequence[permissions.PolicyRule]]] = [
        (account, ()),
        (everywhere, permissions.TO_CHECK),
        (permissions.binding("ClusterRole", _CHECK, NAMESPACE, account=_CHECK), ()),
        (there, permissions.TO_TRY),
        (permissions.binding("Role", _CHECK, NAMESPACE, account=_CHECK), ()),
    ]
    for made, _ in objects:
        made["metadata"]["annotations"] = hook
        if made["kind"] in ("Role", "RoleBinding"):
            made["metadata"]["namespace"] = _TRIED
    return SEPARATOR.join(commented(made, permissions.reasons(rules)) for made, rules in objects)


# --- templates ---------------------------------------------------------------------------------------------


class _Change(NamedTuple):
    """Lines of a text to remove, and what to put in their place."""

    first: int
    behind: int
    lines: tuple[str, ...]
    when: Condition | None = None
    column: int = 0


class _Tokens:
    """Words that stand for expressions in YAML, until it is done."""

    def __init__(self) -> None:
        self._expressions: list[Expression] = []

    def of(self, content: object) -> Any:  # noqa: ANN401 - as what it is given
        """Return content with a word in place of each expression."""
        match content:
            case Expression():
                self._expressions.append(content)
                return f"EXPRESSION_{len(self._expressions) - 1}_"
            case dict():
                return {key: self.of(value) for key, value in content.items()}
            case list():
                return [self.of(each) for each in content]
            case _:
                return content

    def replaced(self, text: str) -> str:
        """Put the expressions in the place of their words."""
        for number, expression in enumerate(self._expressions):
            if expression.shape in (TemplateShape.NUMBER, TemplateShape.STRING, TemplateShape.PART):
                quoted = " | quote" if expression.shape == TemplateShape.STRING else ""
                text = text.replace(f"EXPRESSION_{number}_", f"{{{{ {expression.template}{quoted} }}}}")
            else:
                text = re.sub(
                    rf"^( *)(.*:) EXPRESSION_{number}_$",
                    partial(_below, expression),
                    text,
                    flags=re.MULTILINE,
                )
        return text


def _below(expression: Expression, found: re.Match[str]) -> str:
    """Write an expression whose outcome is lines below its key."""
    before, key = found.groups()
    inner = " " * (len(before) + 2)
    if expression.shape == TemplateShape.LINES:
        return before + key + "".join(f"\n{inner}{line}" for line in expression.template.splitlines())
    given = f"({expression.template})" if " " in expression.template else expression.template
    bar = " |" if expression.shape == TemplateShape.TEXT else ""
    return f"{before}{key}{bar}\n{inner}{{{{- toYaml {given} | nindent {len(inner)} }}}}"


def _template(text: str) -> str:
    """Make the template of a file with one or more objects."""
    text = re.sub(r"\A# Made by .*\n", "", text)
    text = re.sub(r"\{\{.*?\}\}", _literal, text, flags=re.DOTALL)
    tokens = _Tokens()
    whole = rf"(?<=: ){NAMESPACE}$|(?<=, ){NAMESPACE}(?=\])"
    for place, expression in ((whole, _RELEASE_NAMESPACE), (NAMESPACE, _WITHIN_TEXT)):
        text = re.sub(place, tokens.of(expression), text, flags=re.MULTILINE)
    made = SEPARATOR.join(_document(document, tokens) for document in text.split(SEPARATOR))
    return comment(_HEAD) + tokens.replaced(made)


def _literal(found: re.Match[str]) -> str:
    """Write braces that are not the template's, but Prometheus' or Grafana's, as a raw string of Go."""
    if "`" in found[0]:
        raise ValueError(f"no raw string can have a back quote: {found[0]}")
    return f"{{{{`{found[0]}`}}}}"


def _document(text: str, tokens: _Tokens) -> str:
    """Make the template of one object."""
    obj, root = yaml.safe_load(text), compose(text)
    lines = text.splitlines(keepends=True)
    changes = [_change(root, edit, tokens) for edit in (*_metadata(obj), *edits_of(obj))]
    # From the end on, so that the others' places stay; those of one place in their order.
    for place in sorted({(change.first, change.behind) for change in changes}, reverse=True):
        here = [change for change in changes if (change.first, change.behind) == place]
        here.sort(key=lambda change: -change.column)  # a list that ends a mapping ends first
        lines[place[0] : place[1]] = _conditional(here)
    condition = OPTIONAL.get(identity(obj))
    made = "".join(lines)
    return made if condition is None else f"{{{{- if {condition.template} }}}}\n{made}{{{{- end }}}}\n"


def _metadata(obj: JsonObject) -> Iterator[Edit]:
    kind, name = identity(obj)
    if is_namespaced(obj) and "namespace" not in obj["metadata"]:
        yield Edit(kind, name, ("metadata", "namespace"), _RELEASE_NAMESPACE)
    if "labels" not in obj["metadata"]:
        yield Edit(kind, name, ("metadata", "labels"), INSTALLATION_LABELS)


def _conditional(changes: Iterable[_Change]) -> Iterator[str]:
    """Yield the lines of changes of one place; neighbours with one condition share it."""
    before: Condition | None = None
    column = 0
    for change in changes:
        if before != change.when:
            if before is not None:
                yield f"{' ' * column}{{{{- end }}}}\n"
            if change.when is not None:
                yield f"{' ' * change.column}{{{{- if {change.when.template} }}}}\n"
        before, column = change.when, change.column
        yield from change.lines
    if before is not None:
        yield f"{' ' * column}{{{{- end }}}}\n"


def _change(root: yaml.Node, edit: Edit, tokens: _Tokens) -> _Change:
    """Find what to change in a text for an edit of its object."""
    *path, last = edit.path
    parent = root
    for part in path:
        parent = _child(parent, part)
    content = tokens.of(edit.content)
    if isinstance(parent, yaml.SequenceNode):
        return _element(parent, last, content, edit.when)
    keys = {key.value: (key, value) for key, value in parent.value}
    column = parent.start_mark.column
    lines = _indented(dumped({last: content}), column)
    if last in keys:
        key, value = keys[last]
        return _Change(key.start_mark.line, _last_line(value) + 1, lines, edit.when, column)
    behind = _last_line(parent) + 1
    return _Change(behind, behind, lines, edit.when, column)


def _element(parent: yaml.SequenceNode, last: str | int, content: object, when: Condition | None) -> _Change:
    """Add to a list of lines, or replace the list in one line."""
    if last == END and not parent.flow_style:
        column, behind = parent.start_mark.column, _last_line(parent) + 1
        first, *others = dumped(content).removesuffix("...\n").splitlines(keepends=True)
        lines = (" " * column + f"- {first}", *_indented("".join(others), column + 2))
        return _Change(behind, behind, lines, when, column)
    raise LookupError(f"{parent.start_mark}: only elements behind the last one of a list of lines")


def _child(node: yaml.Node, part: str | int) -> yaml.Node:
    child: yaml.Node
    if isinstance(node, yaml.MappingNode):
        child = next(value for key, value in node.value if key.value == part)
    else:
        child = node.value[part]
    return child


def _last_line(node: yaml.Node) -> int:
    """Return the number of a node's last line, without the blank lines and comments behind it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    line: int = node.end_mark.line
    return line - 1 if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") else line


def _indented(text: str, column: int) -> tuple[str, ...]:
    return tuple(" " * column + line for line in text.splitlines(keepends=True))

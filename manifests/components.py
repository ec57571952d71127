"""The components of kustomize: each is what some values change, as patches of the base."""

from collections.abc import Iterator
from textwrap import indent
from typing import NamedTuple

import msgspec

from hazelcast_sidecar.injection.webhook_configuration import CHOSEN
from hazelcast_sidecar.installation.components import COMPONENTS as VALUES
from hazelcast_sidecar.installation.edits import NAMESPACE_KEY, Edit
from hazelcast_sidecar.installation.rendering import differing_edits, evaluated
from hazelcast_sidecar.installation.values import Values
from hazelcast_sidecar.installation.values_reader import read_values
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import INJECT, INJECTOR, INSTALLATION_LABELS
from manifests.yaml_text import comment, dumped, made_from

((_LABEL, _WANTED),) = CHOSEN.items()


class Component(NamedTuple):
    """A folder of manifests/ with a kustomization."""

    folder: str
    values: JsonObject
    """What the chart and `hazelcast-sidecar install` are given for the same."""
    about: str
    """The comment at the top; paragraphs are separated by empty lines, and an indented one stays as it is."""
    resources: tuple[str, ...] = ()
    overlay: bool = False
    """Whether it has the base in it."""


COMPONENTS = (
    Component(
        "components/api-servers-only",
        {"networkPolicies": {"apiServers": ["192.0.2.0/24", "2001:db8::/32"]}},
        """\
Lets only the API servers reach the webhook. Put in the addresses in place of these, which are for
documentation and no API server has.

Their addresses are nowhere in the cluster in a form that a NetworkPolicy could select, so this is not
part of the base: one that is wrong keeps annotated Pods from being created. Put in what your network
shows as the source of their calls: mostly the addresses of the nodes that run them; with a managed
control plane its range, or that of its konnectivity agents. A NetworkPolicy that is not enforced, or that
sees the address of a proxy, restricts nothing or everything: `hazelcast-sidecar check` afterwards says
whether a review still arrives.""",
    ),
    Component(
        "components/chosen-namespaces",
        VALUES["chosen-namespaces"],
        f"""\
Injects in namespaces alone that are labelled for it:

  kubectl label namespace shop {_LABEL}={_WANTED}

The API server chooses by a namespace's labels before it evaluates a match condition, for which it makes a
copy of each new Pod. So Pods of all other namespaces cost nothing; an annotation there does nothing. The
controller and `hazelcast-sidecar check` count such Pods as missed, with the reason, and the component
`repair` leaves them alone.""",
    ),
    Component(
        "components/client-certificates",
        VALUES["client-certificates"],
        f"""\
Serves only clients with a certificate, as API servers show one where their AdmissionConfiguration says so
(docs/security.md). Make the ConfigMap first, or no replica starts; a change of it is taken up in place:

  kubectl -n {INJECTOR} create configmap hazelcast-sidecar-client-ca --from-file=ca.crt=...

Add `--client-name` where that authority signs for others, too, as a cluster's own does for kubelets.""",
    ),
    Component(
        "components/repair",
        VALUES["repair"],
        """\
Has the controller evict Pods that ask for a member and have none, one at a time, so that their workloads
make them again. `--repair=all` instead does the same for Pods whose member is not what today's settings
would give.""",
        ("rbac.yaml",),
    ),
    Component(
        "components/unlabelled-workloads",
        VALUES["unlabelled-workloads"],
        f"""\
Has Pods of Deployments, StatefulSets, DaemonSets and Jobs injected by their annotation alone, also where
their template lacks the label {INJECT}. The webhook writes the label into each template
that is new or changes, and never causes a rollout by it. So a workload that was injected before this version
lacks it until it rolls out for another reason; without this component its next Pod has no member.

For every new Pod without the label the API server evaluates a match condition, for which it makes a copy of
the Pod. `hazelcast-sidecar check` says which workloads lack the label; without any, leave this out.""",
    ),
    Component(
        "components/watch-groups",
        VALUES["watch-groups"],
        f"""\
Has the leading controller ask the members of each group what they see, and report a group that is not one
cluster for longer than a minute: metric `hazelcast_sidecar_group_split`, and an Event on its workloads.

It asks as the kubelet's probes do, by HTTP at the Pod's own address and the probes' port. That takes no
right beside those of the base. The NetworkPolicy of a group (annotation `network-policy`) lets it in by
itself; another one that selects the Pods must have a rule for it, or it counts the group as silent, and
never as split:

  from:
    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {INJECTOR}}}}}
      podSelector:
        matchLabels:
          app.kubernetes.io/name: {INJECTOR}
          app.kubernetes.io/component: controller

So must a policy of your own for what goes out of the controller, to these ports.""",
    ),
    Component(
        "overlays/cert-manager",
        VALUES["cert-manager"],
        """\
The webhook with certificates of cert-manager, which must be in the cluster before this is applied. The
controller leaves the certificates alone; cert-manager's cainjector keeps the caBundle, by the namespace
and name of the Certificate that is to be trusted.""",
        ("../../base", "certificates.yaml"),
        overlay=True,
    ),
)
"""Those that are made; overlays/dev has the certificates of a folder, and is written by hand."""


def kustomizations() -> dict[str, str]:
    """Return the text of each one's kustomization.yaml, by its folder."""
    return {component.folder: _kustomization(component) for component in COMPONENTS}


def _kustomization(component: Component) -> str:
    kind = ("v1beta1", "Kustomization") if component.overlay else ("v1alpha1", "Component")
    document: JsonObject = {"apiVersion": f"kustomize.config.k8s.io/{kind[0]}", "kind": kind[1]}
    if component.overlay:
        document |= {"namespace": INJECTOR, "labels": [{"pairs": INSTALLATION_LABELS}]}
    if component.resources:
        document["resources"] = list(component.resources)
    patches = dict[tuple[str, str], list[JsonObject]]()
    defaults, given = _given(Values()), _given(read_values(component.values))
    for edit in differing_edits(defaults, given):
        patches.setdefault((edit.kind, edit.name), []).append(_operation(edit, given))
    document["patches"] = [
        {"target": {"kind": kind, "name": name}, "patch": dumped(operations)}
        for (kind, name), operations in patches.items()
    ]
    return "#\n".join((made_from("installation"), *_paragraphs(component.about))) + dumped(document)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield indent(paragraph, "# ") + "\n" if paragraph.startswith(" ") else comment(paragraph)


def _given(values: Values) -> JsonObject:
    return {**msgspec.to_builtins(values), NAMESPACE_KEY: INJECTOR}


def _operation(edit: Edit, given: JsonObject) -> JsonObject:
    """Make the operation of a JSON patch; what only these values add is not there before."""
    operation = "replace" if edit.when is None else "add"
    path = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in edit.path)
    return {"op": operation, "path": path, "value": evaluated(edit.content, given)}

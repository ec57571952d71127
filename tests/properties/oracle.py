"""What the documentation promises, computed in another way than the program does: the tests' own account.

Contents of what is added (the container, the volumes, the variables) come from `injection.member`; where they
go, and what is left alone, is said here again, on plain documents and without any patch.
"""

import json
import re
from collections.abc import Mapping
from copy import deepcopy

from hazelcast_sidecar.injection import member
from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.injection.pod_decision import Inject
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.version import __version__
from tests.harness.strategies import PREFIX, Document

DEFAULT_GRACE = 30
KUBELETS_OWN = 2


def injected(pod: Document, decision: Inject) -> Document:
    """The Pod with its member."""
    spec, group = decision.spec, decision.group
    made = deepcopy(pod)
    made["metadata"]["labels"] = (made["metadata"].get("labels") or {}) | {PREFIX + "group": group}
    for container in made["spec"]["containers"]:
        own = container.get("env") or []
        names = {variable["name"] for variable in own}
        ours = member.env_vars(member.application_env(spec.port, spec.cluster_name))
        container["env"] = [each for each in ours if each["name"] not in names] + own
    grace = made["spec"].get("terminationGracePeriodSeconds")
    own_grace = DEFAULT_GRACE if grace is None else grace
    added = member.container(spec, group, Settings().run_as_user)
    added |= member.lifecycle(spec, max(own_grace, KUBELETS_OWN))
    if spec.native_sidecar:
        made["spec"]["initContainers"] = [added, *(made["spec"].get("initContainers") or [])]
    else:
        made["spec"]["containers"].append(added)
    made["spec"]["volumes"] = (made["spec"].get("volumes") or []) + member.volumes(spec, group)
    needed = own_grace + spec.shutdown_timeout if spec.native_sidecar else spec.shutdown_timeout
    if min(needed, member.MAX_GRACE_SECONDS) > own_grace:
        made["spec"]["terminationGracePeriodSeconds"] = min(needed, member.MAX_GRACE_SECONDS)
    made["metadata"]["annotations"][PREFIX + "status"] = record(decision)
    return made


def record(decision: Inject) -> str:
    """The annotation that says what was done."""
    spec = decision.spec
    fields: Document = {"version": __version__, "group": decision.group, "cluster": spec.cluster_name}
    fields |= {"image": spec.image, "discovery": spec.discovery, "port": spec.port}
    fields |= {"podClients": True} if spec.clients == "pod" else {}
    fields |= {"backups": spec.backups} if spec.backups != "any" else {}
    fields |= {"config": True} if spec.config else {}
    fields |= {"serviceAccount": decision.service_account} if decision.service_account else {}
    fields["fingerprint"] = fingerprint(spec, Settings().run_as_user)
    fields |= {"disruptionBudget": True} if spec.disruption_budget else {}
    fields |= {"networkPolicy": True} if spec.network_policy else {}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\)|(?=\())", re.ASCII)


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """What the kubelet makes of a variable's value.

    `$$` is one dollar sign; `$(NAME)` is that variable's value where there is one, and itself otherwise; any
    other dollar sign is itself. Source: Kubernetes API reference, `EnvVar.value`; k8s.io/kubernetes
    third_party/forked/golang/expansion.
    """

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return match[0] if match[1] is None else environment.get(match[1], match[0])

    return _REFERENCE.sub(replacement, text)

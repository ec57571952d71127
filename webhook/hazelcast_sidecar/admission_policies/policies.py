"""Admission policies with which the API server itself injects the member, without a webhook.

Two pairs of a policy and its binding. The mutating one injects into valid Pods and leaves others alone, as it
cannot deny. The validating one then denies these, with the sentences; it receives every Pod that asks for a
member and has none. Both find problems by the same variables (`admission_policies/conditions.py`).

The webhook's own functions make what a Pod gains, once for each case, from a spec whose values are known only
later (`cel.py`).
Sources: Kubernetes documentation, "Mutating Admission Policy" and "Validating Admission Policy".
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hazelcast_sidecar import cel
from hazelcast_sidecar.admission_policies.cases import Switch, in_all_cases
from hazelcast_sidecar.admission_policies.conditions import (
    ANNOTATIONS,
    ASKED,
    ASKS,
    by_namespace,
    checks,
)
from hazelcast_sidecar.cel import Unknown, source
from hazelcast_sidecar.injection import intact, member
from hazelcast_sidecar.injection.fingerprint import UNKNOWN, fingerprint
from hazelcast_sidecar.injection.patch import DEFAULT_GRACE_SECONDS, status_of
from hazelcast_sidecar.injection.pod_decision import Inject
from hazelcast_sidecar.injection.pod_in_cel import CLIENTS_IN_POD, text_of, value_of
from hazelcast_sidecar.injection.webhook_configuration import namespace_selector, pod_rule
from hazelcast_sidecar.model.service_mesh import PROXIES
from hazelcast_sidecar.names import (
    ANYWHERE,
    GROUP,
    INJECTOR,
    IPV6,
    MAX_GROUP,
    MIRROR,
    POD_CLIENTS,
    PREFIX,
    SCC,
    STATUS,
)
from hazelcast_sidecar.spec import annotations
from hazelcast_sidecar.spec.annotations import TABLE, DefaultSpecs, SidecarSpec
from hazelcast_sidecar.spec.settings import Settings

LIMITS = (
    "Annotations of a Deployment or another workload are not copied: put them on its Pod template.",
    'There are no warnings and no "did you mean", and of several taken ports of a container one is named.',
    f"A workload whose name is not a DNS label of at most {MAX_GROUP} characters needs the annotation group.",
    "Several options in java-opts must be separated by one space.",
    "The status of a Pod whose annotations change its member has no fingerprint: the audit finds no drift.",
    "Pod-level resources that leave the member no room are rejected by the API server, in its own words.",
    "A change of the settings counts when this is generated and applied again.",
    "ConfigMaps, Services and other objects of each group still need the controller.",
)
"""Differences from the webhook, as sentences."""

_BESIDE_THE_MEMBER = ("inject", "group", "disruption-budget", "network-policy")
"""Annotations that do not affect the fingerprint."""


def policies(settings: Settings) -> list[dict[str, Any]]:
    """Return the mutating policy and its binding, the validating policy and its binding.

    Raises:
        InvalidSettingsError: the settings' defaults are invalid.
    """
    defaults = DefaultSpecs(settings)
    found = checks(settings)
    return [
        _object("MutatingAdmissionPolicy", _mutating(settings, {**found, **_gains(settings, defaults)})),
        _object("MutatingAdmissionPolicyBinding", {"policyName": INJECTOR}),
        _object("ValidatingAdmissionPolicy", _validating(found)),
        _object("ValidatingAdmissionPolicyBinding", {"policyName": INJECTOR, "validationActions": ["Deny"]}),
    ]


def _object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": INJECTOR},
        "spec": spec,
    }


def _mutating(settings: Settings, variables: dict[str, str]) -> dict[str, Any]:
    operations = _operations(settings.image_pull_secrets)
    return {
        "failurePolicy": "Fail",
        # Injection is idempotent: if another policy or webhook changes the Pod, ours may run again.
        "reinvocationPolicy": "IfNeeded",
        "matchConstraints": _pods(),
        "matchConditions": _conditions(f'{ASKED} == "true"'),
        "variables": _named(variables),
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": operations}}],
    }


def _validating(variables: dict[str, str]) -> dict[str, Any]:
    return {
        "failurePolicy": "Fail",
        "matchConstraints": _pods(),
        "matchConditions": _conditions(f"{ASKS} || {source(STATUS)} in {ANNOTATIONS}"),
        "variables": _named(variables),
        "validations": [
            {
                "expression": "size(variables.problems) == 0",
                "reason": "Invalid",
                "message": "the Pod's annotations are invalid; the list of problems is too long to show",
                "messageExpression": _IN_ONE_SENTENCE,
            },
            {
                "expression": f"!variables.torn || size(variables.problems) > 0 || !({ASKS})",
                "reason": "Invalid",
                "message": "parts of the Hazelcast member are missing: another webhook or policy removed "
                "them after they were restored; change that one, or exclude this Pod from it",
            },
            {
                "expression": "variables.hand_written || variables.torn || size(variables.problems) > 0 || "
                f"!({ASKS})",
                "reason": "Invalid",
                "message": "the Pod asks for a Hazelcast member and got none: the "
                f'MutatingAdmissionPolicy "{INJECTOR}" and its binding are missing, or not in effect yet',
            },
        ],
    }


def _named(expressions: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "expression": expression} for name, expression in expressions.items()]


def _pods() -> dict[str, Any]:
    return {
        "matchPolicy": "Equivalent",
        "namespaceSelector": namespace_selector(),
        "resourceRules": [pod_rule()],
    }


def _conditions(asks: str) -> list[dict[str, str]]:
    """Match Pods that ask and are not injected yet, or no longer intact; conditions have no variables."""
    return [
        {"name": "asks-for-a-member", "expression": asks},
        # It only represents a static Pod, which the kubelet runs from a file.
        {"name": "no-mirror-pod", "expression": f"!({source(MIRROR)} in {ANNOTATIONS})"},
        {"name": "not-injected-yet", "expression": f"!({intact.IS_INTACT})"},
    ]


_IN_ONE_SENTENCE = (
    "size(variables.problems) == 1 ? variables.problems[0]\n"
    ': string(size(variables.problems)) + " problems: " +\n'
    '  variables.problems.transformList(i, p, "(" + string(i + 1) + ") " + p).join("; ")'
)


# --- what a Pod gains --------------------------------------------------------------------------------------


def _switches() -> list[Switch]:
    booleans = (
        "native-sidecar",
        "wait",
        "metrics",
        "sql",
        "management",
        "disruption-budget",
        "network-policy",
    )
    java_opts = text_of("java-opts")
    return [
        *(Switch(name.replace("-", "_"), value_of(name), yes=True, no=False) for name in booleans),
        Switch("discovery", f'{text_of("discovery")} == "api"', "api", "dns"),
        Switch("ip_family", f"{text_of('ip-family')} == {source(IPV6)}", IPV6, "ipv4"),
        Switch("clients", CLIENTS_IN_POD, POD_CLIENTS, "any"),
        Switch("log_format", f'{text_of("log-format")} == "json"', "json", "text"),
        Switch("config", _is_given("config"), Unknown(text_of("config")), None),
        Switch("extensions", _is_given("extensions"), Unknown(text_of("extensions")), None),
        Switch("license_secret", _is_given("license-secret"), Unknown(text_of("license-secret")), None),
        Switch("java_opts", f'{java_opts} != ""', (Unknown(java_opts),), ()),
        Switch("backups", f'{text_of("backups")} == "node"', "node", ANYWHERE),
        Switch("backups", f'{text_of("backups")} == "zone"', "zone", ANYWHERE),
        Switch("backup_count", _is_given("backup-count"), Unknown(text_of("backup-count")), None),
    ]


def _is_given(name: str) -> str:
    """Return the condition that an annotation without a default has a text."""
    return f"{source(name)} in variables.texts"


def _spec() -> dict[str, Any]:
    """Return the attributes of a spec whose values are known only when a Pod is created."""
    shipped = _default_spec(DefaultSpecs(Settings()), "")
    numbers = {row.name for row in TABLE if type(getattr(shipped, row.field)) is int}
    return {row.field: Unknown(value_of(row.name), text=row.name not in numbers) for row in TABLE}


def _default_spec(defaults: DefaultSpecs, namespace: str) -> SidecarSpec:
    spec = annotations.parse({}, defaults.of(namespace))
    assert isinstance(spec, SidecarSpec)  # noqa: S101 - DefaultSpecs refuses others
    return spec


def _gains(settings: Settings, defaults: DefaultSpecs) -> dict[str, str]:
    """Return variables and expressions of what a Pod gains, each using only those before it."""
    group = Unknown("variables.group")
    account = Unknown('object.spec.?serviceAccountName.orValue("default")')
    digest = Unknown("variables.fingerprint")
    user: Any = None if settings.run_as_user is None else Unknown("variables.user", text=False)

    def status(spec: SidecarSpec) -> str:
        decision = Inject(spec, group, account if spec.discovery == "api" else "")
        return msgspec.json.encode(status_of(decision, digest), enc_hook=cel.in_json).decode()

    makers: dict[str, Callable[[SidecarSpec], Any]] = {
        "status": status,
        "application_env": lambda spec: member.env_vars(member.application_env(spec.port, spec.cluster_name)),
        "member": lambda spec: (
            member.container(spec, group, user)
            | member.lifecycle(spec, Unknown("variables.stop_seconds", text=False))
        ),
        "volumes": lambda spec: member.volumes(spec, group),
    }
    switches, fields = _switches(), _spec()
    made = {name: source(in_all_cases(make, switches, fields)) for name, make in makers.items()}
    return {
        "fingerprint": _fingerprint(settings, defaults),
        **_grace_period(),
        **({} if user is None else {"user": _user(settings.run_as_user)}),
        **made,
        "at": _place_of_member(),
    }


def _place_of_member() -> str:
    """Return the JSON pointer to the member of a Pod that was injected before."""
    places = (
        f"object.spec.?{field}.orValue([]).transformList(i, c, {intact.IS_MEMBER},\n"
        f'  "/spec/{field}/" + string(i))'
        for field in ("initContainers", "containers")
    )
    return f"({' + '.join(places)})[0]"


def _fingerprint(settings: Settings, defaults: DefaultSpecs) -> str:
    """Return the fingerprint of the defaults, if no annotation differs from them: CEL has no SHA-256."""
    known = by_namespace(
        settings, lambda name: fingerprint(_default_spec(defaults, name), settings.run_as_user)
    )
    beside = source([PREFIX + name for name in _BESIDE_THE_MEMBER])
    default = f"variables.defaults[?k.substring({len(PREFIX)})]"
    return (
        f"variables.ours.all(k, k in {beside} || {default} == optional.of(variables.annotations[k]))\n"
        f"  ? {known}\n  : {source(UNKNOWN)}"
    )


def _user(otherwise: int | None) -> str:
    """Return the expression of the user that `patch` takes."""
    given = "object.spec.?containers[?0].?securityContext.?runAsUser.orValue(0)"
    return f"{source(SCC)} in {ANNOTATIONS} && {given} > 0 ? {given} : {otherwise}"


def _grace_period() -> dict[str, str]:
    """Return the expressions of what `member` makes of a grace period.

    Its functions compare, and so cannot take unknown values.
    """
    highest, own, timeout = (
        member.MAX_GRACE_SECONDS,
        "variables.own_grace_seconds",
        value_of("shutdown-timeout"),
    )
    needed = f"{timeout} + ({value_of('native-sidecar')} ? {own} : 0)"
    given = f"object.spec.?terminationGracePeriodSeconds.orValue({DEFAULT_GRACE_SECONDS})"
    return {
        "own_grace_seconds": f"int({given})",
        # Beyond the highest nothing is added, so that no sum exceeds 64 bits.
        "grace_seconds": f"{own} >= {highest} ? {own} : [{own}, [{needed}, {highest}].min()].max()",
        "stop_seconds": f"[{own}, {member.KUBELET_SECONDS}].max()",
    }


def _operations(pull_secrets: Sequence[str]) -> str:
    """Return the JSON Patch as one list: a second mutation would already see the result of the first one."""
    count = len(member.application_env(0, ""))
    label, status = (f"jsonpatch.escapeKey({source(key)})" for key in (GROUP, STATUS))
    parts = [
        f"""[
  {_status(status)},
  has(object.metadata.labels)
    ? {_add(f'"/metadata/labels/" + {label}', "variables.group")}
    : {_add('"/metadata/labels"', f"{{{source(GROUP)}: variables.group}}")}
]""",
        f"""object.spec.containers.transformList(i, c, !has(c.env),
  {_add(_ENV, "variables.application_env")})""",
        *(_application_variable(position) for position in reversed(range(count))),
        f"""[
  !({value_of("native-sidecar")})
    ? {_add('"/spec/containers/-"', "variables.member")}
    : has(object.spec.initContainers)
    ? {_add(f'"/spec/initContainers/" + string({_BEHIND_PROXIES})', "variables.member")}
    : {_add('"/spec/initContainers"', "[variables.member]")}
]""",
        f"""(has(object.spec.volumes)
  ? variables.volumes.map(v, {_add('"/spec/volumes/-"', "v")})
  : [{_add('"/spec/volumes"', "variables.volumes")}])""",
        f"""(variables.grace_seconds == variables.own_grace_seconds ? [] : [
  {_add('"/spec/terminationGracePeriodSeconds"', "variables.grace_seconds")}
])""",
    ]
    if pull_secrets:
        wanted = source([{"name": name} for name in pull_secrets])
        parts.append(_appended('"/spec/imagePullSecrets"', "object.spec", "imagePullSecrets", wanted, "name"))
    return (
        "size(variables.problems) > 0 ? []\n"
        f": variables.torn ? {_restore()}\n"
        ": variables.hand_written ? [] : " + " +\n".join(parts)
    )


_BEHIND_PROXIES = (
    "([0] + object.spec.initContainers.transformList(i, c, "
    f"c.name in {source(sorted(PROXIES))}, i + 1)).max()"
)
"""The place of `patch.Shape`."""


def _status(key: str) -> str:
    """Add the status annotation, also to a Pod without annotations, which asks by its label."""
    added = _add(f'"/metadata/annotations/" + {key}', "variables.status")
    first = _add('"/metadata/annotations"', f"{{{source(STATUS)}: variables.status}}")
    return f"(has(object.metadata.annotations)\n    ? {added}\n    : {first})"


def _restore() -> str:
    """Make the operations of `patch.restore_operations`."""
    label, status = (f"jsonpatch.escapeKey({source(key)})" for key in (GROUP, STATUS))
    at, found = "variables.at", "variables.members[0]"
    mounts = f"{found}.?volumeMounts.orValue([])"
    wanted = f"{source(member.TOKEN_VOLUMES)}[{text_of('discovery')}]"
    is_token = f"m.mountPath == {source(member.TOKEN_DIRECTORY)} && m.name != {wanted}"
    own = source(member.token_mount(Unknown(wanted)))
    parts = [
        f"""[
  ?(!variables.is_recorded)
    ? optional.of({_status(status)}) : optional.none(),
  ?({source(GROUP)} in object.metadata.?labels.orValue({{}}))
    ? optional.none() : optional.of(has(object.metadata.labels)
    ? {_add(f'"/metadata/labels/" + {label}', "variables.group")}
    : {_add('"/metadata/labels"', f"{{{source(GROUP)}: variables.group}}")}),
  ?({at}.startsWith("/spec/initContainers/") && {found}.?restartPolicy.orValue("") != "Always")
    ? optional.of({_add(f'{at} + "/restartPolicy"', '"Always"')}) : optional.none()
]""",
        _appended('"/spec/volumes"', "object.spec", "volumes", "variables.volumes", "name"),
        f"(!({_lacks_variables(found)}) ? []\n  : "
        + _appended(f'{at} + "/env"', found, "env", "variables.member.env", "name")
        + ")",
        _appended(
            f'{at} + "/volumeMounts"', found, "volumeMounts", "variables.member.volumeMounts", "mountPath"
        ),
        f"""{mounts}.transformList(i, m, {is_token},
  JSONPatch{{op: "replace", path: {at} + "/volumeMounts/" + string(i), value: {own}}})""",
    ]
    return "(" + " +\n".join(parts) + ")"


def _lacks_variables(holder: str) -> str:
    """Tell whether a variable is missing that every member needs; other webhooks may remove the others."""
    by_discovery = f"{source(dict(intact.VARIABLE_OF_DISCOVERY))}[{text_of('discovery')}]"
    wanted = f"({source([*intact.VARIABLES])} + [{by_discovery}])"
    return f"!{wanted}.all(n, {holder}.?env.orValue([]).exists(e, e.name == n))"


def _appended(path: str, holder: str, field: str, wanted: str, key: str) -> str:
    """Return operations that append missing elements to a list, by a key, or create the list."""
    lacking = f"{wanted}.filter(w, !{holder}.{field}.exists(e, e.{key} == w.{key}))"
    each = _add(f'{path} + "/-"', "w")
    return f"(has({holder}.{field})\n  ? {lacking}.map(w, {each})\n  : [{_add(path, wanted)}])"


_ENV = '"/spec/containers/" + string(i) + "/env"'


def _add(path: str, value: str) -> str:
    return f'JSONPatch{{op: "add", path: {path}, value: {value}}}'


def _application_variable(position: int) -> str:
    """Put one variable before those of each container that has some, but not this one."""
    variable = f"variables.application_env[{position}]"
    lacks = f"has(c.env) && !c.env.exists(e, e.name == {variable}.name)"
    operation = _add(f'{_ENV} + "/0"', variable)
    return f"object.spec.containers.transformList(i, c, {lacks},\n  {operation})"

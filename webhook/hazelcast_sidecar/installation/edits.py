"""What the values change in the installation's objects.

Each change has its two forms side by side: a function of the values, and the expression of a Helm template.
`manifests/make.py` writes the chart and the components of kustomize from them.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import yaml

from hazelcast_sidecar.injection.webhook_configuration import (
    CHOSEN,
    OF_NO_WORKLOAD,
    OTHERS,
    UNLABELLED,
    chosen_expressions,
    webhook_configuration,
)
from hazelcast_sidecar.installation.base import REPAIR
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.monitoring.alerts import OF_WEBHOOK, REPLICAS, replicas_down
from hazelcast_sidecar.monitoring.dashboards import DASHBOARDS_MAP
from hazelcast_sidecar.monitoring.pod_monitors import MEMBERS
from hazelcast_sidecar.names import (
    CONTROLLER,
    INJECTOR,
    INSTALLATION_LABELS,
    SETTINGS,
    SETTINGS_KEY,
    service_names,
)
from hazelcast_sidecar.version import __version__

FieldPath = tuple[str | int, ...]
"""Keys and positions, from an object to a part of it; the last one may be END."""

END = "-"
"""The position behind the last element of a list, as in a JSON pointer."""

NAMESPACE_KEY = "namespace"
"""Among the values that expressions are given: the installation's namespace."""


class TemplateShape(Enum):
    """How the outcome of a template's expression becomes YAML."""

    NUMBER = "number"
    STRING = "string"
    PART = "part"
    """A part of a text."""
    BLOCK = "block"
    """A mapping or a list."""
    TEXT = "text"
    """A text that is itself YAML."""
    LINES = "lines"
    """The template is whole lines."""


class Expression(NamedTuple):
    """A part of an object that depends on the values."""

    of: Callable[[JsonObject], Any]
    template: str
    shape: TemplateShape = TemplateShape.STRING


class Condition(NamedTuple):
    """Whether a part is there."""

    of: Callable[[JsonObject], bool]
    template: str


class Edit(NamedTuple):
    """One change of an object."""

    kind: str
    name: str
    path: FieldPath
    content: Any
    """What is put there: any value, with expressions in it."""
    when: Condition | None = None
    """None: always. Only what the object has by itself is changed always."""


def _at(values: JsonObject, path: str) -> Any:  # noqa: ANN401 - a value of any kind
    for key in path.split("."):
        values = values[key]
    return values


def _value(path: str, shape: TemplateShape = TemplateShape.STRING) -> Expression:
    """Refer to a value by its path."""
    return Expression(lambda values: _at(values, path), f".Values.{path}", shape)


def _given(path: str) -> Condition:
    """Hold where a value is neither empty nor false."""
    return Condition(lambda values: bool(_at(values, path)), f".Values.{path}")


def _is(path: str, wanted: str) -> Condition:
    return Condition(lambda values: _at(values, path) == wanted, f'eq .Values.{path} "{wanted}"')


def _is_not(path: str, unwanted: str) -> Condition:
    return Condition(lambda values: _at(values, path) != unwanted, f'ne .Values.{path} "{unwanted}"')


def _several(path: str) -> Condition:
    return Condition(lambda values: _at(values, path) > 1, f"gt (int .Values.{path}) 1")


def _image(values: JsonObject) -> str:
    image = values["image"]
    tag = image["tag"] or ("" if image["digest"] else __version__)
    return "".join((image["repository"], tag and f":{tag}", image["digest"] and f"@{image['digest']}"))


def _settings(given: JsonObject) -> JsonObject:
    """Leave out a key that says nothing: replicas of a version that does not know it refuse the file."""
    return {key: value for key, value in given.items() if key != "imagePullSecrets" or value}


def _formatted(form: str, path: str, values: JsonObject) -> str:
    text: str = form % _at(values, path)
    return text


def _printed(form: str, path: str, template: str) -> Expression:
    """Return a text with a value in it, of the form that Python and Go have in common."""
    return Expression(partial(_formatted, form, path), f'printf "{form}" {template}')


def _lines(content: object) -> str:
    return yaml.safe_dump(content, sort_keys=False).removesuffix("\n")


_IMAGE = Expression(_image, f'include "{INJECTOR}.image" .')
_NAMESPACE = Expression(lambda values: values[NAMESPACE_KEY], ".Release.Namespace")
_IN_NAMESPACE = _printed(f"%s/{INJECTOR}", NAMESPACE_KEY, ".Release.Namespace")
_DNS_NAMES = [_printed(name, NAMESPACE_KEY, ".Release.Namespace") for name in service_names("%s")]
_SETTINGS = Expression(
    lambda values: yaml.safe_dump(_settings(values["settings"]), sort_keys=False),
    'ternary .Values.settings (omit .Values.settings "imagePullSecrets") '
    "(not (empty .Values.settings.imagePullSecrets))",
    TemplateShape.TEXT,
)
_CA_BUNDLE = Expression(
    lambda values: b64encode(_at(values, "certificates.caBundle").encode()).decode(),
    'required "certificates.caBundle: with certificates.source own it needs the CA certificates in PEM: '
    '--set-file certificates.caBundle=ca.crt" .Values.certificates.caBundle | b64enc',
)
_API_SERVERS = Expression(
    lambda values: [{"ipBlock": {"cidr": each}} for each in _at(values, "networkPolicies.apiServers")],
    "{{- range .Values.networkPolicies.apiServers }}\n- ipBlock:\n    cidr: {{ . | quote }}\n{{- end }}",
    TemplateShape.LINES,
)
_UNLABELLED_PODS = Expression(
    lambda values: [*UNLABELLED, *([] if _at(values, "unlabelledWorkloads") else OF_NO_WORKLOAD)],
    f"{_lines(UNLABELLED)}\n{{{{- if not .Values.unlabelledWorkloads }}}}\n{_lines(OF_NO_WORKLOAD)}\n"
    "{{- end }}",
    TemplateShape.LINES,
)
_OWN_ISSUER = f"{INJECTOR}-ca"
_ISSUER = Expression(
    lambda values: _at(values, "certificates.issuerRef") or {"kind": "Issuer", "name": _OWN_ISSUER},
    f'.Values.certificates.issuerRef | default (dict "kind" "Issuer" "name" "{_OWN_ISSUER}")',
    TemplateShape.BLOCK,
)
_REPAIR = Expression(lambda values: f"--repair={values['repair']}", 'printf "--repair=%s" .Values.repair')

_FROM_CERT_MANAGER = _is("certificates.source", "cert-manager")
_BY_ITS_OWN_ISSUER = Condition(
    lambda values: _FROM_CERT_MANAGER.of(values) and not _at(values, "certificates.issuerRef"),
    f"and ({_FROM_CERT_MANAGER.template}) (not .Values.certificates.issuerRef)",
)
_FROM_ELSEWHERE = _is_not("certificates.source", "controller")
_REPAIRS = _is_not("repair", "none")
_FOR_PROMETHEUS = (("PrometheusRule", INJECTOR), ("PodMonitor", INJECTOR), ("PodMonitor", MEMBERS))
_OWN_LABELS = " ".join(f'"{key}" "{label}"' for key, label in INSTALLATION_LABELS.items())
_MONITORING_LABELS = Expression(
    lambda values: {**_at(values, "monitoring.labels"), **INSTALLATION_LABELS},
    f"merge (dict {_OWN_LABELS}) .Values.monitoring.labels",
    TemplateShape.BLOCK,
)
_CLIENTS_HAVE_CERTIFICATES = _given("clientCertificates.enabled")

OPTIONAL: dict[tuple[str, str], Condition] = {
    ("PodDisruptionBudget", INJECTOR): _several("webhook.replicas"),
    ("PodDisruptionBudget", CONTROLLER): _several("controller.replicas"),
    ("NetworkPolicy", INJECTOR): _given("networkPolicies.enabled"),
    ("NetworkPolicy", CONTROLLER): _given("networkPolicies.enabled"),
    ("ResourceQuota", INJECTOR): Condition(
        lambda values: _at(values, "webhook.priorityClassName").startswith("system-"),
        'hasPrefix "system-" .Values.webhook.priorityClassName',
    ),
    ("ClusterRole", REPAIR): _REPAIRS,
    ("ClusterRoleBinding", REPAIR): _REPAIRS,
    **{identity: _given("monitoring.prometheus") for identity in _FOR_PROMETHEUS},
    ("ConfigMap", DASHBOARDS_MAP): _given("monitoring.dashboards"),
    ("Issuer", f"{INJECTOR}-self-signed"): _BY_ITS_OWN_ISSUER,
    ("Certificate", _OWN_ISSUER): _BY_ITS_OWN_ISSUER,
    ("Issuer", _OWN_ISSUER): _BY_ITS_OWN_ISSUER,
    ("Certificate", INJECTOR): _FROM_CERT_MANAGER,
}
"""The objects that are not always there, by kind and name."""

_POD: FieldPath = ("spec", "template", "spec")
_CONTAINER: FieldPath = (*_POD, "containers", 0)


def _of_programs() -> Iterator[Edit]:
    for name, program in ((INJECTOR, "webhook"), (CONTROLLER, "controller")):
        for path, content in (
            (("spec", "replicas"), _value(f"{program}.replicas", TemplateShape.NUMBER)),
            ((*_CONTAINER, "image"), _IMAGE),
            ((*_CONTAINER, "imagePullPolicy"), _value("image.pullPolicy")),
            ((*_CONTAINER, "resources"), _value(f"{program}.resources", TemplateShape.BLOCK)),
            (
                (*_POD, "topologySpreadConstraints"),
                _value(f"{program}.topologySpreadConstraints", TemplateShape.BLOCK),
            ),
        ):
            yield Edit("Deployment", name, path, content)
        for key, value in (
            ("imagePullSecrets", "imagePullSecrets"),
            *((key, f"{program}.{key}") for key in ("nodeSelector", "tolerations", "affinity")),
        ):
            yield Edit("Deployment", name, (*_POD, key), _value(value, TemplateShape.BLOCK), _given(value))
    priority = "webhook.priorityClassName"
    yield Edit("Deployment", INJECTOR, (*_POD, "priorityClassName"), _value(priority))
    in_quota = ("spec", "scopeSelector", "matchExpressions", 0, "values")
    yield Edit("ResourceQuota", INJECTOR, in_quota, [_value(priority)])
    priority = "controller.priorityClassName"
    yield Edit("Deployment", CONTROLLER, (*_POD, "priorityClassName"), _value(priority), _given(priority))


def _of_client_certificates() -> Iterator[Edit]:
    folder, volume = "/etc/webhook/client-ca", "client-ca"
    named = Condition(
        lambda values: (
            _at(values, "clientCertificates.enabled") and bool(_at(values, "clientCertificates.name"))
        ),
        "and .Values.clientCertificates.enabled .Values.clientCertificates.name",
    )
    for path, content, when in (
        ((*_CONTAINER, "args", END), "--client-ca", _CLIENTS_HAVE_CERTIFICATES),
        ((*_CONTAINER, "args", END), f"{folder}/ca.crt", _CLIENTS_HAVE_CERTIFICATES),
        ((*_CONTAINER, "args", END), "--client-name", named),
        ((*_CONTAINER, "args", END), _value("clientCertificates.name"), named),
        (
            (*_CONTAINER, "volumeMounts", END),
            {"name": volume, "mountPath": folder, "readOnly": True},
            _CLIENTS_HAVE_CERTIFICATES,
        ),
        (
            (*_POD, "volumes", END),
            {"name": volume, "configMap": {"name": "hazelcast-sidecar-client-ca"}},
            _CLIENTS_HAVE_CERTIFICATES,
        ),
    ):
        yield Edit("Deployment", INJECTOR, path, content, when)


def _of_registration() -> Iterator[Edit]:
    own, chosen = _is("certificates.source", "own"), _given("chosenNamespaces")
    kind = "MutatingWebhookConfiguration"
    annotation = {"cert-manager.io/inject-ca-from": _IN_NAMESPACE}
    yield Edit(kind, INJECTOR, ("metadata", "annotations"), annotation, _FROM_CERT_MANAGER)
    for number, webhook in enumerate(webhook_configuration()["webhooks"]):
        place: FieldPath = ("webhooks", number)
        yield Edit(kind, INJECTOR, (*place, "clientConfig", "caBundle"), _CA_BUNDLE, own)
        if webhook["name"] == OTHERS:
            selected = (*place, "objectSelector", "matchExpressions")
            yield Edit(kind, INJECTOR, selected, _UNLABELLED_PODS)
        if webhook["failurePolicy"] == "Fail":
            yield Edit(kind, INJECTOR, (*place, "failurePolicy"), _value("failurePolicy"))
        for expression in chosen_expressions(CHOSEN):
            path = (*place, "namespaceSelector", "matchExpressions", END)
            yield Edit(kind, INJECTOR, path, expression, chosen)


def _of_certificates() -> Iterator[Edit]:
    arguments = (*_CONTAINER, "args", END)
    for argument in ("--certificates", "leave"):  # else the controller would replace them by its own
        yield Edit("Deployment", CONTROLLER, arguments, argument, _FROM_ELSEWHERE)
    yield Edit("Certificate", INJECTOR, ("spec", "dnsNames"), _DNS_NAMES)
    yield Edit("Certificate", INJECTOR, ("spec", "issuerRef"), _ISSUER)


def _of_monitoring() -> Iterator[Edit]:
    for kind, name in _FOR_PROMETHEUS:
        yield Edit(kind, name, ("metadata", "labels"), _MONITORING_LABELS)
    rule: FieldPath = ("spec", "groups", 0, "rules", OF_WEBHOOK.index(replicas_down(REPLICAS)))
    alert = replicas_down("%d")
    for path, text in ((("expr",), alert.expression), (("annotations", "summary"), alert.summary)):
        content = _printed(text, "webhook.replicas", "(int .Values.webhook.replicas)")
        yield Edit("PrometheusRule", INJECTOR, (*rule, *path), content)


EDITS = (
    *_of_programs(),
    *_of_client_certificates(),
    Edit("ConfigMap", SETTINGS, ("data", SETTINGS_KEY), _SETTINGS),
    *_of_certificates(),
    Edit("Deployment", CONTROLLER, (*_CONTAINER, "args", END), _REPAIR, _REPAIRS),
    Edit("Deployment", CONTROLLER, (*_CONTAINER, "args", END), "--watch-groups", _given("watchGroups")),
    Edit(
        "NetworkPolicy",
        INJECTOR,
        ("spec", "ingress", 0, "from"),
        _API_SERVERS,
        _given("networkPolicies.apiServers"),
    ),
    *_of_monitoring(),
    *_of_registration(),
)
"""All changes, in the order in which they are made."""

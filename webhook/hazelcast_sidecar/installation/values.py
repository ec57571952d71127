"""The values of an installation, which the Helm chart and `hazelcast-sidecar install` share.

What a Deployment has by default is in `manifests/base`, and read from there.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from hazelcast_sidecar.installation.base import written
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import CONTROLLER, INJECTOR

_Text = Annotated[str, Meta(pattern="^[^\\s]*$")]
_Setting = str | int | bool


class ValuesPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A part of the values; an unknown key is an error."""


class ImageValues(ValuesPart, frozen=True):
    """The injector's own image."""

    repository: Annotated[
        str, Meta(pattern=r"^[^\s@]+$", description="Where the image is, without tag and digest.")
    ] = INJECTOR
    tag: Annotated[
        str,
        Meta(pattern=r"^[\w.-]*$", description="Tag. Empty: the version, or none if there is a digest."),
    ] = ""
    digest: Annotated[
        str,
        Meta(
            pattern=r"^(sha256:[0-9a-f]{64})?$",
            description="Digest, such as sha256:...; a tag beside it is for readers.",
        ),
    ] = ""
    pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"], Meta(description="When to pull it.")
    ] = "IfNotPresent"


class ResourceValues(ValuesPart, frozen=True, omit_defaults=True):
    """Requests and limits of a container."""

    requests: dict[str, str | int | float] = {}
    limits: dict[str, str | int | float] = {}


class ProgramValues(ValuesPart, frozen=True):
    """The Deployment of the webhook or of the controller."""

    replicas: Annotated[
        int,
        Meta(ge=1, description="With one, rollouts are as safe, but there is no PodDisruptionBudget."),
    ]
    resources: Annotated[
        ResourceValues,
        Meta(description="No limit on CPU: throttling would show as latency of every annotated Pod."),
    ]
    topology_spread_constraints: Annotated[
        list[JsonObject], Meta(description="Over nodes and zones; soft, so that one node is enough.")
    ]
    priority_class_name: Annotated[
        _Text, Meta(description="A system-... class comes with a ResourceQuota, which some providers want.")
    ] = ""
    node_selector: Annotated[dict[str, str], Meta(description="Labels of nodes to run on.")] = {}
    tolerations: Annotated[list[JsonObject], Meta(description="Taints of nodes to run on nonetheless.")] = []
    affinity: Annotated[JsonObject, Meta(description="Affinity to nodes and Pods.")] = {}


class SettingsValues(ValuesPart, frozen=True):
    """The content of the settings file."""

    defaults: Annotated[
        dict[str, _Setting],
        Meta(
            description="Annotations, without their prefix, for Pods that do not set them. In an air-gapped "
            "cluster `image` names the member's image in your registry."
        ),
    ] = {}
    namespaces: Annotated[
        dict[str, dict[str, _Setting]],
        Meta(
            description="The same for the Pods of a namespace, before what is for all: "
            "{team-a: {memory-limit: 1Gi}}."
        ),
    ] = {}
    run_as_user: Annotated[
        Annotated[int, Meta(ge=1, le=2**31 - 1)] | Literal["platform"],
        Meta(description="User and group of the member; `platform` leaves it open, as OpenShift wants it."),
    ] = 65534
    image_pull_secrets: Annotated[
        list[dict[Literal["name"], str]],
        Meta(
            description="Added to Pods that get a member, to pull its image with: [{name: mirror}]. You make "
            "the Secret, in the namespace of each such Pod."
        ),
    ] = []


class NetworkPolicyValues(ValuesPart, frozen=True):
    """The NetworkPolicies of the injector itself."""

    enabled: Annotated[bool, Meta(description="Whether there are any.")] = True
    api_servers: Annotated[
        list[Annotated[str, Meta(pattern=r"^[0-9a-fA-F.:]+/[0-9]+$")]],
        Meta(
            description="Address ranges of the API servers, such as 10.0.0.0/28, which alone may reach the "
            "webhook; a wrong one keeps annotated Pods from being created. Empty: all may."
        ),
    ] = []


class ClientCertificateValues(ValuesPart, frozen=True):
    """Certificates that API servers show the webhook."""

    enabled: Annotated[
        bool,
        Meta(
            description="Serve only clients whose certificate is signed by a CA in the ConfigMap "
            "hazelcast-sidecar-client-ca, key ca.crt, which you make first."
        ),
    ] = False
    name: Annotated[_Text, Meta(description="Name that the certificate must have. Empty: any.")] = ""


class IssuerReference(ValuesPart, frozen=True, omit_defaults=True):
    """A cert-manager Issuer or ClusterIssuer; its name is empty where none is given."""

    name: _Text = ""
    kind: Literal["", "Issuer", "ClusterIssuer"] = ""
    group: _Text = ""


class CertificateValues(ValuesPart, frozen=True):
    """Where the webhook's certificate comes from."""

    source: Annotated[
        Literal["controller", "cert-manager", "own"],
        Meta(
            description="controller: makes and renews them itself. cert-manager: must be in the cluster "
            "before. own: you make the Secret hazelcast-sidecar-injector-tls (tls.crt, tls.key) first."
        ),
    ] = "controller"
    ca_bundle: Annotated[
        str,
        Meta(
            pattern="^$|-----BEGIN CERTIFICATE-----",
            description="With source own: the CA certificates in PEM (--set-file).",
        ),
    ] = ""
    issuer_ref: Annotated[
        IssuerReference,
        Meta(
            description="With source cert-manager: your Issuer ({kind: ClusterIssuer, name: internal}). "
            "Empty: a CA of its own."
        ),
    ] = IssuerReference()


class MonitoringValues(ValuesPart, frozen=True):
    """Alerts, scraping and dashboards."""

    prometheus: Annotated[
        bool,
        Meta(
            description="A PrometheusRule with alerts, and PodMonitors of the injector and of members. The "
            "Prometheus Operator, which has these kinds, must be in the cluster before."
        ),
    ] = False
    labels: Annotated[
        dict[str, str],
        Meta(
            description="Labels by which your Prometheus selects them, such as {release: prometheus}; those "
            "of the installation stay."
        ),
    ] = {}
    dashboards: Annotated[
        bool,
        Meta(
            description="Grafana's dashboards, in a ConfigMap with the label grafana_dashboard, which the "
            "sidecar of Grafana's chart looks for."
        ),
    ] = False


def _program(name: str) -> ProgramValues:
    """Read from the Deployment what it has by default."""
    spec = written("Deployment", name)["spec"]
    pod = spec["template"]["spec"]
    return ProgramValues(
        replicas=spec["replicas"],
        resources=msgspec.convert(pod["containers"][0]["resources"], ResourceValues),
        topology_spread_constraints=pod["topologySpreadConstraints"],
        priority_class_name=pod.get("priorityClassName", ""),
    )


class Values(ValuesPart, frozen=True):
    """All values, each with its default."""

    image: Annotated[ImageValues, Meta(description="The injector's own image.")] = ImageValues()
    image_pull_secrets: Annotated[
        list[dict[Literal["name"], str]],
        Meta(description="Secrets to pull that image with, in the injector's namespace: [{name: registry}]."),
    ] = []
    webhook: Annotated[ProgramValues, Meta(description="The webhook's server.")] = field(
        default_factory=lambda: _program(INJECTOR)
    )
    controller: Annotated[ProgramValues, Meta(description="The controller; one replica leads.")] = field(
        default_factory=lambda: _program(CONTROLLER)
    )
    settings: Annotated[
        SettingsValues, Meta(description="Settings of the members; a change is taken up without a restart.")
    ] = SettingsValues()
    chosen_namespaces: Annotated[
        bool,
        Meta(
            description="Inject only in namespaces labelled sidecar.hazelcast.com/injection=enabled; Pods of "
            "all others then cost the API server nothing."
        ),
    ] = False
    unlabelled_workloads: Annotated[
        bool,
        Meta(
            description="Inject annotated Pods of workloads also where their Pod template lacks the label "
            "sidecar.hazelcast.com/inject: those that were injected before this version wrote it. Every new "
            "Pod without the label then costs the API server a little; `hazelcast-sidecar check` says when "
            "none is left."
        ),
    ] = False
    repair: Annotated[
        Literal["none", "missed", "all"],
        Meta(
            description="Evict Pods, one at a time, so that they are created again: those that asked for a "
            "member and have none (missed), or also those with an outdated one (all)."
        ),
    ] = "none"
    watch_groups: Annotated[
        bool,
        Meta(
            description="Ask the members of each group what they see, and report a group that is not one "
            "cluster. Behind a NetworkPolicy that does not let the controller in, a group is silent."
        ),
    ] = False
    monitoring: Annotated[MonitoringValues, Meta(description="Alerts, scraping and dashboards.")] = (
        MonitoringValues()
    )
    failure_policy: Annotated[
        Literal["Fail", "Ignore"],
        Meta(
            description="While no webhook answers: reject annotated Pods, or (Ignore) create them without a "
            "member. Ignore for a first installation among annotated Pods."
        ),
    ] = "Fail"
    network_policies: Annotated[
        NetworkPolicyValues, Meta(description="NetworkPolicies of the injector itself.")
    ] = NetworkPolicyValues()
    client_certificates: Annotated[
        ClientCertificateValues, Meta(description="Certificates that API servers show the webhook.")
    ] = ClientCertificateValues()
    certificates: Annotated[
        CertificateValues, Meta(description="Where the webhook's certificate comes from.")
    ] = CertificateValues()

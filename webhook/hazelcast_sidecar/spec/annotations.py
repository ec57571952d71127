"""The table of annotations: what a user can request, and how text becomes a SidecarSpec.

The documents' tables, the parser and the error sentences all come from `TABLE`.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from hazelcast_sidecar.cache import Cache
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.limits import AND_MORE, MAX_PROBLEMS
from hazelcast_sidecar.names import (
    ANYWHERE,
    CONFIG_KEY,
    IPV6,
    LICENSE_KEY,
    MAX_PORT,
    POD_CLIENTS,
    POD_CONFIG_KEY,
    PREFIX,
    WRITTEN_ANNOTATIONS,
    Ports,
    ports_of,
)
from hazelcast_sidecar.spec import values
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.spec.values import MAX_SHOWN, ValueType, did_you_mean, quantity


class SidecarSpec(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """The request of the annotations, validated; one attribute for each row of `TABLE`, and the last one.

    Attributes without a comment of their own mean what the table says. Quantities are kept as written.
    """

    inject: bool
    group: str | None
    """None: the workload of the Pod."""
    cluster_name: str
    image: str
    config: str | None
    """None: the ConfigMap of the group."""
    extensions: str | None
    """None: no classes but the image's."""
    discovery: Literal["dns", "api"]
    ip_family: Literal["ipv4", "ipv6"]
    port: int
    clients: Literal["any", "pod"]
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    heap_percentage: int
    java_opts: tuple[str, ...]
    native_sidecar: bool
    wait: bool
    """Whether a native sidecar is ready before the application starts."""
    shutdown_timeout: int
    """Seconds."""
    backups: Literal["any", "node", "zone"]
    backup_count: int | None
    """None: as the configuration has it."""
    disruption_budget: bool
    network_policy: bool
    metrics: bool
    metrics_port: int
    sql: bool
    management: bool
    license_secret: str | None
    """None: no licence."""
    log_format: Literal["text", "json"]
    log_level: str
    pull_secrets: tuple[str, ...] = ()
    """Of the settings alone: a Pod names its own ones in its spec."""

    @property
    def pod_clients(self) -> bool:
        """Tell whether only containers of the member's own Pod can be its clients."""
        return self.clients == POD_CLIENTS

    @property
    def is_placed(self) -> bool:
        """Tell whether backups are kept away from the node or zone of their entries."""
        return self.backups != ANYWHERE

    @property
    def ports(self) -> Ports:
        """Return the ports that the member listens on."""
        return ports_of(self.port, pod_clients=self.pod_clients)


class Annotation(NamedTuple):
    """A row of the table."""

    name: str
    type: ValueType
    default: str | None
    """The default text; None: see `otherwise`."""
    meaning: str
    otherwise: str = ""
    """The default in words, if it is not a constant."""

    @property
    def key(self) -> str:
        """Return the annotation's whole key."""
        return PREFIX + self.name

    @property
    def field(self) -> str:
        """Return the attribute of SidecarSpec that it sets."""
        return self.name.replace("-", "_")


TABLE = (
    Annotation("inject", values.boolean_type(), "false", "Give this Pod a Hazelcast member."),
    Annotation(
        "group",
        values.group_type(),
        None,
        "Pods of one group, in one namespace, form one cluster.",
        otherwise="the workload's name (see below)",
    ),
    Annotation(
        "cluster-name",
        values.cluster_name_type(),
        "dev",
        "Hazelcast's cluster name. With the default, clients connect without any configuration.",
    ),
    Annotation("image", values.image_type(), "hazelcast/hazelcast:5.7.0", "The member's container image."),
    Annotation(
        "config",
        values.object_name_type("ConfigMap"),
        None,
        f"A ConfigMap of your own with the key `{CONFIG_KEY}` (for `clients: {POD_CLIENTS}`, "
        f"`{POD_CONFIG_KEY}` with an `advanced-network`). Name, port, discovery and health checks come "
        "from these annotations all the same; settings under `properties` in the file outrank them.",
        otherwise="the group's ConfigMap",
    ),
    Annotation(
        "extensions",
        values.volume_name_type(),
        None,
        "A volume of the Pod with jars, of any type: the member has them, read-only, at the end of its class "
        "path. A native sidecar starts before the Pod's init containers, so these cannot fill the volume.",
        otherwise="none",
    ),
    Annotation(
        "discovery",
        values.choice_type("dns", "api"),
        "dns",
        "How members find each other: by the headless Service's DNS records, which needs no rights, or by "
        "the Kubernetes API, for which the Pod's ServiceAccount needs to list Pods.",
    ),
    Annotation(
        "ip-family",
        values.choice_type("ipv4", IPV6),
        "ipv4",
        "The cluster's first address family: that of the Pods' addresses that members find each other by. "
        "Clients find the member at 127.0.0.1 with either.",
    ),
    Annotation(
        "port", values.integer_type(1024, MAX_PORT), "5701", "The port of the member and its clients."
    ),
    Annotation(
        "clients",
        values.choice_type("any", POD_CLIENTS),
        "any",
        "Who can be a client of the member: `any` that reaches its port, or the containers of its own `pod`. "
        "Then the port is open on 127.0.0.1 alone, members meet on the next one, and the kubelet's probes "
        "have the one after. Such clients must not look for other members: switch smart routing off.",
    ),
    Annotation(
        "cpu-request",
        values.quantity_type("CPU", "1m"),
        "100m",
        "CPU reserved for the member.",
    ),
    Annotation(
        "cpu-limit",
        values.quantity_type("CPU", "100m"),
        "2",
        "CPU limit. It also bounds the threads that the JVM starts.",
    ),
    Annotation(
        "memory-request",
        values.quantity_type("memory", "256Mi"),
        None,
        "Memory reserved for the member.",
        otherwise="the memory limit",
    ),
    Annotation("memory-limit", values.quantity_type("memory", "256Mi"), "512Mi", "Memory limit."),
    Annotation(
        "heap-percentage",
        values.integer_type(10, 80),
        "50",
        "Part of the memory limit that the Java heap may take; `-Xmx` in `java-opts` outranks it.",
    ),
    Annotation(
        "java-opts",
        values.java_options_type(),
        "",
        "Further JVM options, behind our own, such as `-Xlog:gc*`.",
        otherwise="none",
    ),
    Annotation(
        "native-sidecar",
        values.boolean_type(),
        "true",
        "Run the member as a native sidecar (Kubernetes 1.29 and newer): ready before the application "
        "starts, stopped after it has ended. `false`: as an ordinary container.",
    ),
    Annotation(
        "wait",
        values.boolean_type(),
        "true",
        "Start the application when the member is ready. `false`: as soon as a native sidecar's container "
        "runs, which saves about a second, for applications that try to connect until they succeed.",
    ),
    Annotation(
        "shutdown-timeout",
        values.seconds_type(1, 3600),
        "60s",
        "Time for a member to hand over its entries when its Pod ends. The Pod's grace period is raised to "
        "leave room for it.",
    ),
    Annotation(
        "backups",
        values.choice_type(ANYWHERE, "node", "zone"),
        ANYWHERE,
        "Where the backup of an entry is: on `any` other member, or on a member of another `node` or `zone` "
        "if the group has one. Nodes, or zones, then hold equal shares, so a member alone on its node holds "
        "more than others: spread the Pods. The same for all Pods of a group; members with different values "
        "form no cluster. `zone` needs Kubernetes 1.35, which labels Pods with the zone of their node.",
    ),
    Annotation(
        "backup-count",
        values.integer_type(0, 6),
        None,
        "Backups of each entry of a map: as many members may be lost at once. Each takes as much memory as "
        "the entries themselves.",
        otherwise="1, or what `config` says",
    ),
    Annotation(
        "disruption-budget",
        values.boolean_type(),
        "false",
        "A PodDisruptionBudget for the group: evictions take one Pod at a time. For Deployments, ReplicaSets "
        "and StatefulSets (Pods of Jobs and DaemonSets, and those without a workload, are denied), and only "
        "where no other budget selects the Pods: with two, evictions fail.",
    ),
    Annotation(
        "network-policy",
        values.boolean_type(),
        "false",
        "A NetworkPolicy for the group: only its own Pods reach its members' ports, and all other ports are "
        "open. Policies add up, so only where no other selects the Pods: this one opens what that closes.",
    ),
    Annotation(
        "metrics",
        values.boolean_type(),
        "false",
        "Serve the member's metrics for Prometheus.",
    ),
    Annotation("metrics-port", values.integer_type(1024, 65535), "9701", "The port of these metrics."),
    Annotation(
        "sql",
        values.boolean_type(),
        "false",
        "Answer SQL, which needs Hazelcast's engine Jet and an image with the SQL module (not a slim one). "
        "What reaches the member can then also have it read the files and addresses that its connectors "
        "reach.",
    ),
    Annotation(
        "management",
        values.boolean_type(),
        "false",
        "Let Management Center read entries and use its console; it connects as a client does, and needs no "
        "annotation to show figures. Its scripts stay off.",
    ),
    Annotation(
        "license-secret",
        values.object_name_type("Secret"),
        None,
        f"A Secret in the Pod's namespace whose key `{LICENSE_KEY}` is the licence of Hazelcast Enterprise, "
        "for an image of that edition.",
        otherwise="none",
    ),
    Annotation("log-format", values.choice_type("text", "json"), "text", "Format of the member's log."),
    Annotation(
        "log-level",
        values.choice_type("ERROR", "WARN", "INFO", "DEBUG"),
        "INFO",
        "Level of the member's log.",
    ),
)

_SHIPPED = {annotation.name: annotation.default for annotation in TABLE if annotation.default is not None}

_BY_NAME = {annotation.name: annotation for annotation in TABLE}

WITHOUT_DEFAULT = ("inject", "extensions")
"""Annotations that settings give no default: what Pods ask for, and a volume that they have themselves."""

NAMES = frozenset(_BY_NAME)
"""Every annotation's name, without the prefix."""


_Ours = tuple[tuple[str, str], ...]
"""Key and text of each annotation of ours."""

_Specs = Cache[tuple[str, _Ours], SidecarSpec]
"""Specs by their namespace's defaults and by annotations."""

_KEPT_SPECS = 1024
_KEPT_SPECS_BYTES = 8 * 1024 * 1024


class Defaults:
    """Defaults of one namespace, and a cache of specs that were parsed on top of them.

    All Pods of a workload have the same annotations of ours, so they are parsed once for all of them.

    Args:
        values: of every attribute of SidecarSpec.
        kept: parsed specs of all namespaces.
        namespace: the namespace of these defaults; empty: all others.
        run_as_user: as the settings have it.
    """

    def __init__(
        self, values: Mapping[str, Any], kept: _Specs, namespace: str = "", run_as_user: int | None = None
    ) -> None:
        self.values, self.run_as_user = values, run_as_user
        self._kept, self._namespace = kept, namespace

    def read(self, ours: _Ours) -> SidecarSpec | list[Problem]:
        """Parse annotations of ours; see `parse`.

        Args:
            ours: key and text of each.
        """
        key = self._namespace, ours
        if (kept := self._kept.get(key)) is not None:
            return kept
        spec = _read_all(ours, self.values)
        if isinstance(spec, SidecarSpec):
            self._kept.put(key, spec)
        return spec


class DefaultSpecs:
    """Defaults in each namespace.

    Raises:
        InvalidSettingsError: a default is not an annotation, or its value is invalid.
    """

    def __init__(self, settings: Settings) -> None:
        problems: list[Problem] = []
        nothing = dict.fromkeys(annotation.field for annotation in TABLE)
        nothing |= {"pull_secrets": settings.image_pull_secrets}
        shipped = _read_defaults(nothing, _SHIPPED, problems, where="default ")
        everywhere = _read_defaults(shipped, settings.defaults, problems, where="default ")
        kept = _Specs(_KEPT_SPECS, _KEPT_SPECS_BYTES)
        self._everywhere = Defaults(everywhere, kept, run_as_user=settings.run_as_user)
        self._namespaces = {
            namespace: Defaults(
                _read_defaults(everywhere, own, problems, where=f"default for namespace {namespace}: "),
                kept,
                namespace,
                settings.run_as_user,
            )
            for namespace, own in settings.namespaces.items()
        }
        if problems:
            raise InvalidSettingsError(problems)

    def of(self, namespace: str) -> Defaults:
        """Return the defaults of a namespace."""
        return self._namespaces.get(namespace, self._everywhere)


def _read_defaults(
    under: Mapping[str, Any], overrides: Mapping[str, str], problems: list[Problem], *, where: str
) -> dict[str, Any]:
    """Read defaults on top of others; what is wrong with them is added to the problems."""
    found: list[Problem] = []
    defaults = dict(under)
    for name, text in overrides.items():
        _read(name, text, defaults, found, prefix=where)
    found += [
        Problem(f"{where}{name}", "it cannot have a default; annotate each workload")
        for name in WITHOUT_DEFAULT
        if defaults[name]
    ]
    problems += found or _contradictions(SidecarSpec(**_completed(defaults)))
    return defaults


def parse(annotations: Mapping[str, str], defaults: Defaults) -> SidecarSpec | list[Problem]:
    """Parse a Pod's annotations into a spec, or return everything that is wrong with them.

    Args:
        annotations: of the Pod; those without our prefix are ignored.
        defaults: the values of absent annotations.
    """
    return defaults.read(tuple([item for item in annotations.items() if item[0].startswith(PREFIX)]))


def _read_all(ours: _Ours, defaults: Mapping[str, Any]) -> SidecarSpec | list[Problem]:
    problems: list[Problem] = []
    fields = dict(defaults)
    for key, text in ours:
        if key not in WRITTEN_ANNOTATIONS:
            _read(key.removeprefix(PREFIX), text, fields, problems, prefix=PREFIX)
            if len(problems) == MAX_PROBLEMS:
                return [*problems, Problem(PREFIX + "*", AND_MORE)]
    if problems:
        return problems
    spec = SidecarSpec(**_completed(fields))
    return _contradictions(spec) or spec


def _read(name: str, text: str, fields: dict[str, Any], problems: list[Problem], *, prefix: str) -> None:
    annotation = _BY_NAME.get(name)
    if annotation is None:
        # The whole list helps once; after every one of sixty unknown keys it would bury the rest.
        known = "" if problems else f"; known are {', '.join(_BY_NAME)}"
        hint = did_you_mean(name, [*_BY_NAME]) or known
        problems.append(Problem(prefix + name[:MAX_SHOWN], f"no such annotation{hint}"))
        return
    try:
        fields[annotation.field] = annotation.type.parse(text)
    except ValueError as error:
        shown = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
        problems.append(Problem(prefix + name, f"{msgspec.json.encode(shown).decode()} {error}"))


def _completed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Add the fields that follow from others unless they are set."""
    completed = dict(fields)
    completed["memory_request"] = fields["memory_request"] or fields["memory_limit"]
    return completed


def _contradictions(spec: SidecarSpec) -> list[Problem]:
    problems = []
    for resource in ("cpu", "memory"):
        request, limit = getattr(spec, f"{resource}_request"), getattr(spec, f"{resource}_limit")
        if quantity(request) > quantity(limit):
            problems.append(
                Problem(
                    f"{PREFIX}{resource}-request",
                    f"{request} is more than the limit of {limit} ({PREFIX}{resource}-limit)",
                )
            )
    if spec.metrics and spec.metrics_port in spec.ports:
        problems.append(
            Problem(
                f"{PREFIX}metrics-port", f"{spec.metrics_port} is a port of the member's own ({PREFIX}port)"
            )
        )
    return problems

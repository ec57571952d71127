"""The member container, its volumes and the application's environment, made from a SidecarSpec."""

from typing import Any

from hazelcast_sidecar.names import (
    API_VOLUME,
    CONFIG_DIRECTORY,
    CONFIG_KEY,
    CONFIG_VOLUME,
    CONTAINER,
    GROUP,
    IPV6,
    LICENSE_KEY,
    PLACED_CONFIG_KEY,
    PLACED_POD_CONFIG_KEY,
    POD_CONFIG_KEY,
    PORT_NAME,
    SECURITY_KEY,
    TMP_VOLUME,
    ZONE,
    resource_name,
)
from hazelcast_sidecar.spec.annotations import SidecarSpec

METRICS_PORT_NAME, PROBES_PORT_NAME = "hz-metrics", "hz-probes"

STARTUP_SECONDS = 180
"""Seconds that a member may take to start before the kubelet restarts it."""

TMP_SIZE = "64Mi"

MAX_GRACE_SECONDS = 2**31 - 1
"""The most that a grace period is raised to: some 68 years, and safe to add to in 64 bits."""

KUBELET_SECONDS = 2
"""The kubelet's minimum from SIGTERM to SIGKILL, also of Pods that ask for less."""

DNS_SECONDS = 6
"""Seconds that a starting member looks for others before it forms a new cluster.

Pods that start together have addresses before the DNS knows them, and a cluster's DNS may answer from a cache
of five seconds: members that trusted an empty answer at once would each form a cluster. A member that finds
another one waits no longer.
"""

_JVM_OPTIONS = (
    # Pods come and go, and so do the addresses behind the headless Service's name: the JVM's own cache
    # (30 s, and 10 s for "no such name") would hide a new member that long.
    "-Dsun.net.inetaddr.ttl=0",
    f"-Djava.security.properties={CONFIG_DIRECTORY}/{SECURITY_KEY}",
    # Here and not in the file, which outranks what the user adds: a member that is always alone needs no
    # wait.
    f"-Dhazelcast.wait.seconds.before.join={DNS_SECONDS}",
)

_IPV6_OPTIONS = (
    # The image asks the JVM for IPv4 alone, and Hazelcast passes over other addresses by itself.
    "-Djava.net.preferIPv4Stack=false",
    "-Djava.net.preferIPv6Addresses=true",
    "-Dhazelcast.prefer.ipv4.stack=false",
)


# Without these a user-provided file would have to contain them: members that find each other and answer the
# kubelet's probes are what the annotation promises.
_WHATEVER_THE_FILE_SAYS = {
    "HZ_NETWORK_JOIN_AUTODETECTION_ENABLED": "false",
    "HZ_NETWORK_JOIN_MULTICAST_ENABLED": "false",
    "HZ_NETWORK_JOIN_KUBERNETES_ENABLED": "true",
    "HZ_NETWORK_RESTAPI_ENABLED": "true",
    "HZ_NETWORK_RESTAPI_ENDPOINTGROUPS_HEALTHCHECK_ENABLED": "true",
}

_MANAGEMENT = {
    "HZ_MANAGEMENTCENTER_CONSOLEENABLED": "true",
    "HZ_MANAGEMENTCENTER_DATAACCESSENABLED": "true",
}


ADDRESS_VARIABLE = "HAZELCAST_SIDECAR_ADDRESS"
"""The Pod's address, under which the DNS and the API know its member.

In a Pod with several networks, or on the node's own, a member would take any address there for its own,
and no other member would find it there.
"""

PLACE_VARIABLE, _PLACE_PROPERTY = "HAZELCAST_SIDECAR_PLACE", "hazelcast.sidecar.place"
"""The node or zone that a member runs on: from the Pod to its environment, and on to its configuration."""

_PLACES = {"node": "spec.nodeName", "zone": f"metadata.labels['{ZONE}']"}
"""Where the downward API has them."""


def application_env(port: int, cluster_name: str) -> dict[str, str]:
    """Return the environment variables that tell an application where its cluster is."""
    return {"HAZELCAST_ADDRESS": f"127.0.0.1:{port}", "HAZELCAST_CLUSTER_NAME": cluster_name}


def env_vars(variables: dict[str, str]) -> list[dict[str, str]]:
    """Return variables as a container's `env`, escaped for the kubelet.

    The kubelet expands `$(NAME)` in values, and turns two dollar signs into one.
    """
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in variables.items()]


def member_env(spec: SidecarSpec, group: str) -> dict[str, str]:
    """Return the member container's environment, which outranks the configuration file."""
    variables = {
        **_file_and_ports(spec),
        "HZ_CLUSTERNAME": spec.cluster_name,
        "JAVA_OPTS": " ".join(_java_options(spec)),
        "LOGGING_LEVEL": spec.log_level,
        # Always set: a Service named hazelcast-kubernetes would make the kubelet set it, and
        # discovery by API would take the application's port for the member's.
        "HAZELCAST_KUBERNETES_SERVICE_PORT": str(spec.ports.members),
        # Likewise: a Service named prometheus would set it, and the image starts its agent because of it.
        "PROMETHEUS_PORT": str(spec.metrics_port) if spec.metrics else "",
        # The JVM reads its environment by the locale; a cluster name may have any letters.
        "LC_ALL": "C.UTF-8",
    }
    if spec.config and not spec.pod_clients:
        variables |= _WHATEVER_THE_FILE_SAYS
    if spec.sql:
        variables["HZ_JET_ENABLED"] = "true"
    if spec.management:
        variables |= _MANAGEMENT
    if spec.discovery == "dns":
        # The bare name: the Pod's DNS search list completes it with any cluster domain.
        variables["HAZELCAST_KUBERNETES_SERVICE_DNS"] = resource_name(group)
    else:
        variables["HAZELCAST_KUBERNETES_POD_LABEL_NAME"] = GROUP
        variables["HAZELCAST_KUBERNETES_POD_LABEL_VALUE"] = group
        # Otherwise the member asks for nodes and Services too, without permission.
        variables["HAZELCAST_KUBERNETES_EXPOSE_EXTERNALLY"] = "false"
    if spec.is_placed:
        # The only type of groups whose names can be given: discovery by DNS sets those of nodes and zones to
        # "unknown" (Hazelcast 5.7, `PlacementAwareMemberGroupFactory`).
        variables["HZ_PARTITIONGROUP_ENABLED"] = "true"
        variables["HZ_PARTITIONGROUP_GROUPTYPE"] = "PLACEMENT_AWARE"
    if spec.backup_count is not None:
        variables["HZ_MAP_DEFAULT_BACKUPCOUNT"] = str(spec.backup_count)
    if spec.log_format == "json":
        variables["LOGGING_CONFIG"] = "log4j2-json.properties"
    return variables


def _file_and_ports(spec: SidecarSpec) -> dict[str, str]:
    ports = spec.ports
    if not spec.pod_clients:
        return {
            "HAZELCAST_CONFIG": f"{CONFIG_DIRECTORY}/{_config_key(spec)}",
            "HZ_NETWORK_PORT_PORT": str(ports.members),
        }
    endpoints = {"CLIENT": ports.clients, "MEMBER": ports.members, "REST": ports.probes}
    return {
        "HAZELCAST_CONFIG": f"{CONFIG_DIRECTORY}/{_config_key(spec)}",
        **{
            f"HZ_ADVANCEDNETWORK_{name}SERVERSOCKETENDPOINTCONFIG_PORT_PORT": str(port)
            for name, port in endpoints.items()
        },
    }


def _config_key(spec: SidecarSpec) -> str:
    """Choose the file; a ConfigMap of the user's own has one for each kind of ports."""
    if spec.is_placed and spec.config is None:
        return PLACED_POD_CONFIG_KEY if spec.pod_clients else PLACED_CONFIG_KEY
    return POD_CONFIG_KEY if spec.pod_clients else CONFIG_KEY


def _container_env(spec: SidecarSpec, group: str) -> list[dict[str, Any]]:
    variables: list[dict[str, Any]] = env_vars(member_env(spec, group))
    if spec.license_secret is not None:
        key = {"name": spec.license_secret, "key": LICENSE_KEY}
        variables.append({"name": "HZ_LICENSEKEY", "valueFrom": {"secretKeyRef": key}})
    # The kubelet expands "$(NAME)" of a variable before; in all other values it is escaped.
    of_pod = [_of_pod(ADDRESS_VARIABLE, "status.podIP")]
    before = after = ""
    if spec.pod_clients:
        variables += [
            variable
            for endpoint in ("MEMBER", "REST")
            for variable in _interface(f"HZ_ADVANCEDNETWORK_{endpoint}SERVERSOCKETENDPOINTCONFIG")
        ]
    else:
        before = f"-Dhazelcast.local.localAddress=$({ADDRESS_VARIABLE}) "
    if spec.is_placed:
        of_pod.append(_of_pod(PLACE_VARIABLE, _PLACES[spec.backups]))
        after = f" -D{_PLACE_PROPERTY}=$({PLACE_VARIABLE})"
    for variable in variables:
        if variable["name"] == "JAVA_OPTS":
            variable["value"] = before + variable["value"] + after
    return [*of_pod, *variables]


def _of_pod(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _interface(endpoint: str) -> list[dict[str, str]]:
    """Render the variables with which an endpoint listens at the Pod's address.

    A property would be for all endpoints, also that of the clients.
    """
    return [
        {"name": f"{endpoint}_INTERFACES_ENABLED", "value": "true"},
        {"name": f"{endpoint}_INTERFACES_INTERFACES_0", "value": f"$({ADDRESS_VARIABLE})"},
    ]


def _java_options(spec: SidecarSpec) -> list[str]:
    options = [
        f"-XX:MaxRAMPercentage={spec.heap_percentage}",
        # The option that counts below some 250 MiB; the JVM's default is half of the limit.
        f"-XX:MinRAMPercentage={spec.heap_percentage}",
        *_JVM_OPTIONS,
        f"-Dhazelcast.graceful.shutdown.max.wait={spec.shutdown_timeout}",
    ]
    if spec.ip_family == IPV6:
        options += _IPV6_OPTIONS
    if spec.config is None:
        # Comparing our own file with Hazelcast's schema takes half a second of each start.
        options.append("-Dhazelcast.config.schema.validation.enabled=false")
    if spec.pod_clients:
        # Otherwise every endpoint would listen on all addresses, even against the file.
        options.append("-Dhazelcast.socket.bind.any=false")
    if spec.metrics:
        options.append("-Dhazelcast.jmx=true")
    return [*options, *spec.java_opts]


def container(spec: SidecarSpec, group: str, run_as_user: int | None) -> dict[str, Any]:
    """Render the member container, as a native sidecar (an init container) or an ordinary one.

    See also `lifecycle`, which depends on the Pod's grace period.
    Source for native sidecars: Kubernetes documentation, "Sidecar Containers" (KEP-753).
    """
    ports = [{"name": PORT_NAME, "containerPort": spec.ports.members}]
    if spec.pod_clients:
        ports.append({"name": PROBES_PORT_NAME, "containerPort": spec.ports.probes})
    if spec.metrics:
        ports.append({"name": METRICS_PORT_NAME, "containerPort": spec.metrics_port})
    return {
        "name": CONTAINER,
        "image": spec.image,
        **({"restartPolicy": "Always"} if spec.native_sidecar else {}),
        "ports": ports,
        "env": _container_env(spec, group),
        # No ephemeral storage: /tmp has its own limit, and one on the rest, which is the log, would evict a
        # member and its entries for logging. If a namespace requires some, its LimitRange sets it.
        "resources": {
            "requests": {"cpu": spec.cpu_request, "memory": spec.memory_request},
            "limits": {"cpu": spec.cpu_limit, "memory": spec.memory_limit},
        },
        **_probes(spec),
        "securityContext": _security_context(run_as_user),
        # `kubectl describe pod` then shows why a member ended.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(spec),
    }


def lifecycle(spec: SidecarSpec, seconds: int | str) -> dict[str, Any]:
    """Render the fields of the member container that stop a native sidecar in time.

    The kubelet stops it after the application. Of an application that ignores SIGTERM it would wait for
    the end of the whole grace period, and leave the member two seconds. It calls preStop hooks when the
    deletion begins (`killContainer`), so the hook leaves a timer behind, and returns at once.

    Args:
        spec: of the member.
        seconds: from `stop_seconds`, or a CEL expression of it.
    """
    if not spec.native_sidecar:
        return {}
    command = ["sh", "-c", f"(sleep {seconds} && {_STOP}) </dev/null >/dev/null 2>&1 &"]
    return {"lifecycle": {"preStop": {"exec": {"command": command}}}}


# The JVM, in this container: with shareProcessNamespace or hostPID the first process is another's, and others
# are there, too. They have another cgroup.
_STOP = (
    "for process in /proc/[0-9]*; do "
    'read -r name <"$process/comm" && [ "$name" = java ] && '
    '[ "$(cat "$process/cgroup")" = "$(cat /proc/self/cgroup)" ] && kill "${process#/proc/}"; done'
)


def stop_seconds(own_grace: int) -> int:
    """Return the seconds from a Pod's deletion until its member stops, even if the application has not ended.

    Without a member the kubelet would kill the application then.
    """
    return max(own_grace, KUBELET_SECONDS)


TMP_DIRECTORY = "/tmp"  # noqa: S108 - in the container, a volume of its own

EXTENSIONS_DIRECTORY = "/opt/hazelcast/bin/user-lib"
"""Where the image's start script looks for further jars; they come last, so a cache of the others holds."""

TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where tokens are, and no token
"""Where Kubernetes mounts the ServiceAccount token into each container without another mount there."""

TOKEN_VOLUMES = {"dns": TMP_VOLUME, "api": API_VOLUME}
"""What a member mounts there instead, by how it finds others.

The application's permissions are not the member's, whose port has no password. One that asks the Kubernetes
API has a token in a volume of its own, so also where the Pod, or its ServiceAccount, mounts none. The API
server adds its token after webhooks, too, but not over an existing mount.
"""

_TOKEN_SECONDS = 3607
"""As in the API server's own volume; it takes these tokens for longer, for releases that read theirs once."""


def token_mount(volume: str) -> dict[str, Any]:
    """Render the mount of a volume in the place of the ServiceAccount's token."""
    return {"name": volume, "mountPath": TOKEN_DIRECTORY, "readOnly": True}


def _mounts(spec: SidecarSpec) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [
        {"name": CONFIG_VOLUME, "mountPath": CONFIG_DIRECTORY, "readOnly": True},
        {"name": TMP_VOLUME, "mountPath": TMP_DIRECTORY},
    ]
    if spec.extensions is not None:
        mounts.append({"name": spec.extensions, "mountPath": EXTENSIONS_DIRECTORY, "readOnly": True})
    return [*mounts, token_mount(TOKEN_VOLUMES[spec.discovery])]


def _probes(spec: SidecarSpec) -> dict[str, Any]:
    """Render probes on Hazelcast's health check.

    The application waits for the startup probe of a native sidecar, so it asks every second. Where there is
    none, the Pod waits for the readiness probe, which then asks as often, and forgives as many seconds.
    Liveness is patient: a member in a long garbage collection is slow, and a restart would lose
    its entries.
    """
    port = spec.ports.probes
    ready = {"httpGet": {"path": "/hazelcast/health/ready", "port": port}}
    alive = {"httpGet": {"path": "/hazelcast/health/node-state", "port": port}}
    liveness = {**alive, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}
    if spec.native_sidecar and not spec.wait:
        return {
            "readinessProbe": {**ready, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 15},
            "livenessProbe": {**liveness, "initialDelaySeconds": STARTUP_SECONDS},
        }
    return {
        "startupProbe": {
            **ready,
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": STARTUP_SECONDS,
        },
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": liveness,
    }


def _security_context(run_as_user: int | None) -> dict[str, Any]:
    """Render what the Pod Security Standard `restricted` requires, and a read-only root file system."""
    # The image names its user, which Kubernetes cannot tell from root: runAsNonRoot needs a number.
    user = {} if run_as_user is None else {"runAsUser": run_as_user, "runAsGroup": run_as_user}
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        **user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def volumes(spec: SidecarSpec, group: str) -> list[dict[str, Any]]:
    """Render the member's volumes: its configuration, the one writable place, and its access to the API."""
    rendered: list[dict[str, Any]] = [
        {"name": CONFIG_VOLUME, "configMap": {"name": spec.config or resource_name(group)}},
        {"name": TMP_VOLUME, "emptyDir": {"sizeLimit": TMP_SIZE}},
    ]
    if spec.discovery == "api":
        rendered.append({"name": API_VOLUME, "projected": {"sources": _API_ACCESS}})
    return rendered


_API_ACCESS = [
    {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
            ]
        }
    },
]
"""What the API server's own volume has.

Source: Kubernetes documentation, "Managing Service Accounts", bound service account token volume mechanism.
"""


def grace_period(spec: SidecarSpec, own: int) -> int:
    """Return the Pod's termination grace period in seconds, never less than its own.

    A native sidecar is stopped after the application has ended, so it needs its time in addition to the
    application's; an ordinary container is stopped at the same moment.
    """
    needed = own + spec.shutdown_timeout if spec.native_sidecar else spec.shutdown_timeout
    return max(own, min(needed, MAX_GRACE_SECONDS))

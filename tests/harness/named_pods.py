"""Pods by name, and what becomes of them: by the webhook, and by the policies that do the same."""

from pathlib import Path
from typing import NamedTuple

import yaml

from hazelcast_sidecar.names import GROUP, INJECT, PREFIX, STATUS
from tests.harness.pods import Pod, annotated, app, bare, changed, injected, labelled, ours, owned, torn

CASES = Path(__file__).parents[1] / "golden" / "cases"


def golden(name: str) -> Pod:
    made: Pod = yaml.safe_load((CASES / f"{name}.input.yaml").read_text(encoding="utf-8"))
    made["metadata"].pop("namespace", None)
    for owner in made["metadata"].get("ownerReferences", []):
        owner.setdefault("uid", "1")
    return made


def on_nodes(*terms: list[str]) -> Pod:
    """An affinity to nodes of these systems, by terms of which one is enough."""
    selector = [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": systems}]}
        for systems in terms
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": selector}}
    return {"nodeAffinity": required}


def of_openshift(user: int | None) -> Pod:
    """As its constraints leave it, with the user that they assign."""
    made = app() if user is None else app(securityContext={"runAsUser": user})
    return bare(ours() | {"openshift.io/scc": "restricted-v2"}, containers=[made])


# --- Pods that are injected --------------------------------------------------------------------------------

ENV = [{"name": "GREETING", "value": "hello"}]
ADDRESS, CLUSTER_NAME = (
    {"name": "HAZELCAST_ADDRESS", "value": "elsewhere:5701"},
    {"name": "HAZELCAST_CLUSTER_NAME", "value": "mine"},
)

SAME = {
    **{name: golden(name) for name in ("bare-pod", "deployment", "job", "other-sidecars")},
    "nothing but a container": bare(),
    "empty lists": bare(volumes=[], initContainers=[], containers=[app(env=[])]),
    "labels": bare() | {"metadata": {"name": "shop", "labels": {"app": "shop"}, "annotations": ours()}},
    "the very label": bare()
    | {"metadata": {"name": "shop", "labels": {GROUP: "shop"}, "annotations": ours()}},
    "asked by its label": bare() | {"metadata": {"name": "shop", "labels": {INJECT: "true"}}},
    "asked by both": bare()
    | {"metadata": {"name": "shop", "labels": {INJECT: "true"}, "annotations": ours()}},
    "volumes": bare(volumes=[{"name": "data", "emptyDir": {}}]),
    "init containers": bare(initContainers=[app("first"), app("second", restartPolicy="Always")]),
    "environments": bare(
        containers=[
            app("none"),
            app("some", env=ENV),
            app("address", env=[ADDRESS, *ENV]),
            app("name", env=[*ENV, CLUSTER_NAME]),
            app("both", env=[CLUSTER_NAME, *ENV, ADDRESS]),
        ]
    ),
    "no grace": bare(terminationGracePeriodSeconds=0),
    "long grace": bare(terminationGracePeriodSeconds=2**31 - 30),
    "endless grace": bare(terminationGracePeriodSeconds=2**63 - 1),
    "Deployment": owned("ReplicaSet", "web-7c5d", {"pod-template-hash": "7c5d"}),
    "Rollout": owned(
        "ReplicaSet", "web-7c5d", {"rollouts-pod-template-hash": "7c5d", "pod-template-hash": ""}
    ),
    "DeploymentConfig": owned("ReplicationController", "orders-3", {"deploymentconfig": "orders"}),
    "DeploymentConfig of another name": owned(
        "ReplicationController", "orders-3", {"deploymentconfig": "order"}
    ),
    "Knative": owned(
        "ReplicaSet",
        "greeter-00007-deployment-7c5d",
        {"pod-template-hash": "7c5d", "serving.knative.dev/service": "greeter"},
    ),
    "ScaledJob": owned("Job", "drain-queue-7xk2p", {"scaledjob.keda.sh/name": "drain-queue"}),
    "ScaledJob without a name": owned("Job", "drain-queue-7xk2p", {"scaledjob.keda.sh/name": ""}),
    "ReplicaSet of its own": owned("ReplicaSet", "web-7c5d"),
    "another hash": owned("ReplicaSet", "web-7c5d", {"pod-template-hash": "5d"}),
    "StatefulSet": owned("StatefulSet", "orders-7c5d", {"pod-template-hash": "7c5d"}),
    "DaemonSet": owned("DaemonSet", "agent"),
    "Job": owned("Job", "import"),
    "owned but not controlled": owned("ConfigMap", "web", controller=False),
    "name to come": bare() | {"metadata": {"generateName": "solo--", "annotations": ours()}},
    "a name of 53 characters": bare() | {"metadata": {"name": "a" * 53, "annotations": ours()}},
    "group": bare(ours(group="orders")),
    "budget and policy": owned("StatefulSet", "orders", disruption_budget="true", network_policy="true"),
    "owned by a Node": owned("Node", "node-a"),
    "defaults spelt out": bare(ours(port="5701", image="hazelcast/hazelcast:5.7.0", metrics="false")),
    "others' annotations": bare(ours() | {"example.com/sidecar": "\n\"'$"}),
    "UDP on the port": bare(containers=[app(ports=[{"containerPort": 5701, "protocol": "UDP"}])]),
    "the port after": bare(containers=[app(ports=[{"containerPort": 5702}])]),
    "a metrics port that is not used": bare(containers=[app(ports=[{"containerPort": 9701}])]),
    "own DNS": bare(
        dnsPolicy="None",
        dnsConfig={"nameservers": ["192.0.2.1"], "searches": ["default.svc.cluster.local"]},
    ),
    "nodes of two systems": bare(affinity=on_nodes(["windows"], ["linux"])),
    "nodes of either system": bare(affinity=on_nodes(["windows", "linux"])),
    "Linux": bare(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"}),
    "behind the proxies of meshes": bare(
        initContainers=[
            app("istio-init"),
            app("istio-proxy"),
            app("migrate"),
            app("linkerd-proxy"),
            app("last"),
        ]
    ),
    "host network": bare(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
    "of OpenShift": of_openshift(1000680000),
    "of OpenShift, no user": of_openshift(None),
    "of OpenShift, root": of_openshift(0),
    "a user without OpenShift": bare(containers=[app(securityContext={"runAsUser": 1000})]),
}

OTHER_MEMBER = {
    "every-annotation": golden("every-annotation"),
    "cluster-name": bare(ours(cluster_name='Käse "$(X)" \\ $ 日本 {{x}} \U0001f600')),
    "image": bare(ours(image="registry.example:5000/a/hazelcast:5.7@sha256:" + "0" * 64)),
    "config": bare(ours(config="own.config")),
    "extensions": bare(ours(extensions="jars"), volumes=[{"name": "jars", "emptyDir": {}}]),
    "discovery": bare(ours(discovery="api"), serviceAccountName="shop"),
    "discovery without a token of the Pod's": bare(ours(discovery="api"), automountServiceAccountToken=False),
    "discovery by the default account": bare(ours(discovery="api"), hostNetwork=True, dnsPolicy="Default"),
    "own DNS without searches, by the API": bare(
        ours(discovery="api"), dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"]}
    ),
    "ip-family": bare(ours(ip_family="ipv6", java_opts="-Da=b")),
    "port": bare(ours(port="05801")),
    "clients": bare(ours(clients="pod")),
    "clients, port": bare(ours(clients="pod", port="06000", metrics="true")),
    "cpu": bare(ours(cpu_request="0.25", cpu_limit="1500m")),
    "memory-limit": bare(ours(memory_limit="1Gi")),
    "memory-request": bare(ours(memory_request="268435456")),
    "heap-percentage": bare(ours(heap_percentage="60")),
    "java-opts with an asterisk": bare(ours(java_opts="-Xlog:gc*:stdout -Xmx300m")),
    "java-opts": bare(ours(java_opts="-Da=b,%@:/+ --add-opens=java.base/java.lang=ALL-UNNAMED")),
    "native-sidecar": bare(ours(native_sidecar="false")),
    "wait": bare(ours(wait="false")),
    "wait, where nothing waits": bare(ours(wait="false", native_sidecar="false", clients="pod")),
    "native-sidecar, grace": bare(ours(native_sidecar="false"), terminationGracePeriodSeconds=90),
    "shutdown-timeout": bare(ours(shutdown_timeout="90")),
    "shutdown-timeout in minutes": bare(ours(shutdown_timeout="5m")),
    "shutdown-timeout in hours": bare(ours(shutdown_timeout="1h")),
    "metrics": bare(ours(metrics="true", metrics_port="9801", java_opts="-Xlog:gc")),
    "sql": bare(ours(sql="true")),
    "management": bare(ours(management="true", sql="false", config="mine")),
    "license-secret": bare(ours(license_secret="licence", backups="node")),  # noqa: S106 - the name of one
    "log-format": bare(ours(log_format="json")),
    "log-level": bare(ours(log_level="DEBUG")),
    "all switches": owned(
        "ReplicaSet",
        "web",
        native_sidecar="false",
        metrics="true",
        config="own",
        discovery="api",
        clients="pod",
        log_format="json",
        java_opts="-Da=b",
        disruption_budget="true",
        network_policy="true",
    ),
}


# --- Pods that are left alone ------------------------------------------------------------------------------

MIRROR = {"kubernetes.io/config.mirror": "0f0f0f"}

LEFT = {
    "plain": bare({}),
    "declined": bare(ours(inject="false", port="fast")),
    "declined by its label": bare()
    | {"metadata": {"name": "shop", "labels": {INJECT: "false"}, "annotations": ours()}},
    "declined, with the label": bare()
    | {"metadata": {"name": "shop", "labels": {INJECT: "true"}, "annotations": ours(inject="false")}},
    "forgotten": golden("forgotten-inject"),
    "hand-written": golden("hand-written-member"),
    "hand-written by digest": bare(
        containers=[app(image="a:5000/b/hazelcast-enterprise@sha256:" + "0" * 64)]
    ),
    "injected": annotated(injected(bare()), port="fast"),
    "injected, discovery by API": injected(bare(ours(discovery="api"))),
    "injected, an ordinary container": injected(bare(ours(native_sidecar="false"))),
    "injected, a value that looks like discovery": injected(bare(ours(cluster_name='"discovery":"api"'))),
    "injected and declined": annotated(torn(bare(), "label"), inject="false"),
    "mirror": bare(ours() | MIRROR, nodeName="node-a"),
    "mirror with a status": bare(ours() | MIRROR | {STATUS: "{}"}, nodeName="node-a"),
}


# --- Pods that are denied ----------------------------------------------------------------------------------


class Denied(NamedTuple):
    """A Pod that both deny, and what the policy says of it."""

    body: Pod
    sentences: tuple[str, ...]


def denied(body: Pod, *sentences: str) -> Denied:
    return Denied(body, sentences)


DENIED = {
    "golden annotations": denied(golden("denied-annotations"), f"{PREFIX}"),
    "golden collision": denied(golden("denied-collision"), "port"),
    "unknown": denied(bare(ours(discvery="dns")), f"{PREFIX}discvery: no such annotation"),
    "inject": denied(bare(ours(inject="yes")), f'{PREFIX}inject: "yes" is not of its type: true or false'),
    "label": denied(
        bare() | {"metadata": {"name": "shop", "labels": {INJECT: "yes"}}},
        f'{INJECT}: "yes" is not of its type: true or false',
    ),
    "label, empty": denied(
        bare() | {"metadata": {"name": "shop", "labels": {INJECT: ""}}}, f"{PREFIX}inject"
    ),
    "inject, empty": denied(bare(ours(inject="")), f"{PREFIX}inject"),
    "several": denied(bare(ours(port="fast", metrics="on")), "2 problems: (1) ", "; (2) ", "port", "metrics"),
    "line break": denied(bare(ours(port="1\n2")), r'"1\n2" is not'),
    "long value": denied(bare(ours(port="1" * 5000)), "1" * 64 + "…"),
    **{
        f"{name} {text!r}": denied(bare(ours(**{name: text})), f"{PREFIX}{name.replace('_', '-')}: ")
        for name, texts in {
            "group": ("", "Shop", "a.b", "a" * 54, "-a", "a\n"),
            "cluster_name": ("", " a", "a ", "a\tb", "a\u00a0b", "a\u200bb", "a" * 129, "\ue000"),
            "image": ("", "a b", "A/B", "a:", "a@sha256:12", "a/" * 130 + "a", "a" * 256),
            "config": ("", "a_b", "a..b", "a" * 254),
            "discovery": ("DNS",),
            "port": ("1023", "65536", "-1", "5701 ", "1e4", "\u0665\u0667\u0660\u0661", "9" * 10),
            "cpu_request": ("0", "1x", "1e3", "+1", "1mi", "1K"),
            "cpu_limit": ("99m",),
            "memory_limit": ("512m", "255Mi", "1" * 16),
            "heap_percentage": ("9", "81"),
            "java_opts": ("-version", "-Da=$(b)", "-Da=b;", "-D", "-Da=?"),
            "native_sidecar": ("True",),
            "shutdown_timeout": ("0s", "3601", "2h", "1d", "90.5s", "-1s", "999999999h"),
            "log_format": ("xml",),
            "log_level": ("debug",),
        }.items()
        for text in texts
    },
    "requests over limits": denied(
        bare(ours(cpu_request="3", memory_request="1Gi")),
        f"{PREFIX}cpu-request: 3 is more than the limit of 2",
        f"{PREFIX}memory-request: 1Gi is more than the limit of 512Mi",
    ),
    "ports of the member": denied(bare(ours(metrics="true", metrics_port="5701")), f"{PREFIX}metrics-port"),
    "ports of the member, clients in the Pod": denied(
        bare(ours(clients="pod", metrics="true", metrics_port="5703")), f"{PREFIX}metrics-port"
    ),
    "contradiction beside a member": denied(
        bare(ours(cpu_request="3"), containers=[app(image="hazelcast/hazelcast:5")]),
        f"{PREFIX}cpu-request",
    ),
    "container": denied(bare(containers=[app("hazelcast")]), 'spec.containers[0]: is named "hazelcast"'),
    "init container": denied(
        bare(initContainers=[app("first"), app("hazelcast")]), 'spec.initContainers[1]: is named "hazelcast"'
    ),
    "volumes": denied(
        bare(
            volumes=[{"name": "hazelcast-config", "emptyDir": {}}, {"name": "hazelcast-tmp", "emptyDir": {}}]
        ),
        'spec.volumes[0]: is named "hazelcast-config"',
        'spec.volumes[1]: is named "hazelcast-tmp"',
    ),
    "extensions": denied(
        bare(ours(extensions="jars"), volumes=[{"name": "other", "emptyDir": {}}]),
        f'spec.volumes: has no "jars", in which {PREFIX}extensions expects jars',
    ),
    "port": denied(
        bare(initContainers=[app("first", ports=[{"containerPort": 5701}])]),
        'spec.initContainers[0]: container "first" declares port 5701, which the member needs; '
        f"set {PREFIX}port",
    ),
    "port of other members": denied(
        bare(ours(clients="pod"), containers=[app(ports=[{"containerPort": 80}, {"containerPort": 5702}])]),
        f'spec.containers[0]: container "app" declares port 5702, which the member needs; set {PREFIX}port',
    ),
    "clients on the node": denied(
        bare(ours(clients="pod"), hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"),
        "spec.hostNetwork",
    ),
    "metrics port": denied(
        bare(ours(metrics="true"), containers=[app(ports=[{"containerPort": 9701}])]),
        'spec.containers[0]: container "app" declares port 9701, which the member needs; '
        f"set {PREFIX}metrics-port",
    ),
    "label of another group": denied(
        bare() | {"metadata": {"name": "shop", "labels": {GROUP: "other"}, "annotations": ours()}},
        'is "other", but the member joins the group "shop"',
    ),
    "DNS": denied(bare(dnsPolicy="Default"), "spec.dnsPolicy"),
    "own DNS without searches": denied(
        bare(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"]}), "spec.dnsConfig.searches"
    ),
    "own DNS with empty searches": denied(
        bare(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"], "searches": []}),
        "spec.dnsConfig.searches",
    ),
    "DNS of the host": denied(bare(hostNetwork=True), "spec.dnsPolicy"),
    "status": denied(bare(ours() | {STATUS: "{}"}), f"{STATUS}: says that a member was injected"),
    "empty status": denied(bare(ours() | {STATUS: ""}), f"{STATUS}: says that a member was injected"),
    "status without more": denied(bare({STATUS: "{}"}), f"{STATUS}: says that a member was injected"),
    "status, declined": denied(
        bare(ours(inject="false") | {STATUS: "{}"}), "says that a member was injected"
    ),
    "status beside another container": denied(
        bare(ours() | {STATUS: "{}"}, containers=[app("hazelcast")]), "says that a member was injected"
    ),
    "status that no injection writes": denied(annotated(injected(bare()), status="{}"), "cannot be read"),
    "another group than the label": denied(labelled(injected(bare()), "other"), 'is "other", but the member'),
    "torn, with a mistake": denied(annotated(torn(bare(), "label"), port="fast"), f"{PREFIX}port"),
    "nothing of the member left": denied(torn(bare(), "env", "mounts"), "says that a member was injected"),
    "budget": denied(bare(ours(disruption_budget="true")), 'is "true", but no workload made the Pod'),
    **{
        f"budget of a {kind}": denied(
            owned(kind, "shop", disruption_budget="true"),
            f'{PREFIX}disruption-budget: is "true", but a {kind} made the Pod',
        )
        for kind in ("Job", "DaemonSet")
    },
    "containers": denied(
        bare(containers=[app(f"app-{number}") for number in range(1001)]),
        "spec.containers: has 1001 containers and init containers; a Pod with a member can have 1,000",
    ),
    "many volumes": denied(
        bare(volumes=[{"name": f"v-{number}", "emptyDir": {}} for number in range(1001)]),
        "spec.volumes: has 1001 volumes; a Pod with a member can have 1,000",
    ),
    "Windows": denied(bare(os={"name": "windows"}), "spec.os.name"),
    "torn, its port taken": denied(
        changed(torn(bare(), "label"), containers=[app(ports=[{"containerPort": 5701}])]),
        'container "app" declares port 5701',
    ),
    "torn, without its status, on the node": denied(
        changed(
            torn(bare(ours(clients="pod")), "status"),
            hostNetwork=True,
            dnsPolicy="ClusterFirstWithHostNet",
        ),
        "spec.hostNetwork",
    ),
    "torn, with a budget": denied(
        annotated(torn(bare(), "status"), **{"disruption-budget": "true"}), "no workload made the Pod"
    ),
    "Windows nodes, by affinity": denied(
        bare(affinity=on_nodes(["windows"], ["windows"])), "spec.affinity.nodeAffinity"
    ),
    "Windows nodes, by the older label": denied(
        bare(nodeSelector={"beta.kubernetes.io/os": "windows"}), "spec.nodeSelector"
    ),
    "Windows nodes": denied(bare(nodeSelector={"kubernetes.io/os": "windows"}), "spec.nodeSelector"),
}

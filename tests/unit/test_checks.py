"""The checks, each as a function of a small snapshot; what Kubernetes itself says is in tests/apiserver."""

from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, cast

import pytest
import yaml

from hazelcast_sidecar.certificates import make_authority, make_leaf
from hazelcast_sidecar.checks import (
    cluster,
    dry_run,
    group_health,
    installation,
    networks,
    pods,
    preflight,
    rbac,
    registration,
    serving_certificate,
)
from hazelcast_sidecar.checks.api_reads import attempt
from hazelcast_sidecar.checks.collector import Reader
from hazelcast_sidecar.checks.report import summary
from hazelcast_sidecar.checks.results import Area, CheckResult, State, Unread
from hazelcast_sidecar.checks.runner import BEFORE, OF_INSTALLATION, findings
from hazelcast_sidecar.checks.snapshot import DryRun, ObjectName, Snapshot
from hazelcast_sidecar.group_objects.desired_objects import OURS
from hazelcast_sidecar.injection.webhook_configuration import PODS, UNLABELLED
from hazelcast_sidecar.kube.client import Api, ApiError
from hazelcast_sidecar.kube.objects import POD, Metadata
from hazelcast_sidecar.kube.permissions import Right
from hazelcast_sidecar.names import GROUP, INJECT, STATUS
from hazelcast_sidecar.owners import OwnerReference
from tests.unit.snapshots import (
    AUTHORITY,
    EMPTY,
    HEALTHY,
    LEAF,
    MANIFESTS,
    NOW,
    OWN,
    changed_configuration,
    configuration,
    deployment,
    endpoint_slice,
    injected,
    lease,
    node,
    pod_without_member,
    policy,
    settings,
    tried,
    with_pods,
)

LABEL = "kubernetes.io/metadata.name"
_COMPONENT = "app.kubernetes.io/component"


def one(found: list[CheckResult], state: State) -> str:
    """The message of the only finding, which is in this state and tells what to type."""
    (finding,) = found
    assert finding.state == state, finding
    assert bool(finding.fix) == (state in (State.WARNING, State.PROBLEM)), finding
    return finding.message


def test_a_healthy_installation_has_nothing_but_what_is_ok() -> None:
    assert {each.state for each in findings(HEALTHY, OF_INSTALLATION)} == {State.OK}
    assert {each.state for each in findings(EMPTY, OF_INSTALLATION)} == {State.OK}
    assert {each.state for each in findings(replace(EMPTY, configuration=None), BEFORE)} == {State.OK}


@pytest.mark.parametrize("checks", [OF_INSTALLATION, BEFORE])
def test_what_may_not_be_read_is_skipped_and_never_a_problem(checks: tuple[Any, ...]) -> None:
    unread = Unread("you may not look")
    nothing: Any = {f.name: unread for f in fields(Snapshot) if f.name not in ("now", "namespace")}
    found = findings(Snapshot(now=NOW, namespace=OWN, **nothing), checks)
    assert len(found) >= len(checks) - 1, "only the version is told by the dry run"
    assert {(each.state, each.message) for each in found} == {
        (State.SKIPPED, "not checked: you may not look")
    }


@pytest.mark.parametrize("field", [f.name for f in fields(Snapshot) if f.name not in ("now", "namespace")])
def test_one_thing_that_may_not_be_read_makes_no_other_a_problem(field: str) -> None:
    unread: Any = {field: Unread("you may not look")}
    states = {each.state for each in findings(replace(HEALTHY, **unread), OF_INSTALLATION)}
    assert states <= {State.OK, State.SKIPPED}


# --- the cluster -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "state"),
    [("v1.30.0", State.OK), ("v1.31.2-eks-1", State.OK), ("v1.29.9", State.PROBLEM), ("?", State.PROBLEM)],
)
def test_the_api_server_needs_match_conditions(version: str, state: State) -> None:
    assert version in one(cluster.api_server(replace(EMPTY, version={"gitVersion": version})), state)


def test_kubelets_need_native_sidecars() -> None:
    mixed = replace(EMPTY, nodes=[node("new"), node("old", "v1.28.3")])
    assert "1 of 2 nodes are older than 1.29, for example old" in one(cluster.kubelets(mixed), State.WARNING)


def test_members_need_linux() -> None:
    windows = replace(EMPTY, nodes=[node("one", system="windows")])
    assert "Linux" in one(cluster.operating_systems(windows), State.PROBLEM)
    assert one(cluster.operating_systems(replace(EMPTY, nodes=[*windows.nodes, node("two")])), State.OK)


# --- what runs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("available", "state"), [(2, State.OK), (1, State.WARNING), (0, State.PROBLEM)])
def test_a_deployment_has_its_replicas(available: int, state: State) -> None:
    webhook, controller = installation.deployments(
        replace(EMPTY, webhook=deployment("deployment.yaml", available))
    )
    assert f"{available} of 2 replicas" in one([webhook], state)
    assert controller.state == State.OK


def test_a_deployment_that_says_nothing_of_its_state_has_no_replica() -> None:
    made = deployment("deployment.yaml")
    del made["status"]
    webhook, _ = installation.deployments(replace(EMPTY, webhook=made))
    assert "0 of 2 replicas" in one([webhook], State.PROBLEM)


def test_a_deployment_that_says_nothing_of_replicas_has_one() -> None:
    made = deployment("deployment.yaml", 1)
    del made["spec"]["replicas"]
    webhook, _ = installation.deployments(replace(EMPTY, webhook=made))
    assert "1 of 1 replicas" in one([webhook], State.OK)


def test_a_deployment_that_was_scaled_to_nothing_is_scaled_up_again() -> None:
    made = deployment("deployment.yaml", 0)
    made["spec"]["replicas"] = 0
    finding = installation.deployments(replace(EMPTY, webhook=made))[0]
    assert (finding.state, finding.fix) == (
        State.PROBLEM,
        f"kubectl -n {OWN} scale deployment/{OWN} --replicas=2",
    )


def test_a_deployment_that_is_not_there_is_a_problem_unless_a_url_stands_in_its_place() -> None:
    assert "does not exist" in one(installation.deployments(replace(EMPTY, webhook=None))[:1], State.PROBLEM)
    by_url = configuration()
    for each in by_url["webhooks"]:
        each["clientConfig"] = {"url": "https://10.0.0.1:8443/mutate/pods", "caBundle": "AA=="}
    found = installation.deployments(replace(EMPTY, webhook=None, configuration=by_url))
    assert [each.check for each in found] == ["controller"]
    assert one(installation.endpoints(replace(EMPTY, configuration=by_url)), State.SKIPPED)


def test_the_service_needs_an_endpoint_that_is_ready() -> None:
    unready = [endpoint_slice(OWN, OWN, "10.0.0.7", ready=False)]
    assert "no ready endpoint" in one(
        installation.endpoints(replace(EMPTY, endpoints=unready)), State.PROBLEM
    )
    assert "no ready endpoint" in one(installation.endpoints(replace(EMPTY, endpoints=[])), State.PROBLEM)


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, State.OK), (14, State.OK), (70, State.OK), (76, State.PROBLEM)]
)
def test_the_lease_is_renewed(seconds: int, state: State) -> None:
    held = lease(NOW - timedelta(seconds=seconds))
    assert "one" in one(installation.lease(replace(EMPTY, lease=held)), state)


@pytest.mark.parametrize(("seconds", "state"), [(60, State.OK), (61, State.PROBLEM)])
def test_a_lease_without_a_duration_is_to_be_renewed_at_once(seconds: int, state: State) -> None:
    held = lease(NOW - timedelta(seconds=seconds))
    del held["spec"]["leaseDurationSeconds"]
    assert one(installation.lease(replace(EMPTY, lease=held)), state)


@pytest.mark.parametrize(
    "held",
    [
        None,
        {},
        {"spec": {"holderIdentity": ""}},
        {"spec": {"holderIdentity": "one"}},
        {"spec": {"renewTime": "2026-03-01T12:00:00Z"}},
    ],
)
def test_a_lease_that_nobody_holds(held: Any) -> None:
    assert "no controller holds" in one(installation.lease(replace(EMPTY, lease=held)), State.PROBLEM)


@pytest.mark.parametrize(
    ("config_map", "words"),
    [
        (None, "does not exist"),
        ({"data": {}}, "has no key settings.yaml"),
        ({}, "has no key settings.yaml"),
        (settings("defaults: ["), "is invalid"),
        (settings("defaults: {memory-limit: much}"), "memory-limit"),
        (settings("runAsUser: root"), "runAsUser"),
    ],
)
def test_settings_that_cannot_be_used(config_map: Any, words: str) -> None:
    assert words in one(installation.settings(replace(EMPTY, settings=config_map)), State.PROBLEM)


# --- the configuration -------------------------------------------------------------------------------------


def test_the_client_of_the_webhook_for_pods_counts_wherever_it_stands() -> None:
    given = configuration()
    for each in given["webhooks"]:
        each["clientConfig"] = {"url": f"https://{each['name']}"}
    given["webhooks"].reverse()
    assert registration.client_of(given) == {"url": f"https://{PODS}"}
    given["webhooks"] = [{"name": "x", "clientConfig": {"url": "https://x"}}, {"name": "y"}]
    assert registration.client_of(given) == {"url": "https://x"}, "of another version"
    assert registration.client_of({"webhooks": []}) == registration.client_of({"webhooks": [{}]}) == {}


Webhooks = list[dict[str, Any]]


def _without_condition(webhooks: Webhooks) -> None:
    webhooks[4]["matchConditions"].pop(0)


def _with_another_condition(webhooks: Webhooks) -> None:
    webhooks[4]["matchConditions"][0]["expression"] = "true"


def _with_one_more_condition(webhooks: Webhooks) -> None:
    webhooks[0]["matchConditions"] = [{"name": "mine", "expression": "false"}]


def _without_selector(webhooks: Webhooks) -> None:
    webhooks[0]["objectSelector"] = {}


def _with_another_selector(webhooks: Webhooks) -> None:
    webhooks[0]["objectSelector"] = {"matchLabels": {"tier": "front"}}


def _without_others(webhooks: Webhooks) -> None:
    webhooks.pop(3)


def _without_workloads(webhooks: Webhooks) -> None:
    webhooks.pop()


def _without_jobs(webhooks: Webhooks) -> None:
    webhooks[-1]["rules"].pop()


def _with_ignore(webhooks: Webhooks) -> None:
    webhooks[2]["failurePolicy"] = "Ignore"


def _without_a_second_attempt(webhooks: Webhooks) -> None:
    webhooks[0]["failurePolicy"] = "Fail"


def _without_the_last_attempt(webhooks: Webhooks) -> None:
    webhooks.pop(2)


def _without_own_exemption(webhooks: Webhooks) -> None:
    webhooks[0]["namespaceSelector"]["matchExpressions"][0]["values"] = ["kube-system"]


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        (_without_condition, State.PROBLEM, "lacks the match condition annotated-for-sidecar"),
        (_with_another_condition, State.WARNING, "a changed match condition annotated-for-sidecar"),
        (_with_one_more_condition, State.WARNING, "match condition mine"),
        (_without_selector, State.WARNING, "pods.sidecar.hazelcast.com has a wider objectSelector"),
        (_with_another_selector, State.WARNING, "changed objectSelector: some objects are skipped"),
        (_without_others, State.PROBLEM, "Pods that no workload made need the label"),
        (_without_workloads, State.PROBLEM, "workloads.sidecar.hazelcast.com is missing"),
        (_without_jobs, State.PROBLEM, "CREATE of cronjobs"),
        (_with_ignore, State.WARNING, "failurePolicy Ignore: objects are admitted without it"),
        (_without_a_second_attempt, State.WARNING, "failurePolicy Fail: a Pod is rejected when"),
        (_without_the_last_attempt, State.PROBLEM, "decisive.pods.sidecar.hazelcast.com is missing"),
        (_without_own_exemption, State.WARNING, f"exempt the namespace {OWN}"),
    ],
)
def test_a_configuration_unlike_the_shipped_one(
    change: Callable[[Webhooks], None], state: State, words: str
) -> None:
    found = registration.registration(changed_configuration(change))
    assert words in one([each for each in found if each.state != State.OK], state)


def test_what_is_asked_about_more_makes_no_difference() -> None:
    def widened(webhooks: Webhooks) -> None:
        for each in webhooks:
            for rule in each["rules"]:
                rule["operations"] = ["*"]

    assert {each.state for each in registration.registration(changed_configuration(widened))} == {State.OK}


def test_what_the_api_server_adds_makes_no_difference() -> None:
    def defaulted(webhooks: Webhooks) -> None:
        for each in webhooks:
            each["objectSelector"]["matchLabels"] = None
            for condition in each.get("matchConditions", ()):
                condition["expression"] = condition["expression"].replace(" ", "\n   ")

    assert {each.state for each in registration.registration(changed_configuration(defaulted))} == {State.OK}


def _with_unlabelled_workloads(webhooks: Webhooks) -> None:
    webhooks[3]["objectSelector"]["matchExpressions"] = UNLABELLED


def test_the_selector_that_a_value_makes_is_as_good_as_the_shipped_one() -> None:
    snapshot = changed_configuration(_with_unlabelled_workloads)
    assert {each.state for each in registration.registration(snapshot)} == {State.OK}


def test_no_configuration() -> None:
    assert "no Pod gets" in one(registration.registration(replace(EMPTY, configuration=None)), State.PROBLEM)


# --- certificates ------------------------------------------------------------------------------------------


def test_a_blank_ca_bundle() -> None:
    blank = changed_configuration(lambda webhooks: webhooks[1]["clientConfig"].pop("caBundle"))
    assert "is empty" in one(serving_certificate.ca_bundle(blank), State.PROBLEM)


@pytest.mark.parametrize(("attempt", "state"), [(tried(), State.WARNING), (DryRun("x"), State.PROBLEM)])
def test_a_ca_bundle_of_another_authority(attempt: DryRun, state: State) -> None:
    other = replace(EMPTY, leaf=_leaf_of_another(), dry_run=attempt)
    assert "does not verify" in one(serving_certificate.ca_bundle(other), state)


def _leaf_of_another() -> bytes:
    return make_authority(NOW).certificate


@pytest.mark.parametrize("bundle", ["AA==", "no base64!", "LS0t"])
def test_a_ca_bundle_that_is_none(bundle: str) -> None:
    def change(webhooks: Webhooks) -> None:
        webhooks[0]["clientConfig"]["caBundle"] = bundle

    snapshot = replace(changed_configuration(change), dry_run=DryRun("default", refusal="x509: unknown"))
    assert "does not verify" in one(serving_certificate.ca_bundle(snapshot), State.PROBLEM)


def test_what_is_served_counts_before_what_is_stored() -> None:
    served = replace(EMPTY, served=LEAF.certificate, leaf=None)
    assert "that is served" in one(serving_certificate.expiry(served), State.OK)
    other = replace(EMPTY, served=LEAF.certificate, leaf=b"another")
    assert "that is served" in one(serving_certificate.expiry(other), State.OK)
    unreachable = replace(EMPTY, served=Unread("no TLS"))
    assert "in the Secret" in one(serving_certificate.expiry(unreachable), State.OK)
    away = replace(EMPTY, served=Unread("no TLS"), leaf=None)
    assert "no TLS" in one(serving_certificate.expiry(away), State.SKIPPED)


@pytest.mark.parametrize(("name", "state"), [("10.0.0.1", State.OK), (f"{OWN}.{OWN}.svc", State.PROBLEM)])
def test_a_webhook_at_a_url_is_called_by_the_name_in_it(name: str, state: State) -> None:
    by_url = configuration()
    for each in by_url["webhooks"]:
        each["clientConfig"] |= {"url": "https://10.0.0.1:8443/mutate/pods"}
        del each["clientConfig"]["service"]
    served = make_leaf(AUTHORITY, [name], NOW).certificate
    snapshot = replace(EMPTY, configuration=by_url, served=served, dry_run=DryRun("x"))
    assert one(serving_certificate.ca_bundle(snapshot), state)


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [
        (0, State.OK, "valid for 90 more days"),
        (59, State.OK, "valid for 31 more days"),
        (61, State.WARNING, "expires in 29 days"),
        (91, State.PROBLEM, "expired on 2026-05-30"),
    ],
)
def test_the_life_of_a_certificate(days: int, state: State, words: str) -> None:
    later = replace(EMPTY, now=NOW + timedelta(days=days))
    assert words in one(serving_certificate.expiry(later), state)
    assert one(serving_certificate.ca_bundle(later), State.OK), "its age is told once"


def test_no_certificate() -> None:
    assert "no certificate" in one(serving_certificate.expiry(replace(EMPTY, leaf=None)), State.PROBLEM)
    assert "cannot be read" in one(serving_certificate.expiry(replace(EMPTY, leaf=b"none")), State.PROBLEM)


def test_whoever_makes_the_certificates_has_the_fix() -> None:
    made = configuration()
    made["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "own/leaf"}
    (finding,) = serving_certificate.expiry(replace(EMPTY, leaf=None, configuration=made))
    assert finding.fix == "kubectl -n own describe certificate leaf"
    controller = deployment("controller.yaml")
    controller["spec"]["template"]["spec"]["containers"][0]["args"] += ["--certificates", "leave"]
    (finding,) = serving_certificate.expiry(replace(EMPTY, leaf=None, controller=controller))
    assert f"kubectl -n {OWN} create secret tls {OWN}-tls" in finding.fix
    assert "make certs" in finding.fix


# --- the way it was installed ------------------------------------------------------------------------------


def by_helm(obj: Any, release: str = "injector", namespace: str = OWN) -> Any:
    """The object as Helm makes it."""
    annotations = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
    obj["metadata"]["annotations"] = annotations
    return obj


UPGRADE = f"helm upgrade injector manifests/chart --namespace {OWN} --reset-then-reuse-values"


def test_what_is_missing_is_installed_again_the_way_it_was() -> None:
    (finding,) = registration.registration(replace(HEALTHY, configuration=None))
    assert finding.fix.startswith("kubectl apply -k manifests/base")
    assert "hazelcast-sidecar install" in finding.fix
    helped = replace(HEALTHY, configuration=None, controller=by_helm(deployment("controller.yaml")))
    assert registration.registration(helped)[0].fix == UPGRADE
    helped = replace(HEALTHY, configuration=by_helm(configuration()), webhook=None)
    assert installation.deployments(helped)[0].fix == UPGRADE
    strange = replace(HEALTHY, configuration=by_helm(configuration(), "$(x)", "y;z"), webhook=None)
    assert "upgrade '$(x)' manifests/chart --namespace 'y;z'" in installation.deployments(strange)[0].fix


def test_a_release_that_ignores_failures_is_told_the_value() -> None:
    made = by_helm(configuration())
    made["webhooks"][2]["failurePolicy"] = "Ignore"
    made["webhooks"][1]["failurePolicy"] = "Fail"
    changed = [
        each
        for each in registration.registration(replace(HEALTHY, configuration=made))
        if each.check == "failurePolicy"
    ]
    assert [each.fix for each in changed] == [UPGRADE, f"{UPGRADE} --set failurePolicy=Fail"]


# --- the dry run -------------------------------------------------------------------------------------------

_CALL = 'Internal error occurred: failed calling webhook "decisive.pods.sidecar.hazelcast.com": '


@pytest.mark.parametrize(
    ("refusal", "fix"),
    [
        (_CALL + "dial tcp 10.0.0.7:8443: connect: connection refused", "TCP 8443"),
        (_CALL + "context deadline exceeded", "firewall"),
        (_CALL + 'no endpoints available for service "hazelcast-sidecar-injector"', "scale deployment"),
        (_CALL + "tls: failed to verify certificate: x509: unknown", "logs deployment/hazelcast-sidecar-con"),
        (_CALL + 'service "hazelcast-sidecar-injector" not found', "kubectl apply -k manifests/base"),
        ('namespaces "team-z" not found', "--namespace"),
        ("exceeded quota: compute", "describe resourcequota"),
        ("something else", f"logs deployment/{OWN}"),
    ],
)
def test_a_refusal_has_its_way_out(refusal: str, fix: str) -> None:
    (finding,) = dry_run.injection(replace(EMPTY, dry_run=DryRun("default", refusal=refusal)))
    assert refusal in one([finding], State.PROBLEM)
    assert fix in finding.fix


def test_a_pod_that_came_back_without_a_member() -> None:
    assert "got none" in one(dry_run.injection(replace(EMPTY, dry_run=tried(member=False))), State.PROBLEM)


def test_a_record_without_the_container_is_no_member() -> None:
    attempt = tried()
    assert attempt.pod
    del attempt.pod["spec"]["initContainers"]
    assert "got none" in one(dry_run.injection(replace(EMPTY, dry_run=attempt)), State.PROBLEM)


def test_a_container_without_the_record_is_no_member() -> None:
    for annotations in (None, {}, {STATUS: "{"}):
        attempt = tried()
        assert attempt.pod
        attempt.pod["metadata"]["annotations"] = annotations
        assert "got none" in one(dry_run.injection(replace(EMPTY, dry_run=attempt)), State.PROBLEM)


@pytest.mark.parametrize(("seconds", "state"), [(0.999, State.OK), (1.0, State.WARNING)])
def test_an_answer_takes_long_from_a_second_on(seconds: float, state: State) -> None:
    said = one(dry_run.injection(replace(EMPTY, dry_run=tried(seconds=seconds))), state)
    assert f"{seconds * 1000:.0f} ms" in said


def test_an_answer_that_takes_long() -> None:
    assert "20 ms" in one(dry_run.injection(replace(EMPTY, dry_run=tried())), State.OK)
    assert "1500 ms" in one(dry_run.injection(replace(EMPTY, dry_run=tried(seconds=1.5))), State.WARNING)


def test_another_version_of_the_webhook_does_not_count_as_drift() -> None:
    other = replace(HEALTHY, dry_run=tried(version="0.0.9"))
    assert "0.0.9" in one(dry_run.same_version(other), State.WARNING)
    assert "0.0.9" in one(pods.drifted(other), State.SKIPPED)


# --- rights ------------------------------------------------------------------------------------------------


def test_the_right_to_evict_is_that_of_the_component() -> None:
    rbac_of_repair = MANIFESTS.parent / "components" / "repair" / "rbac.yaml"
    roles = [each for each in yaml.safe_load_all(rbac_of_repair.read_text()) if "rules" in each]
    assert [(each["kind"], each["rules"]) for each in roles] == [
        ("ClusterRole", [{"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}])
    ]
    assert Right("create", "", "pods/eviction", name="", own=False) == rbac.REPAIR


class Authorization:
    """Stands in for an API server that allows nothing, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def create(self, _: object, __: str, review: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(review["spec"]["resourceAttributes"])
        return {"status": {"allowed": False}}


async def test_rights_are_asked_for_where_they_are_needed() -> None:
    api = Authorization()
    own = Right("get", "", "secrets", "leaf", own=True)
    reader = Reader(cast("Api", api), "", lambda _: None)
    assert await reader._missing(POD, [rbac.REPAIR, own], OWN, {}) == [rbac.REPAIR, own]  # noqa: SLF001
    everywhere, here = api.asked
    assert everywhere == {
        "verb": "create",
        "group": "",
        "resource": "pods",
        "subresource": "eviction",
        "name": "",
        "namespace": "",
    }
    assert (here["namespace"], here["subresource"], here["name"]) == (OWN, "", "leaf")


def _raising(error: Exception) -> Awaitable[None]:
    async def read() -> None:
        raise error

    return read()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ApiError(403, "forbidden: User ..."), "you may not list nodes"),
        (ApiError(500, "etcd is away"), "could not list nodes: etcd is away"),
        (ConnectionRefusedError(111, "refused"), "could not list nodes: "),
        (KeyError("metadata"), "could not list nodes: KeyError"),
    ],
)
async def test_why_something_could_not_be_read(error: Exception, why: str) -> None:
    unread = await attempt("list nodes", _raising(error))
    assert isinstance(unread, Unread)
    assert unread.why.startswith(why)


def test_repair_needs_the_right_to_evict() -> None:
    assert rbac.REPAIR not in rbac.rights_of(deployment("controller.yaml"))
    controller = deployment("controller.yaml")
    controller["spec"]["template"]["spec"]["containers"][0]["args"] += ["--repair=missed"]
    assert rbac.REPAIR in rbac.rights_of(controller)
    (finding,) = rbac.controller_rights(replace(EMPTY, missing_permissions=[rbac.REPAIR]))
    assert "components/repair" in finding.fix


def test_rights_that_lack_are_named() -> None:
    missing = list(rbac.CONTROLLER_RIGHTS[:7])
    said = one(rbac.controller_rights(replace(EMPTY, missing_permissions=missing)), State.PROBLEM)
    assert said == ("it may not get pods, list pods, watch pods, get configmaps, list configmaps and 2 more")


def test_what_manifests_base_consists_of() -> None:
    kinds = {"namespaces"} | {
        f"{document['kind'].lower()}s".replace("policys", "policies")
        for path in MANIFESTS.glob("*.yaml")
        if path.name not in ("kustomization.yaml", "settings.yaml")
        for document in yaml.safe_load_all(path.read_text())
    }
    assert {right.resource for right in preflight.PARTS} == kinds | {"configmaps"}


# --- Pods --------------------------------------------------------------------------------------------------


def test_a_missed_pod() -> None:
    (finding,) = pods.missed(replace(EMPTY, without_member=[pod_without_member(alike=3)]))
    assert one([finding], State.PROBLEM).startswith("3 Pods without a member, for example team-a/shop-1: ")
    assert finding.fix == "kubectl -n team-a rollout restart deployment/shop"
    (finding,) = pods.missed(replace(EMPTY, without_member=[pod_without_member()]))
    assert finding.message.startswith("1 Pod without a member, for example team-a/shop-1: ")


@pytest.mark.parametrize(
    ("api_version", "kind", "name", "fix"),
    [
        ("apps/v1", "ReplicaSet", "shop-5d4f9c", "rollout restart deployment/shop"),
        ("apps/v1", "ReplicaSet", "shop", "delete pod shop-1"),
        ("apps/v1", "StatefulSet", "shop", "rollout restart statefulset/shop"),
        ("apps/v1", "DaemonSet", "shop", "rollout restart daemonset/shop"),
        ("batch/v1", "Job", "shop", "delete pod shop-1"),
        ("v1", "Pod", "shop-1", "delete pod shop-1  # and create it again"),
    ],
)
def test_a_missed_pod_is_made_again_as_its_owner_allows(
    api_version: str, kind: str, name: str, fix: str
) -> None:
    without = pod_without_member()
    without.metadata.owner_references = (OwnerReference(api_version, kind, name, "uid", controller=True),)
    (finding,) = pods.missed(replace(EMPTY, without_member=[without]))
    assert finding.fix == f"kubectl -n team-a {fix}"


@pytest.mark.parametrize(
    ("api_version", "kind", "name", "fix"),
    [
        ("apps/v1", "ReplicaSet", "shop-5d4f9c", "rollout restart deployment/shop"),
        ("apps/v1", "StatefulSet", "shop", "rollout restart statefulset/shop"),
        ("batch/v1", "Job", "shop", "delete job/shop  # and create it again"),
        (
            "apps.kruise.io/v1alpha1",
            "CloneSet",
            "shop",
            f'edit cloneset/shop  # label its Pod template {INJECT}: "true"',
        ),
    ],
)
def test_a_pod_whose_template_lacks_the_label(api_version: str, kind: str, name: str, fix: str) -> None:
    """Evicted, it would come again as it was; written through the webhook, its template is labelled."""
    without = pod_without_member()
    del without.metadata.labels[INJECT]
    without.metadata.owner_references = (OwnerReference(api_version, kind, name, "uid", controller=True),)
    (finding,) = pods.missed(replace(EMPTY, without_member=[without]))
    assert f'lacks the label {INJECT}: "true"' in one([finding], State.PROBLEM)
    assert finding.fix == f"kubectl -n team-a {fix}"


def test_a_workload_whose_next_pod_would_have_no_member() -> None:
    pod = injected()
    del pod.labels[INJECT]
    (finding,) = pods.unlabelled(with_pods(EMPTY, pod))
    assert "1 Pod with a member, for example team-a/shop-1, whose repl" in one([finding], State.PROBLEM)
    assert finding.fix == "kubectl -n team-a rollout restart deployment/shop"
    wide = replace(
        with_pods(EMPTY, pod), configuration=changed_configuration(_with_unlabelled_workloads).configuration
    )
    assert one(pods.unlabelled(wide), State.OK).endswith("which unlabelledWorkloads injects: 1")
    assert one(pods.unlabelled(HEALTHY), State.OK) == "every workload with members has its label"


def test_a_pod_is_missed_by_the_settings_of_today() -> None:
    today = settings("defaults: {metrics: 'true', metrics-port: '6000'}")
    snapshot = replace(EMPTY, settings=today, without_member=[pod_without_member(port="6000")])
    assert "it would be denied now" in one(pods.missed(snapshot), State.PROBLEM)


def test_a_pod_that_is_going_is_neither_drifted_nor_in_a_group() -> None:
    pod = injected(fingerprint="of-yesterday")
    assert one(pods.drifted(with_pods(EMPTY, pod)), State.WARNING)
    pod.deletion_timestamp = "2026-03-01T12:00:00Z"
    assert one(pods.drifted(with_pods(EMPTY, pod)), State.OK)
    assert group_health.groups_of([pod]) == []


def test_drift_is_looked_for_where_no_dry_run_was_possible() -> None:
    drifted = with_pods(EMPTY, injected(fingerprint="of-yesterday"))
    for failed in (Unread("you may not create pods"), DryRun("default", refusal="no"), tried(member=False)):
        assert one(pods.drifted(replace(drifted, dry_run=failed)), State.WARNING)


def test_a_pod_that_would_be_refused_is_mended_and_not_restarted() -> None:
    (finding,) = pods.missed(replace(EMPTY, without_member=[pod_without_member(memory_limit="much")]))
    assert "it would be denied" in one([finding], State.PROBLEM)
    assert finding.fix == "kubectl -n team-a edit deployment/shop"


def test_a_pod_where_the_webhook_is_not_asked() -> None:
    (finding,) = pods.missed(replace(EMPTY, without_member=[pod_without_member(namespace="kube-system")]))
    assert "the namespace kube-system is excluded" in one([finding], State.PROBLEM)
    assert "kubectl label namespace kube-system" in finding.fix


def _with_chosen_namespaces(webhooks: Webhooks) -> None:
    for each in webhooks:
        each["namespaceSelector"] = {"matchLabels": {"chosen": "yes"}}


def _with_chosen_pods(webhooks: Webhooks) -> None:
    for each in webhooks:
        each["objectSelector"] = {"matchLabels": {"chosen": "yes"}}


@pytest.mark.parametrize(
    ("change", "words", "fix"),
    [
        (_with_chosen_namespaces, "the namespace team-a is excluded", "kubectl label namespace team-a"),
        (_with_chosen_pods, "its labels exclude it from injection", "its objectSelector"),
        (list.clear, "nothing is registered", "kubectl apply -k manifests/base"),
    ],
)
def test_a_missed_pod_that_would_be_missed_again(
    change: Callable[[Webhooks], None], words: str, fix: str
) -> None:
    snapshot = replace(changed_configuration(change), without_member=[pod_without_member()])
    (finding,) = pods.missed(snapshot)
    assert words in one([finding], State.PROBLEM)
    assert fix in finding.fix
    assert "restart" not in finding.fix


@pytest.mark.parametrize("part", ["configuration", "namespaces"])
def test_a_missed_pod_where_nobody_knows_whether_the_webhook_is_asked(part: str) -> None:
    unread: Any = {part: Unread("you may not look")}
    (finding,) = pods.missed(replace(EMPTY, without_member=[pod_without_member()], **unread))
    assert "it is unknown whether the namespace team-a is excluded" in one([finding], State.PROBLEM)


def test_a_drifted_pod_in_whose_place_none_would_have_a_member_is_not_restarted() -> None:
    snapshot = replace(
        changed_configuration(_with_chosen_namespaces), settings=settings("defaults: {log-level: DEBUG}")
    )
    (finding,) = pods.drifted(snapshot)
    assert "a new Pod would have no member" in one([finding], State.WARNING)
    assert "kubectl label namespace team-a" in finding.fix


def test_a_pod_that_declines_is_not_missed() -> None:
    assert one(pods.missed(replace(EMPTY, without_member=[pod_without_member(inject="false")])), State.OK)


def test_drift_is_told_once_for_each_owner() -> None:
    changed = replace(
        with_pods(EMPTY, injected("shop-1"), injected("shop-2")), settings=settings("defaults: {port: 5702}")
    )
    said = one(pods.drifted(changed), State.WARNING)
    assert said.startswith("2 Pods with an outdated member, for example team-a/shop-1")


def test_members_whose_user_is_left_open_need_a_platform_that_gives_one() -> None:
    open_user = replace(HEALTHY, settings=settings("runAsUser: platform"))
    assert "team-a" in one(pods.pod_security(open_user), State.WARNING)
    given = Metadata(name="team-a", known_annotations={"openshift.io/sa.scc.uid-range": "1000/10"})
    assert one(pods.pod_security(replace(open_user, namespaces={"team-a": given})), State.OK)


# --- groups ------------------------------------------------------------------------------------------------

SERVICE = ObjectName("Service", "team-a", "hazelcast-shop")


def test_an_object_of_somebody_else_in_the_way() -> None:
    assert isinstance(HEALTHY.existing_objects, dict)
    (finding,) = group_health.objects(
        replace(HEALTHY, existing_objects={**HEALTHY.existing_objects, SERVICE: Metadata()})
    )
    assert "the Service hazelcast-shop in team-a exists but is not managed here" in one(
        [finding], State.PROBLEM
    )
    assert "kubectl -n team-a delete service hazelcast-shop" in finding.fix


def test_an_object_that_is_missing() -> None:
    assert isinstance(HEALTHY.existing_objects, dict)
    missing = replace(HEALTHY, existing_objects={**HEALTHY.existing_objects, SERVICE: None})
    assert "the Service hazelcast-shop is missing" in one(group_health.objects(missing), State.PROBLEM)


def test_kinds_that_may_not_be_read_are_skipped_each_once() -> None:
    assert isinstance(HEALTHY.existing_objects, dict)
    unread: Any = dict.fromkeys(HEALTHY.existing_objects, Unread("you may not list them"))
    found = group_health.objects(replace(HEALTHY, existing_objects=unread))
    assert [each.check for each in found] == ["objects (ConfigMap)", "objects (Service)"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("selector", {"app": "shop"}), ("publishNotReadyAddresses", False), ("clusterIP", "10.0.0.1")],
)
def test_a_headless_service_by_which_members_do_not_meet(field: str, value: Any) -> None:
    snapshot = with_pods(EMPTY, injected())
    assert not isinstance(snapshot.services, Unread)
    snapshot.services["team-a", "hazelcast-shop"]["spec"][field] = value
    assert f"a wrong {field}" in one(group_health.services(snapshot), State.PROBLEM)


def test_a_headless_service_without_addresses() -> None:
    without = replace(HEALTHY, group_endpoints=[])
    assert "no address though 1 of its Pods run" in one(group_health.services(without), State.PROBLEM)
    assert one(group_health.services(replace(without, running=frozenset())), State.OK), (
        "none is to be expected"
    )


@pytest.mark.parametrize(
    "slices",
    [
        [endpoint_slice("hazelcast-shop", "team-b", "10.1.0.1")],
        [endpoint_slice("hazelcast-cart", "team-a", "10.1.0.1")],
        [endpoint_slice("hazelcast-shop", "team-a")],
        [{"metadata": {"name": "x", "namespace": "team-a"}}],
        [{**endpoint_slice("hazelcast-shop", "team-a"), "endpoints": None}],
        [{**endpoint_slice("hazelcast-shop", "team-a"), "endpoints": [{"addresses": []}]}],
    ],
)
def test_addresses_of_other_services_are_none_of_this_one(slices: list[dict[str, Any]]) -> None:
    found = group_health.services(replace(HEALTHY, group_endpoints=slices))
    assert "has no address" in one(found, State.PROBLEM)
    own = endpoint_slice("hazelcast-shop", "team-a", "10.1.0.1")
    assert one(group_health.services(replace(HEALTHY, group_endpoints=[*slices, own])), State.OK)


def test_a_service_that_is_not_there_is_told_once() -> None:
    assert one(group_health.services(replace(HEALTHY, services={}, group_endpoints=[])), State.OK)


def test_groups_come_by_namespace_and_name() -> None:
    found = group_health.groups_of(
        [injected(f"{group}-1", namespace, group=group) for namespace, group in ("by", "bx", "az", "by")]
    )
    assert [(str(group), len(group.pods)) for group in found] == [("a/z", 1), ("b/x", 1), ("b/y", 2)]


def test_a_budget_that_lets_no_pod_be_evicted() -> None:
    pod = injected(disruption_budget=True)
    assert "every PodDisruptionBudget" in one(group_health.requests(with_pods(EMPTY, pod)), State.OK)
    pod.owner_references = (OwnerReference("batch/v1", "Job", "shop", "uid-job", controller=True),)
    snapshot = with_pods(EMPTY, pod)
    budget = ObjectName("PodDisruptionBudget", "team-a", "hazelcast-shop")
    assert budget not in snapshot.existing_objects
    assert "with Pods of Job/shop it would allow no eviction" in one(
        group_health.requests(snapshot), State.WARNING
    )
    warning, problem = group_health.requests(
        replace(snapshot, unmet_requests={budget: Metadata(labels=OURS)})
    )
    assert (warning.state, problem.state) == (State.WARNING, State.PROBLEM)
    assert problem.fix == "kubectl -n team-a delete poddisruptionbudget hazelcast-shop"
    assert one(group_health.requests(replace(snapshot, unmet_requests={budget: Metadata()})), State.WARNING)


def test_workloads_of_one_group_that_ask_for_different_things() -> None:
    """Old and new Pods of a Deployment are one workload; another Deployment is another."""
    asks, old, other = injected("shop-1", network_policy=True), injected("shop-2"), injected("cart-1")
    old.labels = {**old.labels, "pod-template-hash": "77777"}
    old.owner_references = (
        OwnerReference("apps/v1", "ReplicaSet", "shop-77777", "uid-old", controller=True),
    )
    assert one(group_health.requests(with_pods(EMPTY, asks, old)), State.OK)
    other.owner_references = (
        OwnerReference("apps/v1", "ReplicaSet", "cart-5d4f9c", "uid-cart", controller=True),
    )
    found = one(group_health.requests(with_pods(EMPTY, asks, old, other)), State.WARNING)
    assert "the group team-a/shop gets no NetworkPolicy: Deployment/cart in the same group" in found


def test_a_pod_that_does_not_know_its_zone() -> None:
    knows, does_not = injected("shop-1", backups="zone"), injected("shop-2", backups="zone")
    assert group_health.zones(with_pods(EMPTY, injected())) == []
    knows.labels["topology.kubernetes.io/zone"] = "a"
    assert group_health.zones(with_pods(EMPTY, knows)) == []
    found = one(group_health.zones(with_pods(EMPTY, knows, does_not)), State.WARNING)
    assert found.startswith("1 Pods of the group team-a/shop, such as shop-2, do not know their zone")


def test_a_pod_whose_record_and_label_differ_is_in_no_group() -> None:
    pod = injected()
    pod.labels[GROUP] = "another"
    unreadable = injected("shop-2")
    unreadable.known_annotations["sidecar.hazelcast.com/status"] = "{"
    mirror, nameless = injected("shop-3"), injected("shop-4", group="-", discovery="api")
    mirror.owner_references = (OwnerReference("v1", "Node", "node-1", "uid-node", controller=True),)
    assert group_health.groups_of([pod, unreadable, mirror, nameless]) == []


# --- networks ----------------------------------------------------------------------------------------------

_MEMBERS = {"podSelector": {"matchLabels": {GROUP: "shop"}}}
_OTHERS = {"podSelector": {"matchLabels": {"a": "b"}}}
_ALL: dict[str, Any] = {"podSelector": {}}


@pytest.mark.parametrize(
    ("spec", "state"),
    [
        ({"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Ingress"]}, State.OK),
        ({**_ALL, "policyTypes": ["Ingress"]}, State.PROBLEM),
        ({**_ALL}, State.PROBLEM),
        ({**_ALL, "policyTypes": ["Egress"]}, State.PROBLEM),
        ({**_ALL, "ingress": [{}]}, State.OK),
        ({**_ALL, "ingress": [{"from": [_MEMBERS]}]}, State.OK),
        ({**_ALL, "ingress": [{"from": [_MEMBERS], "ports": [{"port": 5701}]}]}, State.OK),
        ({**_ALL, "ingress": [{"from": [_MEMBERS], "ports": [{"port": "other"}]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{"ports": [{"port": 5700, "endPort": 5800}]}]}, State.OK),
        ({**_ALL, "ingress": [{"ports": [{"port": 5701, "protocol": "UDP"}]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{"ports": [{"port": 8080}]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{"from": [_OTHERS]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{"from": [{"namespaceSelector": {}}]}]}, State.OK),
        (
            {**_ALL, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}]},
            State.PROBLEM,
        ),
        ({**_ALL, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}, State.OK),
        (
            {**_ALL, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{"to": [_MEMBERS]}]},
            State.OK,
        ),
        ({**_ALL, "policyTypes": ["Egress"], "egress": [{"to": [_OTHERS]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{}], "egress": [{"to": [_OTHERS]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{}], "egress": [{"to": [_MEMBERS]}]}, State.OK),
        ({**_ALL, "ingress": [{"from": [{"namespaceSelector": {}, **_OTHERS}]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{"from": [{"namespaceSelector": {}, **_MEMBERS}]}]}, State.OK),
        (
            {**_ALL, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {LABEL: "team-a"}}}]}]},
            State.OK,
        ),
        ({**_ALL, "ingress": [{"from": [_OTHERS, _MEMBERS]}]}, State.OK),
        ({**_ALL, "ingress": [{"ports": [{"port": 8080}, {"port": 5701}]}]}, State.OK),
        ({**_ALL, "ingress": [{"ports": [{"protocol": "TCP"}]}]}, State.OK),
        ({**_ALL, "ingress": [{"ports": [{"port": "http"}]}]}, State.PROBLEM),
        ({**_ALL, "ingress": [{"ports": [{"port": 5600, "endPort": 5700}]}]}, State.PROBLEM),
        ({"policyTypes": ["Ingress"]}, State.PROBLEM),
    ],
)
def test_a_policy_that_separates_members(spec: dict[str, Any], state: State) -> None:
    found = networks.policies(replace(HEALTHY, policies=[policy("closing", {**spec, **_to_dns(spec)})]))
    assert ("closing in team-a keeps members of the group shop from each other" in one(found, state)) == (
        state == State.PROBLEM
    )


def test_a_policy_that_names_the_members_port() -> None:
    """kube-router 2.1 does not know the names of native sidecars' ports; Calico learned them in 2024."""
    named = policy("named", {**_ALL, "ingress": [{"from": [_MEMBERS], "ports": [{"port": "hazelcast"}]}]})
    found = one(networks.policies(replace(HEALTHY, policies=[named])), State.WARNING)
    assert found.startswith("named in team-a lets members of the group shop reach each other by the name")
    numbered = policy("numbered", {**_ALL, "ingress": [{"from": [_MEMBERS], "ports": [{"port": 5701}]}]})
    assert one(networks.policies(replace(HEALTHY, policies=[named, numbered])), State.OK)


def test_members_behind_the_proxy_of_a_mesh_are_named_once_for_each_group() -> None:
    pods = [injected("shop-1"), injected("shop-2")]
    for pod in pods:
        pod.labels["security.istio.io/tlsMode"] = "istio"
    found = networks.meshes(replace(HEALTHY, pods=pods))
    assert one(found, State.WARNING) == "Istio's proxy is between the members of the group team-a/shop"
    key = "traffic.sidecar.istio.io/exclude{}Ports"
    inbound, outbound = key.format("Inbound"), key.format("Outbound")
    assert found[0].fix.endswith(f'  # annotate their template with {inbound}: "5701" and {outbound}: "5701"')
    for pod in pods:
        pod.known_annotations |= dict.fromkeys((inbound, outbound), "5701")
    assert one(networks.meshes(replace(HEALTHY, pods=pods)), State.OK)


def _to_dns(spec: dict[str, Any]) -> dict[str, Any]:
    """The same egress rules, and one for the DNS."""
    if "egress" not in spec and "Egress" not in spec.get("policyTypes", []):
        return {}
    return {"egress": [*spec.get("egress", []), {"to": [_KUBE_SYSTEM], "ports": [_DNS]}]}


_KUBE_SYSTEM = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
_DNS: dict[str, Any] = {"protocol": "UDP", "port": 53}
_AMONG_MEMBERS = {"to": [_MEMBERS], "ports": [{"port": 5701}]}


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        (None, State.PROBLEM),
        ({}, State.OK),
        ({"ports": [_DNS]}, State.OK),
        ({"ports": [{"protocol": "UDP"}]}, State.OK),
        ({"ports": [{"protocol": "UDP", "port": "dns"}]}, State.OK),
        ({"ports": [{"protocol": "UDP", "port": 1, "endPort": 100}]}, State.OK),
        ({"ports": [{"protocol": "UDP", "port": 5353}]}, State.OK),
        ({"ports": [{"protocol": "UDP", "port": 54}]}, State.PROBLEM),
        ({"ports": [{"protocol": "TCP", "port": 53}]}, State.PROBLEM),
        ({"to": [_ALL]}, State.PROBLEM),
        ({"to": [{"namespaceSelector": {}}]}, State.OK),
        ({"to": [_KUBE_SYSTEM]}, State.OK),
        ({"to": [{**_KUBE_SYSTEM, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}, State.OK),
        ({"to": [{"namespaceSelector": {"matchLabels": {LABEL: "team-a"}}}]}, State.PROBLEM),
        ({"to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}], "ports": [_DNS]}, State.OK),
    ],
)
def test_a_policy_that_keeps_members_from_the_dns(rule: dict[str, Any] | None, state: State) -> None:
    """A rule for all Pods of the own namespace is the usual mistake: the DNS is in another."""
    rules = [_AMONG_MEMBERS, *([rule] if rule is not None else [])]
    closing = policy("closing", {**_ALL, "policyTypes": ["Egress"], "egress": rules})
    found = networks.policies(replace(HEALTHY, policies=[closing]))
    assert ("from the DNS, by which they find each other" in one(found, state)) == (state == State.PROBLEM)


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ({"to": [{"namespaceSelector": {}}]}, State.PROBLEM),
        ({"ports": [{"protocol": "UDP"}]}, State.PROBLEM),
        ({"ports": [{"port": 443}]}, State.OK),
        ({"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 6443}]}, State.OK),
    ],
)
def test_a_policy_that_keeps_members_from_the_kubernetes_api(rule: dict[str, Any], state: State) -> None:
    closing = policy("closing", {**_ALL, "policyTypes": ["Egress"], "egress": [_AMONG_MEMBERS, rule]})
    by_api = with_pods(EMPTY, injected(discovery="api", service_account="shop"))
    found = networks.policies(replace(by_api, policies=[closing]))
    assert ("from the Kubernetes API, by which" in one(found, state)) == (state == State.PROBLEM)


def test_a_namespace_that_denies_everything() -> None:
    """One finding for what members send each other, one for how they find each other."""
    denying = policy("deny", {**_ALL, "policyTypes": ["Ingress", "Egress"]})
    found = networks.policies(replace(HEALTHY, policies=[denying]))
    assert [each.message for each in found] == [
        "deny in team-a keeps members of the group shop from each other: Ingress on TCP port 5701",
        (
            "deny in team-a keeps members of the group shop from the DNS, by which they find each other: "
            "Egress on UDP port 53"
        ),
    ]
    edit = "kubectl -n team-a edit networkpolicy deny  # allow"
    assert [each.fix for each in found] == [
        f"{edit} TCP 5701 among Pods labelled {GROUP}=shop",
        f"{edit} UDP and TCP 53 to the Pods of the DNS, mostly k8s-app=kube-dns in kube-system",
    ]


def test_policies_add_up() -> None:
    closing = policy("closing", {**_ALL, "policyTypes": ["Ingress"]})
    opening = policy("opening", {**_ALL, "ingress": [{"from": [_MEMBERS]}]})
    assert one(networks.policies(replace(HEALTHY, policies=[closing, opening])), State.OK)


def test_policies_of_other_namespaces_do_not_count() -> None:
    closing = policy("closing", {**_ALL}, namespace="team-b")
    assert one(networks.policies(replace(HEALTHY, policies=[closing])), State.OK)


# --- before an installation --------------------------------------------------------------------------------

PRE = replace(EMPTY, configuration=None)


def test_rights_that_the_installer_lacks() -> None:
    refused = [preflight.PARTS[0], preflight.PARTS[8]]
    said = one(preflight.may_create(replace(PRE, denied_permissions=refused)), State.PROBLEM)
    wanted = "create namespaces, create mutatingwebhookconfigurations.admissionregistration.k8s.io"
    assert said == f"you may not {wanted}"


def test_an_installation_that_is_there_already() -> None:
    assert "updates it" in one(preflight.other_installation(EMPTY), State.WARNING)
    elsewhere = replace(EMPTY, namespace="elsewhere")
    assert f"for the namespace {OWN}" in one(preflight.other_installation(elsewhere), State.PROBLEM)
    by_url = {"webhooks": [{"name": PODS, "clientConfig": {"url": "https://10.0.0.1"}}]}
    said = one(preflight.other_installation(replace(EMPTY, configuration=by_url)), State.PROBLEM)
    assert said.endswith("is registered, for a URL")


def test_no_admission_api() -> None:
    assert one(preflight.admission_api(replace(PRE, admission_api={"resources": []})), State.PROBLEM)


def test_the_namespace_to_install_into() -> None:
    strict = Metadata(name=OWN, labels={"pod-security.kubernetes.io/enforce": "restricted"})
    assert "enforces restricted" in one(
        preflight.target_namespace(replace(PRE, namespaces={OWN: strict})), State.OK
    )
    assert "does not exist yet" in one(preflight.target_namespace(replace(PRE, namespaces={})), State.OK)
    going = Metadata(name=OWN, deletion_timestamp="2026-03-01T12:00:00Z")
    assert "being deleted" in one(
        preflight.target_namespace(replace(PRE, namespaces={OWN: going})), State.PROBLEM
    )


_EVERY_POD = {"apiGroups": [""], "resources": ["pods"], "operations": ["CREATE"]}


@pytest.mark.parametrize(
    ("webhook", "state"),
    [
        ({"rules": [_EVERY_POD]}, State.WARNING),
        ({"rules": [{"apiGroups": ["*"], "resources": ["*"], "operations": ["*"]}]}, State.WARNING),
        ({"rules": [{**_EVERY_POD, "operations": ["DELETE"]}]}, State.OK),
        ({"rules": [{**_EVERY_POD, "resources": ["services"]}]}, State.OK),
        ({"rules": [_EVERY_POD], "failurePolicy": "Ignore"}, State.OK),
        ({"rules": [_EVERY_POD], "objectSelector": {"matchLabels": {"inject": "yes"}}}, State.OK),
        ({"rules": [_EVERY_POD], "namespaceSelector": {"matchLabels": {"inject": "yes"}}}, State.OK),
        ({"rules": [_EVERY_POD], "namespaceSelector": {"matchLabels": {LABEL: OWN}}}, State.WARNING),
        ({"rules": [_EVERY_POD], "namespaceSelector": {"matchLabels": {"team": "ops"}}}, State.WARNING),
        ({"rules": [_EVERY_POD], "objectSelector": {"matchLabels": {_COMPONENT: "webhook"}}}, State.WARNING),
        ({"rules": None}, State.OK),
    ],
)
def test_webhooks_of_others(webhook: dict[str, Any], state: State) -> None:
    other = {"metadata": {"name": "other"}, "webhooks": [{"name": "other.example.com", **webhook}]}
    labelled = {OWN: Metadata(name=OWN, labels={"team": "ops"})}
    snapshot = replace(PRE, configurations=[other], namespaces=labelled)
    assert one(preflight.other_webhooks(snapshot), state)
    ours = {**other, "metadata": {"name": OWN}}
    assert one(preflight.other_webhooks(replace(snapshot, configurations=[ours])), State.OK)


@pytest.mark.parametrize("namespaces", [{}, Unread("you may not list namespaces")])
def test_webhooks_of_others_where_the_namespace_is_only_known_by_name(namespaces: Any) -> None:
    for labels, state in (({LABEL: OWN}, State.WARNING), ({"team": "ops"}, State.OK)):
        hook: dict[str, Any] = {
            "name": "x",
            "rules": [_EVERY_POD],
            "namespaceSelector": {"matchLabels": labels},
        }
        other: dict[str, Any] = {"metadata": {"name": "other"}, "webhooks": [hook]}
        configurations = [other, {"metadata": {"name": "without"}}]
        snapshot = replace(PRE, configurations=configurations, namespaces=namespaces)
        assert one(preflight.other_webhooks(snapshot), state)


# --- the report --------------------------------------------------------------------------------------------


def test_findings_are_counted_in_words() -> None:
    area = Area("area")
    problem, warning = area.problem("a", "b", "c"), area.warning("a", "b", "c")
    fine, skipped = area.ok("a", "b"), area.skipped("a", Unread("b"))
    assert summary([]) == "0 problems, 0 warnings, 0 ok, 0 skipped"
    assert summary([problem, warning, fine, skipped]) == "1 problem, 1 warning, 1 ok, 1 skipped"
    both = [problem, warning, fine, skipped] * 2
    assert summary(both) == "2 problems, 2 warnings, 2 ok, 2 skipped"

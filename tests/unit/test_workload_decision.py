"""Decisions about workloads, and what is said of them."""

import json
from copy import deepcopy
from typing import Any

import jsonpatch
import msgspec
import pytest

from hazelcast_sidecar.injection.manifests import inject
from hazelcast_sidecar.injection.pod_decision import Deny, Reason, Skip, said
from hazelcast_sidecar.injection.reinjection import renew
from hazelcast_sidecar.injection.workload_decision import Copy, WorkloadDecision, decide
from hazelcast_sidecar.manifest_text.patching import patched
from hazelcast_sidecar.model.workload import KINDS, LAST_APPLIED, Workload, WrittenByUsers, written_by_users
from hazelcast_sidecar.names import COPIED, INJECT, PREFIX, STATUS
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours
from tests.harness.workloads import deployment, template

DEFAULTS = DefaultSpecs(Settings()).of("default")
DEPLOYMENT, JOB, CRON_JOB = KINDS["apps", "Deployment"], KINDS["batch", "Job"], KINDS["batch", "CronJob"]
JOINED = 'injected: each Pod gets a Hazelcast member, group "shop", cluster "dev"'
LOST = "removed: the Pods have no Hazelcast members, and the entries of their cluster are lost"


def decision(
    obj: dict[str, Any],
    before: dict[str, Any] | None = None,
    kind: str = "Deployment",
    *,
    differs: bool = False,
) -> WorkloadDecision:
    """Decide; about nothing else does the template differ from the stored one, unless it is said."""
    found = next(known for known in KINDS.values() if known.name == kind)
    old = None if before is None else msgspec.convert(before, Workload)
    return decide(found, msgspec.convert(obj, Workload), old, DEFAULTS, lambda: differs)


def warnings(*args: Any, **kwargs: Any) -> tuple[str, ...]:
    found = decision(*args, **kwargs)
    assert not isinstance(found, Deny), found.problems
    return said(found)


# --- what is done ------------------------------------------------------------------------------------------


def test_annotations_are_copied_with_a_word_about_what_comes_of_it() -> None:
    found = decision(deployment(ours(port="6000")))
    assert isinstance(found, Copy)
    assert found.copying.annotations == found.copying.copied == ours(port="6000")
    assert said(found) == (JOINED,)


def test_a_template_that_has_its_annotations_stays() -> None:
    assert decision(deployment(None, ours())) == Skip(Reason.UNCHANGED, outcome=JOINED)
    assert decision(deployment(None, ours()), deployment(None, ours())) == Skip(Reason.UNCHANGED)


@pytest.mark.parametrize(
    ("own", "of_template", "reason"),
    [
        ({"other": "x"}, None, Reason.NOT_REQUESTED),
        (ours(inject="false"), None, Reason.NOT_REQUESTED),
        (None, ours(inject="false"), Reason.DECLINED),
    ],
)
def test_a_workload_that_does_not_ask_is_left_alone(own: Any, of_template: Any, reason: Reason) -> None:
    assert decision(deployment(own, of_template)) == Skip(reason)


def test_what_is_being_deleted_is_left_alone() -> None:
    obj = deployment(ours(port="x"))
    obj["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert decision(obj) == Skip(Reason.DELETING)


@pytest.mark.parametrize("kind", ["ReplicaSet", "Job"])
def test_what_a_workload_made_is_left_alone_and_what_nobody_made_is_not(kind: str) -> None:
    obj = deployment(ours())
    assert isinstance(decision(obj, kind=kind), Copy)
    obj["metadata"]["ownerReferences"] = [{"kind": "X", "name": "x", "controller": True}]
    decided = decision(obj, kind=kind)
    assert isinstance(decided, Skip)
    assert decided.reason == Reason.CONTROLLED
    if kind == "Job":  # a ReplicaSet has its Deployment's annotations, which do something there
        (warning,) = said(decided)
        assert warning.endswith("has no effect on a Job with a controller; set it on its controller")
    assert isinstance(decision(obj), Copy), "an operator may own a Deployment"


@pytest.mark.parametrize("kind", ["ReplicaSet", "Job"])
def test_an_owner_that_does_not_control_it_did_not_make_it(kind: str) -> None:
    obj = deployment(ours())
    obj["metadata"]["ownerReferences"] = [{"kind": "X", "name": "x"}]
    assert isinstance(decision(obj, kind=kind), Copy)


def test_an_annotation_of_a_cron_jobs_jobs_does_nothing_and_the_warning_names_the_right_place() -> None:
    obj = deployment(None)
    obj["spec"] = {
        "jobTemplate": {"metadata": {"annotations": ours()}, "spec": {"template": obj["spec"]["template"]}}
    }
    decided = decision(obj, kind="CronJob")
    assert isinstance(decided, Skip)
    (warning,) = said(decided)
    assert "has no effect in spec.jobTemplate.metadata; set it on the CronJob itself" in warning
    for others in ({"example.com/note": "x"}, {COPIED: "{}"}, {}, None):
        obj["spec"]["jobTemplate"]["metadata"]["annotations"] = others
        assert decision(obj, kind="CronJob") == Skip(Reason.NOT_REQUESTED)


def test_an_injected_template_whose_annotations_were_edited_is_warned_of() -> None:
    injected = renew(
        deployment(None, ours()) | {"apiVersion": "apps/v1", "kind": "Deployment"}, DEFAULTS, 65534
    )
    obj = patched(deployment(None, ours()), injected.operations)
    assert decision(obj) == Skip(Reason.ALREADY_INJECTED)
    obj["spec"]["template"]["metadata"]["annotations"] |= ours(memory_limit="2Gi")
    decided = decision(obj)
    assert isinstance(decided, Skip)
    (warning,) = said(decided)
    assert warning.startswith("the member in the Pod template is outdated by its annotations")


def test_the_group_of_a_job_whose_name_is_to_come_is_not_named() -> None:
    obj = deployment(ours())
    obj["metadata"] = {"generateName": "import-", "annotations": ours()}
    found = decision(obj, kind="Job")
    assert isinstance(found, Copy)
    assert said(found)[0] == 'injected: each Pod gets a Hazelcast member, cluster "dev"'
    assert "a cluster of their own" in said(found)[1]
    obj["metadata"]["annotations"] = ours(group="all")
    found = decision(obj, kind="Job")
    assert isinstance(found, Copy)
    joined, *_ = said(found)
    assert joined == 'injected: each Pod gets a Hazelcast member, group "all", cluster "dev"'


def test_a_cron_job_has_its_template_further_down() -> None:
    obj = deployment(ours())
    obj["spec"] = {"jobTemplate": {"spec": {"template": obj["spec"]["template"]}}}
    found = decision(obj, kind="CronJob")
    assert isinstance(found, Copy)
    assert said(found)[0] == 'injected: each Pod gets a Hazelcast member, cluster "dev"'
    assert "a cluster of their own" in said(found)[1]


@pytest.mark.parametrize("spec", [{}, {"template": None}, {"jobTemplate": {}}, {"jobTemplate": {"spec": {}}}])
def test_a_workload_without_template_is_left_to_the_api_server(spec: dict[str, Any]) -> None:
    assert decision({"metadata": {"name": "shop", "annotations": ours()}, "spec": spec}) == Skip(
        Reason.NO_TEMPLATE
    )


def test_the_template_of_a_job_cannot_be_changed() -> None:
    before = deployment()
    assert warnings(deployment(ours()), before, kind="Job") == (
        "a Job's Pod template is immutable; delete and recreate the Job",
    )
    assert decision(deployment(ours()), before, kind="Job").reason == Reason.IMMUTABLE
    assert isinstance(decision(deployment(ours()), kind="Job"), Copy)


# --- what is refused ---------------------------------------------------------------------------------------


def test_what_no_pod_could_be_made_of_is_denied_where_it_stands() -> None:
    obj = deployment(ours(prot="1"))
    obj["spec"]["template"]["spec"]["containers"][0]["name"] = "hazelcast"
    found = decision(obj)
    assert isinstance(found, Deny)
    assert [problem.where for problem in found.problems] == [f"{PREFIX}prot"]
    del obj["metadata"]["annotations"][f"{PREFIX}prot"]
    found = decision(obj)
    assert isinstance(found, Deny)
    assert [problem.where for problem in found.problems] == ["spec.template.spec.containers[0]"]


def test_a_template_with_a_status_and_no_member_is_denied() -> None:
    copied = deployment(None, {**ours(), STATUS: "{}"})
    found = decision(copied)
    assert isinstance(found, Deny)
    assert found.reason == Reason.NO_MEMBER
    assert [problem.where for problem in found.problems] == [STATUS]
    assert decision(copied, copied).reason == Reason.NO_WORSE


@pytest.mark.parametrize(
    ("kind", "denied"),
    [
        ("Job", True),
        ("DaemonSet", True),
        ("Deployment", False),
        ("StatefulSet", False),
        ("ReplicaSet", False),
    ],
)
def test_a_budget_that_would_block_evictions_is_denied_at_once(kind: str, denied: bool) -> None:  # noqa: FBT001
    found = decision(deployment(ours(disruption_budget="true")), kind=kind)
    assert isinstance(found, Deny) is denied
    if isinstance(found, Deny):
        assert str(found.problems[0]).startswith(f'{PREFIX}disruption-budget: is "true", but a {kind} made')


@pytest.mark.parametrize(("name", "denied"), [("jars", False), ("other", True)])
def test_extensions_may_be_in_a_volume_that_a_stateful_set_adds(name: str, denied: bool) -> None:  # noqa: FBT001
    claims = [{"metadata": {"name": name}, "spec": {}}]
    found = decision(
        deployment(None, ours(extensions="jars"), volumeClaimTemplates=claims), kind="StatefulSet"
    )
    assert isinstance(found, Deny) is denied


def test_a_claim_that_is_named_as_a_volume_of_the_member_is_denied() -> None:
    claims = [{"metadata": {"name": "data"}}, {"metadata": {"name": "hazelcast-tmp"}}]
    found = decision(deployment(None, ours(), volumeClaimTemplates=claims), kind="StatefulSet")
    assert isinstance(found, Deny)
    assert str(found.problems[0]).endswith(
        'spec.volumes: gets "hazelcast-tmp" of the volumeClaimTemplates, as a volume of the member is named; '
        "rename it"
    )


def test_a_template_that_lost_parts_of_its_member_stays_and_is_warned_of() -> None:
    injected = json.loads(
        json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", **deployment(None, ours())})
    )
    result = inject(injected, DEFAULTS, 65534)
    torn = jsonpatch.apply_patch(injected, list(result.operations))
    del torn["spec"]["template"]["spec"]["initContainers"][0]["restartPolicy"]
    found = decision(torn)
    assert isinstance(found, Skip)
    assert found.reason == Reason.UNCHANGED
    assert said(found) == (
        "another webhook removed parts of the Hazelcast member, which are restored: restartPolicy",
    )


def test_what_was_no_better_before_is_let_through_with_a_warning() -> None:
    broken = deployment(None, ours(port="x"))
    found = decision({**broken, "status": {}}, broken)
    assert isinstance(found, Skip)
    assert found.reason == Reason.NO_WORSE
    assert said(found)[0].startswith(f'no Pod can be created: {PREFIX}port: "x" is not an integer')
    assert isinstance(decision(deployment(None, ours(port="x", image="")), broken), Deny), "one more problem"
    assert isinstance(decision(broken, deployment(None, ours())), Deny)


# --- what is said ------------------------------------------------------------------------------------------


def test_losing_the_members_is_told_once() -> None:
    before = deployment(ours(), ours())
    assert warnings(deployment(), before) == (LOST,)
    assert warnings(deployment(), deployment()) == ()
    assert warnings(deployment(ours(inject="false")), before) == (LOST,)
    copied = {COPIED: json.dumps(ours())}
    assert warnings(deployment(copied, ours()), deployment(copied | ours(), ours())) == (LOST,)


def test_joining_another_group_is_told() -> None:
    before = deployment(None, ours())
    joined, lost = warnings(deployment(None, ours(group="all")), before)
    assert joined == 'injected: each Pod gets a Hazelcast member, group "all", cluster "dev"'
    assert lost.startswith('members of the groups "shop" and "all" do not look for each other: ')


@pytest.mark.parametrize("where", ["own", "of_template"])
def test_annotations_without_inject_are_told(where: str) -> None:
    (said,) = warnings(deployment(**{"annotations" if where == "own" else where: {f"{PREFIX}port": "6000"}}))
    assert said.startswith(f"no Hazelcast member is injected: {PREFIX}port is set, {PREFIX}inject is not")


def test_a_contradiction_is_told() -> None:
    said = warnings(deployment(ours(port="6001"), {f"{PREFIX}port": "6002"}))
    assert said[1] == (
        f'{PREFIX}port is "6001" on the Deployment and "6002" on its Pod template, which counts; remove one '
        "of them"
    )


def test_a_member_written_by_hand_is_told() -> None:
    obj = deployment(ours())
    obj["spec"]["template"]["spec"]["containers"].append(
        {"name": "hazelcast", "image": "hazelcast/hazelcast:3.12"}
    )
    (said,) = warnings(obj)
    assert said.startswith('no Hazelcast member is injected: spec.containers[1] "hazelcast" is one already')


ROLLING = {"type": "RollingUpdate"}
ONE_BY_ONE = {**ROLLING, "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


@pytest.mark.parametrize(
    ("kind", "spec", "sentence"),
    [
        (
            "Deployment",
            {"replicas": 101, "strategy": ONE_BY_ONE},
            "101 replicas: every application connects to every member",
        ),
        ("Deployment", {"strategy": {"type": "Recreate"}}, "strategy Recreate ends all Pods at once"),
        (
            "Deployment",
            {"replicas": 8, "strategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": "25%"}}},
            "may end 2 Pods at once (maxUnavailable), and each entry has 1 backup: entries that they",
        ),
        ("Deployment", {"replicas": 12}, "may end 3 Pods at once"),
        ("DaemonSet", {"updateStrategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": 3}}}, "end 3 Pods"),
        ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, "stay unchanged until they are deleted"),
        ("ReplicaSet", {}, "stay unchanged until they are deleted"),
    ],
)
def test_how_pods_come_and_go_deserves_a_word(kind: str, spec: dict[str, Any], sentence: str) -> None:
    obj = deployment(None, ours(), **spec)
    (said,) = warnings(obj, deepcopy(obj), kind=kind)
    assert sentence in said


@pytest.mark.parametrize(
    "spec",
    [
        {"replicas": 100, "strategy": ONE_BY_ONE},
        {"replicas": 7},
        {"replicas": 7, "strategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": "25%"}}},
        {"strategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": 1, "maxSurge": "50%"}}},
        {"strategy": {**ROLLING, "rollingUpdate": {"maxUnavailable": "x%"}}},
        {"updateStrategy": ROLLING},
    ],
)
def test_what_is_in_order_does_not(spec: dict[str, Any]) -> None:
    obj = deployment(None, ours(), **spec)
    assert warnings(obj, deepcopy(obj)) == ()


GUARANTEED = {"limits": {"cpu": "2", "memory": "2Gi"}, "requests": {"cpu": "2000m"}}


@pytest.mark.parametrize("more", [{}, {"initContainers": [{"name": "first", "resources": GUARANTEED}]}])
def test_a_guaranteed_pod_that_is_so_no_longer_is_told(more: dict[str, Any]) -> None:
    containers = [{"name": "app", "resources": GUARANTEED}]
    obj = deployment(template=template(ours(), containers=containers, **more))
    (said,) = warnings(obj, deepcopy(obj))
    assert said == (
        "with the member the Pod is no longer Guaranteed but Burstable, as it requests 100m of cpu and its "
        "limit is 2: set sidecar.hazelcast.com/cpu-request and cpu-limit to one value, or cpu-request alone "
        "to leave it so"
    )


@pytest.mark.parametrize(
    ("annotations", "spec"),
    [
        (ours(cpu_request="100m"), {}),
        (ours(cpu_limit="100m"), {}),
        (ours(), {"containers": [{"name": "app", "resources": {"limits": {"cpu": "2"}}}]}),
        (ours(), {"containers": [{"name": "app", "resources": {**GUARANTEED, "requests": {"cpu": "1"}}}]}),
        (ours(), {"containers": [{"name": "app", "resources": {"limits": {"cpu": "0", "memory": "1Gi"}}}]}),
        (ours(), {"initContainers": [{"name": "first"}]}),
        (ours(), {"resources": {"limits": {"cpu": "8", "memory": "8Gi"}}}),
    ],
)
def test_another_pod_or_one_whose_request_was_chosen_is_not(
    annotations: dict[str, str], spec: dict[str, Any]
) -> None:
    whole = {"containers": [{"name": "app", "resources": GUARANTEED}], **spec}
    obj = deployment(template=template(annotations, **whole))
    assert warnings(obj, deepcopy(obj)) == ()


def test_a_size_of_the_heap_outranks_its_percentage() -> None:
    obj = deployment(None, ours(heap_percentage="80", java_opts="-Xmx300m -XX:MaxRAMPercentage=90"))
    assert warnings(obj, deepcopy(obj)) == ()


def test_as_many_pods_may_end_at_once_as_there_are_backups() -> None:
    for count, replicas in ((2, 8), (3, 12), (1, 7), (0, 7)):
        obj = deployment(None, ours(backup_count=str(count)), replicas=replicas)
        assert warnings(obj, deepcopy(obj)) == ()
    obj = deployment(None, ours(backup_count="2"), replicas=12)
    (said,) = warnings(obj, deepcopy(obj))
    assert said == (
        "a rollout may end 3 Pods at once (maxUnavailable), and each entry has 2 backups: entries that they "
        "cannot hand over can be lost; set maxUnavailable to 2"
    )


@pytest.mark.parametrize(
    ("annotations", "pod", "sentence"),
    [
        (ours(heap_percentage="70"), {}, "153 MiB of 512Mi are left beside the member's heap (70 %)"),
        (
            ours(java_opts="-Xmx128m -XX:MaxRAMPercentage=10 -Xmx400m"),
            {},
            "112 MiB of 512Mi are left beside the member's heap (-Xmx400m), and it needs about 160 MiB",
        ),
        (
            ours(java_opts="-XX:MaxRAMPercentage=75.5"),
            {},
            "125 MiB of 512Mi are left beside the member's heap",
        ),
        (
            ours(java_opts="-XX:MaxHeapSize=1G"),
            {},
            "the member's heap (-XX:MaxHeapSize=1G) may outgrow sidecar.hazelcast.com/memory-limit (512Mi)",
        ),
        (
            ours(),
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            "takes port 5701 of the node",
        ),
        (ours(native_sidecar="false"), {"restartPolicy": "Never"}, "the Pod never completes"),
        (
            ours(image="registry.example:5000/mirror/hazelcast:4.2.8-slim"),
            {},
            "members of Hazelcast 4.2 cannot read the configuration that they get, and end: set",
        ),
        (
            ours(sql="true", image="r.example/hazelcast:5.7.0-slim-jdk21@sha256:" + "0" * 64),
            {},
            "is a slim one, which has no SQL: set sidecar.hazelcast.com/image",
        ),
        (
            ours(image="mirror.example/hazelcast-enterprise:5.7.0"),
            {},
            "end without a licence: set sidecar.hazelcast.com/license-secret to a Secret",
        ),
        (ours(backups="node"), {}, "(maxSkew 1, topologyKey kubernetes.io/hostname)"),
        (
            ours(backups="zone"),
            {"affinity": {"nodeAffinity": {}}},
            "topologyKey topology.kubernetes.io/zone)",
        ),
        (
            ours(backups="node", config="mine"),
            {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}},
            "the ConfigMap mine must give members the attribute hazelcast.partition.group.placement",
        ),
    ],
)
def test_what_a_pod_will_be_like_deserves_a_word(
    annotations: dict[str, str], pod: dict[str, Any], sentence: str
) -> None:
    obj = deployment(None, annotations)
    obj["spec"]["template"]["spec"] |= pod
    (said,) = warnings(obj, deepcopy(obj))
    assert sentence in said


def test_pods_that_are_spread_may_keep_backups_on_other_nodes() -> None:
    obj = deployment(None, ours(backups="node"))
    obj["spec"]["template"]["spec"]["topologySpreadConstraints"] = [{"maxSkew": 1}]
    assert warnings(obj, deepcopy(obj)) == ()


@pytest.mark.parametrize(
    "annotations",
    [
        ours(image="hazelcast/hazelcast:5.0.5"),
        ours(image="hazelcast/hazelcast:latest"),
        ours(image="registry.example/own/cache:1.2.3"),  # whose tag says nothing about Hazelcast
        ours(image="hazelcast/hazelcast:4.2.8", config="own"),
    ],
)
def test_members_that_can_read_their_configuration_do_not(annotations: dict[str, str]) -> None:
    obj = deployment(None, annotations)
    assert warnings(obj, deepcopy(obj)) == ()


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({"image": "hazelcast/hazelcast:5.6.0"}, {}, "Hazelcast 5.6 and 5.7 form no common cluster"),
        ({"image": "r.example:5000/hz:5.6.0-slim@sha256:" + "0" * 64}, {}, "5.6 and 5.7 form no common"),
        ({"image": "hazelcast/hazelcast:5.7.1"}, {}, None),
        ({"image": "hazelcast/hazelcast:latest"}, {}, "whose tags do not say their releases"),
        (
            {},
            {"image": "hazelcast/hazelcast"},
            "images hazelcast/hazelcast:5.7.0 and hazelcast/hazelcast, whose",
        ),
        ({}, {"image": "mirror.example/hazelcast:5.7.0"}, None),
        ({"image": "hazelcast/hazelcast:latest"}, {"image": "hazelcast/hazelcast:latest"}, None),
        ({"image": "hazelcast/hazelcast:5.6.0"}, {"cluster_name": "new"}, 'clusters "dev" and "new"'),
        ({"port": "6000"}, {}, "members on port 6000 and members on port 5701 do not find each other"),
        ({}, {"clients": "pod"}, "on port 5701 and members on port 5702 do not find each other"),
        ({"clients": "pod", "port": "5700"}, {}, None),
        ({"port": "6000"}, {"cluster_name": "new"}, 'clusters "dev" and "new" do not join each other'),
        ({}, {"group": "other"}, 'groups "shop" and "other" do not look for each other'),
        ({}, {"backups": "node"}, "backups any and node form no common cluster"),
        ({"backups": "zone"}, {"backups": "node", "cluster_name": "new"}, 'clusters "dev" and "new"'),
    ],
)
def test_a_change_between_members_that_form_no_cluster_is_told(
    before: dict[str, str], after: dict[str, str], sentence: str | None
) -> None:
    said = warnings(deployment(None, ours(**after)), deployment(None, ours(**before)))
    told = [each for each in said if "entries do not pass" in each]
    assert len(told) == (sentence is not None)
    assert all(sentence and sentence in each for each in told)


# --- who wrote what ----------------------------------------------------------------------------------------


def test_a_copy_that_a_user_wrote_as_well_stays_when_it_is_gone_from_the_workload() -> None:
    record = {COPIED: json.dumps({f"{PREFIX}port": "6000"})}
    obj = deployment(ours() | record, ours(port="6000"))
    found = decision(obj)
    assert isinstance(found, Copy)
    assert found.copying.annotations == ours()
    fields: dict[str, Any] = {
        "f:spec": {"f:template": {"f:metadata": {"f:annotations": {f"f:{PREFIX}port": {}}}}}
    }
    obj["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": fields}]
    found = decision(obj)
    assert isinstance(found, Copy)
    assert found.copying.annotations == ours(port="6000")


def test_fields_of_appliers_and_updaters_are_found() -> None:
    owned: dict[str, Any] = {
        "f:annotations": {".": {}, f"f:{PREFIX}port": {}},
        "f:labels": {f"f:{INJECT}": {}},
    }
    fields: dict[str, Any] = {"f:spec": {"f:template": {"f:metadata": owned}}}
    obj = deployment()
    obj["metadata"]["managedFields"] = [{"manager": "a", "fieldsV1": fields}, {"manager": "b"}]
    obj["metadata"]["annotations"] = {
        LAST_APPLIED: '{"spec":{"template":{"metadata":{"annotations":{"a/b":"x"},"labels":{"c":"y"}}}}}'
    }
    written = written_by_users(DEPLOYMENT, msgspec.convert(obj, Workload))
    assert written.annotations >= {f"{PREFIX}port", "a/b"}
    assert written.labels == {INJECT, "c"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"spec":[]}', "[" * 10_000, '{"spec":{"template":1}}']
)
def test_a_note_that_is_not_kubectls_is_passed_over(text: str) -> None:
    obj = deployment({LAST_APPLIED: text})
    assert written_by_users(DEPLOYMENT, msgspec.convert(obj, Workload)) == WrittenByUsers()

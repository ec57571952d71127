"""Whatever text stands in an object that a tenant may write: it is passed over, and all others are served.

Texts are nested deeper than any interpreter recurses, huge, in odd Unicode, full of what terminals obey, and
JSON of the right shape with wrong values.
"""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hazelcast_sidecar.checks.results import State, Unread
from hazelcast_sidecar.checks.runner import OF_INSTALLATION, findings
from hazelcast_sidecar.checks.snapshot import PodWithoutMember
from hazelcast_sidecar.cli import main
from hazelcast_sidecar.controller.audit.drifted_pods import drifted_pods
from hazelcast_sidecar.controller.events.denials import Denials, _FailedCreate
from hazelcast_sidecar.controller.events.event import cut
from hazelcast_sidecar.controller.events.recorder import Recorder
from hazelcast_sidecar.controller.reconcile.groups import Groups, Key
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.controller.shared.guarded import GuardedIndex
from hazelcast_sidecar.controller.shared.watched_pods import WatchedPods
from hazelcast_sidecar.errors import ReviewError
from hazelcast_sidecar.injection.drift import DriftDetector, as_created
from hazelcast_sidecar.injection.propagation import plan
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import Metadata
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.pod import HASH_LABELS
from hazelcast_sidecar.model.workload import LAST_APPLIED
from hazelcast_sidecar.names import COPIED, GROUP, INJECT, PREFIX, STATUS
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.spec.settings import Settings
from hazelcast_sidecar.untrusted import UndecodableError
from tests.harness.pods import ours
from tests.unit.snapshots import HEALTHY, injected

# --- texts -------------------------------------------------------------------------------------------------

DEPTHS = [3, 900, 1_100, 50_000]
nested = st.builds(
    lambda opening, depth, before: before + opening * depth,
    st.sampled_from(["[", '{"x":', '[[{"a":', "(", "<"]),
    st.sampled_from(DEPTHS),
    st.sampled_from(["", '{"x":', '{"version":', '{"group":"shop","x":']),
)
"""The one of issue: a status that needs no closing bracket to end whoever reads it."""
odd = st.sampled_from(
    [
        "\x1b[2J\x1b[31m",
        "\u009b2J",
        "\u202egnp.exe",
        "a\u2028b\u2029c\x85d",
        "\r\nlevel=error",
        "\x00",
        "\ufeff",
        "\U000e0001",
        "[/red][link=x]",
        "$(reboot)`reboot`;'\"",
        "é" * 300,
    ]
)
huge = st.sampled_from(["x" * 300_000, "\u202e" * 100_000, "9" * 5_000, "[]," * 50_000])
honest = json.loads(status.encode(status.decode(injected().known_annotations[STATUS])))
numbers = st.sampled_from([0, -1, 2**63, 10**400, 1.5, 1e308])
shaped = st.builds(
    lambda field, value: json.dumps(honest | {field: value}),
    st.sampled_from([*honest, "podClients", "ownEnv", "ownGrace", "serviceAccount", "disruptionBudget"]),
    numbers | odd | st.lists(odd, max_size=3) | st.none() | st.dictionaries(odd, odd, max_size=2),
)
# What comes from the API server is UTF-8, which has no half of a surrogate pair.
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
texts = nested | odd | huge | shaped | anything

KEYS = [STATUS, INJECT, GROUP, COPIED, PREFIX + "java-opts", PREFIX + "no-such", PREFIX + "port", "other"]
references = st.builds(OwnerReference, texts, texts, texts, texts, st.sampled_from([None, True, False]))


def _as_read(annotations: dict[str, str], labels: dict[str, str], owners: list[OwnerReference]) -> Metadata:
    """A Pod as it is read; parts that are longer than in any honest one (`kube/client.py`) are left out."""
    whole: dict[str, Any] = {
        "known_annotations": annotations,
        "labels": labels,
        "owner_references": tuple(owners),
    }
    made: dict[str, Any] = {"name": "evil", "namespace": "evil", "uid": "uid-of-evil"}
    for part, nothing in (("", ()), ("owner_references", ()), ("labels", {}), ("known_annotations", {})):
        whole |= {part: nothing} if part else {}
        with contextlib.suppress(ValueError):
            return Metadata(**made, **whole)
    raise AssertionError


pods = st.builds(
    _as_read,
    st.dictionaries(st.sampled_from(KEYS), texts, min_size=1, max_size=4),
    st.dictionaries(st.sampled_from([GROUP, *HASH_LABELS, "app"]), texts, max_size=3),
    st.lists(references, max_size=2),
)
"""Pods that a tenant wrote, as the API has them: it checks neither annotations nor the owner's fields."""

HONEST = Key("team-a", "shop")
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def metrics() -> ControllerMetrics:
    return ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)


def silent(*_: object, **__: object) -> None:
    """A log that nobody reads."""


# --- decoding ----------------------------------------------------------------------------------------------


@many
@given(text=texts | st.text())
def test_a_status_is_read_or_refused_with_the_one_error_that_is_promised(text: str) -> None:
    with contextlib.suppress(UndecodableError):
        assert msgspec.json.encode(status.decode(text))


@many
@given(text=texts | st.text())
def test_a_record_of_copies_decides_or_is_passed_over(text: str) -> None:
    own = {COPIED: text, INJECT: "true"}
    assert plan(own, {}, ()).annotations[INJECT] == "true"


# --- the controller ----------------------------------------------------------------------------------------


@many
@given(evil=pods, first=st.booleans())
async def test_the_group_beside_a_hostile_pod_is_served(evil: Metadata, first: bool) -> None:  # noqa: FBT001
    touched: list[Key] = []
    faults = Faults(metrics(), silent)
    groups = Groups(touched.append)
    watched = WatchedPods(groups, silent)
    index = GuardedIndex(watched, faults)
    pair = [evil, injected()] if first else [injected(), evil]
    for each in pair:
        index.upsert(each)
    index.retain({each.uid for each in pair})
    assert HONEST in touched
    assert HONEST in groups.keys()  # noqa: SIM118 - no mapping
    today = DriftDetector(Settings(defaults={"port": "6000"}))
    assert "uid-of-shop-1" in {finding.uid for finding in await drifted_pods(watched, today, faults)}
    index.remove(evil)
    assert groups.keys() == [HONEST]


class Server:
    """Stands in for the API server: takes Events."""

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []

    async def apply(self, _: object, obj: dict[str, Any], *, force: bool) -> None:
        assert force
        self.applied.append(obj)

    async def get(self, *_: object) -> None:
        return None


@many
@given(reference=references, sentence=texts)
async def test_an_event_on_any_owner_is_printable_or_dropped(
    reference: OwnerReference, sentence: str
) -> None:
    server, seen = Server(), metrics()
    recorder = Recorder(cast("Api", server), seen, silent)
    recorder.tell("ns", reference, "Injected", sentence, pod=None)
    recorder.tell(
        "ns",
        OwnerReference("v1", "Pod", "honest", "uid"),
        "Injected",
        sentence,
        pod=OwnerReference("v1", "Pod", "honest", "uid"),
    )
    for news, times in list(recorder._pending.items()):  # noqa: SLF001 - without waiting for its pace
        await recorder._try(recorder._tell(news, times))  # noqa: SLF001
    assert server.applied[-1]["involvedObject"]["name"] == "honest"
    for each in server.applied:
        assert each["message"].isprintable()
        assert all(text.isprintable() for text in each["involvedObject"].values())


@many
@given(message=texts, fields=st.tuples(texts, texts, texts, texts))
def test_a_failed_creation_with_any_text_is_read(message: str, fields: tuple[str, ...]) -> None:
    denied = f'admission webhook "pods.sidecar.hazelcast.com" denied the request: {message}'
    about = dict(zip(("apiVersion", "kind", "name", "uid"), fields, strict=True))
    document = {"metadata": {"namespace": "evil"}, "message": denied, "involvedObject": about}
    recorder = Recorder(cast("Api", Server()), metrics(), silent)
    denials = Denials(cast("Api", Server()), recorder, metrics(), silent)
    with contextlib.suppress(msgspec.ValidationError):  # one that is too long is passed over, and counted
        denials._tell(msgspec.convert(document, _FailedCreate))  # noqa: SLF001 - what it does with each
    assert all(news.sentence == cut(message) for news in recorder._pending)  # noqa: SLF001


# --- check and explain -------------------------------------------------------------------------------------

kinds = st.sampled_from(["Pod", "Deployment"])
forms = st.sampled_from(["table", "json", "yaml"])


@many
@given(evil=pods)
def test_every_check_has_its_say_beside_a_hostile_pod(evil: Metadata) -> None:
    snapshot = HEALTHY
    evil_too = replace(
        snapshot,
        pods=[evil, injected()],
        without_member=[
            PodWithoutMember(evil, as_created(evil), 1),
            PodWithoutMember(injected("bad"), Unread("it is no Pod"), 1),
        ],
    )
    before = {(finding.area, finding.check) for finding in findings(snapshot, OF_INSTALLATION)}
    found = findings(evil_too, OF_INSTALLATION)
    assert before <= {(finding.area, finding.check) for finding in found}
    assert not [finding for finding in found if finding.area == "check"], "a check that failed as a whole"
    assert any(f.state == State.PROBLEM and "team-a/bad" in f.message for f in found)


@many
@given(
    evil=pods, kind=st.sampled_from(["Pod", "Deployment"]), form=st.sampled_from(["table", "json", "yaml"])
)
def test_explain_answers_about_a_hostile_object_in_printable_lines(
    tmp_path: Path,
    evil: Metadata,
    kind: str,
    form: str,
) -> None:
    file = tmp_path / "evil.json"
    file.write_text(json.dumps(listed(document(evil, kind), document(injected()))))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main(["explain", "-f", str(file), "-o", form]) in (0, 1)
    said = out.getvalue()
    assert "Pod/shop-1" in said
    assert said.replace("\n", "").isprintable()
    assert err.getvalue().replace("\n", "").isprintable()


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def document(pod: Metadata, kind: str = "Pod") -> dict[str, Any]:
    """A Pod, or a Deployment whose own and whose template's metadata are the Pod's."""
    metadata = msgspec.to_builtins(pod)
    containers = [{"name": "app", "image": "shop:1"}, {"name": "hazelcast", "env": [{}]}]
    spec = {"containers": containers, "volumes": [{"name": "hazelcast-tmp"}]}
    if kind == "Pod":
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    own = {**metadata, "annotations": metadata["annotations"] | {LAST_APPLIED: "[" * 2000}}
    template = {"metadata": metadata, "spec": spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": own, "spec": {"template": template}}


# --- numbers -----------------------------------------------------------------------------------------------

DIGITS = [20, 400, 4_299, 4_300, 4_301, 50_000]
PLACES = [
    '"replicas":@',
    '"strategy":{"rollingUpdate":{"maxUnavailable":@}}',
    '"replicas":@,"strategy":{"rollingUpdate":{"maxUnavailable":"999%"}}',
]
IN_PODS = [
    '"terminationGracePeriodSeconds":@,"containers":[]',
    '"containers":[{"name":"a","ports":[{"containerPort":@}]}]',
    '"containers":[],"resources":{"limits":{"cpu":@},"requests":{"memory":@}}',
    '"containers":[{"name":"a","resources":{"requests":{"cpu":@}}}],"resources":{"requests":{"cpu":"1"}}',
]


@pytest.mark.parametrize("digits", DIGITS)
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(("kind", "place"), [("w", p) for p in PLACES] + [("p", p) for p in IN_PODS])
def test_a_number_of_any_length_is_answered(digits: int, sign: str, kind: str, place: str) -> None:
    number = sign + "9" * digits
    spec = place.replace("@", number)
    metadata = json.dumps({"name": "shop", "annotations": ours()})
    gvk = '{"group":"","version":"v1","kind":"Pod"}'
    if kind == "w":
        gvk = '{"group":"apps","version":"v1","kind":"Deployment"}'
        spec += ',"template":{"spec":{"containers":[]}}'
    body = (
        '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":'
        f'"CREATE","namespace":"ns","kind":{gvk},"object":{{"metadata":{metadata},"spec":{{{spec}}}}}}}}}'
    ).encode()
    review = Reviewer().review_workload if kind == "w" else Reviewer().review_pod
    with contextlib.suppress(ReviewError):  # which is an answer: 400 and a sentence
        assert msgspec.json.decode(review(body).body)


@pytest.mark.parametrize("number", ["9" * 5_000, "0x" + "f" * 5_000, "0o" + "7" * 9_000, "1e999", "-.inf"])
@pytest.mark.parametrize("command", ["inject", "uninject", "explain", "resources"])
def test_a_manifest_with_a_number_of_any_length_gets_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: str, command: str
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\n  annotations:\n"
        f"    sidecar.hazelcast.com/inject: 'true'\nspec:\n  replicas: {number}\n"
        "  template:\n    spec:\n      containers: []\n"
    )
    assert main([command, "-f", str(file)]) in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("depth", [300, 480, 3_000])
@pytest.mark.parametrize("command", ["inject", "uninject", "explain", "resources"])
def test_manifests_nested_however_deep_get_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], depth: int, command: str
) -> None:
    pod = json.dumps(document(injected()))
    deep = pod.replace('"spec": {', '"spec": {"x": ' + '{"x": ' * depth + "1" + "}" * depth + ", ")
    for text in ('{"kind": "List", "items": [' * depth + pod + "]}" * depth, deep):
        file = tmp_path / "deep.json"
        file.write_text(text)
        assert main([command, "-f", str(file)]) in (0, 1, 2)
        assert "Traceback" not in capsys.readouterr().err

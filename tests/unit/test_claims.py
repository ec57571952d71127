"""What a Pod shows of its member, against what its status annotation claims."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hazelcast_sidecar.group_objects.claims import Facts, PodWithMember, contradiction, facts_of
from hazelcast_sidecar.injection.pod_decision import Inject
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.model import status
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP, STATUS
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.strategies import Document, pods, valid_annotations

REVIEWER = Reviewer()
DNS = Status(version="1", group="shop", cluster="dev", image="i", discovery="dns", port=5701)
API = msgspec.structs.replace(DNS, discovery="api", service_account="seller")
OWN = msgspec.structs.replace(DNS, config=True)
POD_CLIENTS = msgspec.structs.replace(DNS, pod_clients=True)


def pod_with_member(
    *,
    container: str = "hazelcast",
    env: dict[str, str] | None = None,
    ports: tuple[int, ...] = (5701,),
    config_map: str | None = "hazelcast-shop",
    service_account: str | None = "seller",
    ordinary: bool = False,
) -> Document:
    variables = {"HAZELCAST_KUBERNETES_SERVICE_DNS": "hazelcast-shop"} if env is None else env
    member = {
        "name": container,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"containerPort": port} for port in ports],
    }
    app = {"name": "app", "env": [{"name": "HOME", "valueFrom": {"fieldRef": {}}}]}
    spec: Document = {"initContainers": [member], "containers": [app]}
    if ordinary:
        spec = {"containers": [app, member]}
    if config_map is not None:
        spec["volumes"] = [{"name": "hazelcast-config", "configMap": {"name": config_map}}]
    if service_account is not None:
        spec["serviceAccountName"] = service_account
    return {"metadata": {"uid": "u"}, "spec": spec}


def facts(document: Document) -> Facts | None:
    return facts_of(msgspec.convert(document, PodWithMember))


def by_api(group: str = "shop", label: str = GROUP) -> dict[str, str]:
    return {
        "HAZELCAST_KUBERNETES_POD_LABEL_NAME": label,
        "HAZELCAST_KUBERNETES_POD_LABEL_VALUE": group,
    }


@pytest.mark.parametrize(
    ("document", "claimed"),
    [
        (pod_with_member(), DNS),
        (pod_with_member(ordinary=True), DNS),
        (pod_with_member(ports=(5701, 9701)), DNS),
        (pod_with_member(ports=(5702, 5703)), POD_CLIENTS),
        (pod_with_member(config_map="mine"), OWN),
        (pod_with_member(env=by_api()), API),
        (
            pod_with_member(env=by_api(), service_account=None),
            msgspec.structs.replace(API, service_account="default"),
        ),
        # It says nothing of the ServiceAccount where it needs none.
        (pod_with_member(), msgspec.structs.replace(DNS, service_account="admin")),
        (pod_with_member(), msgspec.structs.replace(DNS, disruption_budget=True, network_policy=True)),
    ],
)
def test_what_is_true_is_believed(document: Document, claimed: Status) -> None:
    assert contradiction(facts(document), claimed) is None


@pytest.mark.parametrize(
    ("document", "claimed", "why"),
    [
        ({"metadata": {}, "spec": {}}, DNS, "no container hazelcast"),
        (
            {"metadata": {}, "spec": {"containers": None, "initContainers": None}},
            DNS,
            "no container hazelcast",
        ),
        (pod_with_member(container="app2"), DNS, "no container hazelcast"),
        (pod_with_member(), msgspec.structs.replace(DNS, port=8080), "declares no port 8080"),
        (pod_with_member(), POD_CLIENTS, "declares no port 5702"),
        (pod_with_member(ports=()), DNS, "declares no port 5701"),
        (
            pod_with_member(),
            msgspec.structs.replace(DNS, group="cart"),
            "does not look for the group cart by DNS",
        ),
        (pod_with_member(env={}), DNS, "does not look for the group shop by DNS"),
        (pod_with_member(env=by_api()), DNS, "does not look for the group shop by DNS"),
        (pod_with_member(env={"HAZELCAST_KUBERNETES_SERVICE_DNS": "shop"}), DNS, "by DNS"),
        (pod_with_member(env={"HAZELCAST_KUBERNETES_SERVICE_DNS": "hazelcast-../x"}), DNS, "by DNS"),
        (pod_with_member(), API, "does not look for the group shop by the Kubernetes API"),
        (pod_with_member(env=by_api("cart")), API, "by the Kubernetes API"),
        (pod_with_member(env=by_api(label="app")), API, "by the Kubernetes API"),
        (pod_with_member(env=by_api(), service_account="other"), API, "ServiceAccount is not seller"),
        (pod_with_member(env=by_api(), service_account=None), API, "ServiceAccount is not seller"),
        (pod_with_member(config_map="mine"), DNS, "is not the ConfigMap"),
        (pod_with_member(config_map=None), DNS, "is not the ConfigMap"),
        (pod_with_member(config_map=None), OWN, "is not the ConfigMap"),
    ],
)
def test_what_the_pod_contradicts_is_not_believed(document: Document, claimed: Status, why: str) -> None:
    assert why in (contradiction(facts(document), claimed) or "")


def test_what_is_kept_of_a_pod_is_small() -> None:
    """A Pod may have a megabyte of ports and variables."""
    found = facts(
        pod_with_member(
            ports=tuple(range(1, 60_000)), env={"HAZELCAST_KUBERNETES_SERVICE_DNS": "x" * 100_000}
        )
    )
    assert found is not None
    assert (len(found.ports), found.found_by_dns) == (16, "")


@pytest.mark.heavy
@given(pods(valid_annotations))
def test_what_the_webhook_writes_is_believed(document: Document) -> None:
    """Whatever the Pod and its annotations: an honest one must never be refused."""
    reviewed = REVIEWER.review_pod(json.dumps(review_of(document)).encode())
    assume(isinstance(reviewed.decision, Inject))
    stored: Any = patched(document, response_in(reviewed))
    claimed = status.decode(stored["metadata"]["annotations"][STATUS])
    assert contradiction(facts(stored), claimed) is None


@given(
    st.sampled_from(
        [
            pod_with_member(),
            pod_with_member(env=by_api()),
            pod_with_member(config_map="mine"),
            pod_with_member(ports=(5702,)),
        ]
    ),
    st.builds(
        Status,
        version=st.just("1"),
        group=st.sampled_from(["shop", "cart"]),
        cluster=st.text(max_size=3),
        image=st.text(max_size=3),
        discovery=st.sampled_from(["dns", "api"]),
        port=st.sampled_from([5701, 5702, 22222]),
        pod_clients=st.booleans(),
        config=st.booleans(),
        service_account=st.sampled_from(["", "default", "seller", "admin"]),
        disruption_budget=st.booleans(),
        network_policy=st.booleans(),
    ),
)
def test_whatever_is_believed_can_be_read_off_the_pod(document: Document, claimed: Status) -> None:
    found = facts(document)
    assert found is not None
    if contradiction(found, claimed) is None:
        assert claimed.ports.members in found.ports
        assert claimed.group == (found.found_by_dns if claimed.discovery == "dns" else found.found_by_api)
        assert claimed.config or found.config_map == f"hazelcast-{claimed.group}"
        assert claimed.discovery == "dns" or claimed.service_account == found.service_account

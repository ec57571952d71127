"""`hazelcast-sidecar check` on the cluster: healthy, and with one fault after another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.commands import findings, run
from tests.e2e.conftest import CONTROLLER, INJECTOR, namespace
from tests.e2e.kubectl import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Images, Sightings
    from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.e2e

INJECT = "sidecar.hazelcast.com/inject"


def expect(sightings: Sightings, fault: str, *sentences: str) -> None:
    """Wait until the check names a fault, and keep what a person sees."""

    def named() -> bool:
        said = " ".join(f"{finding['check']}: {finding['message']}" for finding in findings("problem"))
        return all(sentence in said for sentence in sentences)

    until(60, f"{fault} is named: {sentences}", named)
    shown = run("check")
    assert shown.returncode == 1
    lines = shown.stdout.splitlines()
    keep = [line for line in lines if "problem" in line or "fix:" in line]
    sightings.note(f"hazelcast-sidecar check, {fault}", "\n".join(keep))
    assert all(finding["fix"] for finding in findings("problem"))


def test_a_healthy_installation(demo: Kubectl, sightings: Sightings) -> None:
    assert demo
    until(60, "no problem", lambda: not findings("problem"))
    shown = run("check", "--namespace", demo.namespace)
    sightings.note("hazelcast-sidecar check", shown.stdout)
    assert shown.returncode == 0, shown.stdout


def test_no_server(webhook: Kubectl, sightings: Sightings) -> None:
    webhook("scale", f"deployment/{INJECTOR}", "--replicas=0")
    try:
        until(60, "they are gone", lambda: not webhook.pods("app.kubernetes.io/component=webhook"))
        expect(sightings, "webhook scaled to nothing", "a Pod in default was refused")
    finally:
        webhook("scale", f"deployment/{INJECTOR}", "--replicas=2")
        webhook.rolled_out(f"deployment/{INJECTOR}")
    until(60, "no problem any more", lambda: not findings("problem"))


def test_nobody_trusts_the_server(webhook: Kubectl, sightings: Sightings) -> None:
    """The controller would mend it within seconds, so it is away."""
    webhook("scale", f"deployment/{CONTROLLER}", "--replicas=0")
    try:
        until(60, "they are gone", lambda: not webhook.pods("app.kubernetes.io/component=controller"))
        patch = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
        name = f"mutatingwebhookconfiguration/{INJECTOR}"
        webhook("patch", name, "--type=json", f"--patch={json.dumps(patch)}")
        expect(sightings, "caBundle blanked, controller away", "caBundle", CONTROLLER)
    finally:
        webhook("scale", f"deployment/{CONTROLLER}", "--replicas=2")
        webhook.rolled_out(f"deployment/{CONTROLLER}")
    until(90, "no problem any more", lambda: not findings("problem"))


@pytest.fixture
def other(webhook: Kubectl) -> Iterator[Kubectl]:
    assert webhook
    with namespace("hazelcast-other") as kubectl:
        yield kubectl


def test_an_object_of_somebody_else_in_the_way(other: Kubectl, images: Images, sightings: Sightings) -> None:
    other("create", "service", "clusterip", "hazelcast-shop", "--tcp=80")
    other("create", "deployment", "shop", f"--image={images.demo}")
    other("annotate", "deployment", "shop", f"{INJECT}=true")
    sentence = f"the Service hazelcast-shop in {other.namespace} exists but is not managed here"
    expect(sightings, "a Service of somebody else's", sentence)
    events = other("events", "--for=deployment/shop")
    assert "Conflict" in events
    sightings.note("kubectl events --for=deployment/shop", events)

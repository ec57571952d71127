"""From earlier versions to this one, back, and forward again, with groups that run, as docs/upgrade.md says.

It runs behind the test of the uninstallation, which leaves a cluster without the injector. What the earlier
versions install is recorded; their images are of the same commits.
"""

from __future__ import annotations

import copy
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from hazelcast_sidecar.injection.fingerprint import fingerprint
from hazelcast_sidecar.injection.webhook_configuration import OTHERS, UNLABELLED
from hazelcast_sidecar.model.status import decode
from hazelcast_sidecar.names import STATUS
from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.e2e.commands import findings, make_uninstall, run
from tests.e2e.conftest import CONTROLLER, INJECTOR, INSTALL_SECONDS, OURS, namespace
from tests.e2e.creations import Creations
from tests.e2e.groups import ENTRIES, Group
from tests.e2e.http_client import api_proxy
from tests.e2e.kubectl import Kubectl, container_statuses, until
from tests.e2e.workloads import with_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Images, Sightings

pytestmark = pytest.mark.e2e

RATE = 50
REPLICAS = 4
"""Of webhook and controller together."""
RECORDED = Path(__file__).parents[1] / "apiserver" / "recorded"
CHANGED = (
    "the settings or the injector have changed; recreate its workload's Pods, for example with "
    "`kubectl rollout restart`"
)
Documents = list[dict[str, Any]]


class Versions(NamedTuple):
    """What each version installs."""

    early: Documents
    """Its members are made otherwise than today's."""
    last: Documents
    """The last one before the registration came from the code."""
    this: Documents


@pytest.fixture
def versions(webhook_manifests: Documents) -> Versions:
    images = os.environ.get("EARLIER_IMAGES", "").split()
    if len(images) != 2:
        pytest.skip("EARLIER_IMAGES names no images of the two earlier versions (`make earlier` makes them)")
    early, last = images
    return Versions(installation(early), installation(last), with_unlabelled_workloads(webhook_manifests))


def installation(image: str) -> Documents:
    """What the version whose commit an image has for a tag installs, with that image."""
    recorded = (RECORDED / f"{image.rpartition(':')[2]}.json").read_text(encoding="utf-8")
    documents: Documents = json.loads(recorded)["installation"]
    for document in documents:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = image
        if document["kind"] == "Namespace":
            document["metadata"]["labels"][OURS] = "yes"
    return documents


def with_unlabelled_workloads(installed: Documents) -> Documents:
    """The same with the component of that name: the templates of earlier versions have no label."""
    found = copy.deepcopy(installed)
    for document in found:
        for webhook in document.get("webhooks", ()):
            if webhook["name"] == OTHERS:
                webhook["objectSelector"]["matchExpressions"] = UNLABELLED
    return found


@pytest.fixture
def own(cluster: Kubectl) -> Iterator[Kubectl]:
    assert cluster
    with namespace("hazelcast-upgrade") as kubectl:
        yield kubectl
    make_uninstall()


def install(documents: Documents) -> None:
    """Apply a version, over another one or over nothing, and wait until nothing else runs."""
    kubectl = Kubectl(INJECTOR)
    kubectl.apply(*documents)
    for deployment in (INJECTOR, CONTROLLER):
        kubectl.rolled_out(f"deployment/{deployment}")
    # Replicas that end still answer on connections that the API server has: with the member of their version.
    until(60, "the replicas before have ended", lambda: len(kubectl.read("pods")["items"]) == REPLICAS)


def annotated(deployment: dict[str, Any]) -> dict[str, Any]:
    """The same Deployment with its annotations on itself, from where the webhook copies them."""
    found = copy.deepcopy(deployment)
    found["metadata"]["annotations"] = found["spec"]["template"]["metadata"].pop("annotations")
    return found


def as_they_are(own: Kubectl) -> dict[str, Any]:
    """Pods with their restarts, and their workloads, without what the cluster writes while they run."""
    found = {}
    for each in own.read("deployments,replicasets,pods")["items"]:
        metadata = {k: each["metadata"].get(k) for k in ("uid", "generation", "labels", "annotations")}
        restarts = [status["restartCount"] for status in container_statuses(each)]
        found[f"{each['kind']}/{each['metadata']['name']}"] = (metadata, each["spec"], restarts)
    return found


def drifted(own: Kubectl) -> dict[str, str]:
    """What `check` says of outdated members in a namespace, by the workload."""
    said = [finding["message"] for finding in findings("warning") if finding["check"] == "drifted"]
    named = [(re.search(rf" {own.namespace}/([a-z]+)-", message), message) for message in said]
    return {found[1]: message for found, message in named if found}


def is_outdated(group: Group) -> bool:
    """Whether today's code gives the Pods of a group another member."""
    pod = group.kubectl.read("pod", group.kubectl.pods(f"app={group.name}")[0])
    given, settings = pod["metadata"]["annotations"], Settings()
    spec = parse(given, DefaultSpecs(settings).of(group.kubectl.namespace))
    assert isinstance(spec, SidecarSpec)
    return decode(given[STATUS]).fingerprint != fingerprint(spec, settings.run_as_user)


def controller_says(own: Kubectl) -> dict[str, set[str]]:
    """What the Events of the controller say, by their reasons."""
    found: dict[str, set[str]] = {}
    for event in own.read("events")["items"]:
        if event.get("source", {}).get("component") == CONTROLLER:
            found.setdefault(event["reason"], set()).add(event["message"])
    return found


def configuration_of(group: Group) -> str:
    """The uid of the ConfigMap of a group."""
    metadata = group.kubectl.read("configmap", f"hazelcast-{group.name}")["metadata"]
    return str(metadata["uid"])


def made_again(group: Group) -> None:
    """Have the controller that runs make an object of a group, for which it reads its Pods' annotations."""
    before = configuration_of(group)
    group.kubectl("delete", "configmap", f"hazelcast-{group.name}")
    until(60, "the ConfigMap is made again", lambda: configuration_of(group) != before)


class Clock:
    """What takes how long, for the summary."""

    def __init__(self) -> None:
        self.took: list[str] = []

    def __call__(self, step: str, act: Callable[[], object]) -> None:
        begun = time.monotonic()
        act()
        self.took.append(f"{step} {time.monotonic() - begun:.0f} s")


def expect_entries(group: Group) -> None:
    """A group is one cluster, and has all of its entries."""
    group.settle()
    found = group.load(group.kubectl.pods(f"app={group.name}")[0], "check")
    assert (found["done"], found["missing"], found["wrong"]) == (ENTRIES, 0, 0), group.name


class Running(NamedTuple):
    """Groups whose members each of the earlier versions has injected, with entries."""

    early: Group
    last: Group
    applied: Documents
    """Their Deployments."""

    def fill(self) -> None:
        """Wait until each is one cluster, and fill its map."""
        for group in (self.early, self.last):
            group.kubectl.rolled_out(f"deployment/{group.name}", seconds=300)
            group.settle()
            group.load(group.kubectl.pods(f"app={group.name}")[0], "fill")

    def expect_all(self) -> None:
        """Each is one cluster, and has all of its entries."""
        for group in (self.early, self.last):
            expect_entries(group)

    def outdated(self) -> set[str]:
        """The names of those whose members today's code makes otherwise."""
        return {group.name for group in (self.early, self.last) if is_outdated(group)}

    def restart(self) -> None:
        """`kubectl rollout restart` of the one whose members have drifted."""
        kubectl, name, members = self.early
        kubectl("rollout", "restart", f"deployment/{name}")
        kubectl.rolled_out(f"deployment/{name}", seconds=300)
        pods = ("pods", f"--selector=app={name}")
        until(120, "the Pods before are gone", lambda: len(kubectl.read(*pods)["items"]) == members)
        expect_entries(self.early)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def running(
    own: Kubectl, versions: Versions, images: Images, demo_manifests: Documents, clock: Clock
) -> Running:
    early, last = Group(own, "shop", 2), Group(own, "orders", 2)
    of_early = with_members(demo_manifests, early.name, early.members, discovery="api", image=images.member)
    of_early["spec"]["template"]["spec"]["automountServiceAccountToken"] = True
    of_last = annotated(with_members(demo_manifests, last.name, last.members, image=images.member))
    clock("install the early one", lambda: install(versions.early))
    until(INSTALL_SECONDS, "it injects", lambda: injects(own, of_early))
    own.apply(of_early)
    clock("upgrade to the last one", lambda: install(versions.last))
    own.apply(of_last)
    found = Running(early, last, [of_early, of_last])
    clock("groups", found.fill)
    return found


def injects(own: Kubectl, deployment: dict[str, Any]) -> bool:
    """Whether the Pods of a Deployment would get members."""
    template = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**template["metadata"], "name": "tried"}
    return "initContainers" in json.loads(own.dry_run(pod))["spec"]


def test_groups_run_on_and_no_pod_is_refused_there_and_back(
    own: Kubectl, versions: Versions, running: Running, clock: Clock, sightings: Sightings
) -> None:
    before = as_they_are(own)
    with api_proxy(own) as api, Creations(api, RATE) as creations:
        members_from = creations.expect_members(INSTALL_SECONDS)
        clock("upgrade to this one", lambda: install(versions.this))
        checked = run("check", "--wait", "2m")
        assert checked.returncode == 0, checked.stdout
        own.apply(*running.applied)
        clock("look", running.expect_all)
        assert as_they_are(own) == before
        outdated = running.outdated()
        assert running.early.name in outdated
        drift = drifted(own)
        assert drift.keys() == outdated
        for message in drift.values():
            assert message.startswith("2 Pods with an outdated member, for example ")
            assert message.endswith(CHANGED)
        clock("restart of a group", running.restart)
        outdated.remove(running.early.name)
        until(60, "it drifts no more", lambda: drifted(own).keys() == outdated)

        before = as_they_are(own)
        clock("back to the last one", lambda: install(versions.last))
        made_again(running.early)
        clock("look", running.expect_all)
        clock("forward again", lambda: install(versions.this))
        assert drifted(own).keys() == outdated == running.outdated()
        members_until = time.monotonic()
        clock("uninstall", make_uninstall)
        creations.expect_bare(60)
        assert as_they_are(own) == before
    served = creations.served(members_from, members_until)
    said = controller_says(own)
    summary = f"{creations.summary()}; {served} while a version served, each with a member"
    sightings.note(
        "from earlier versions to this one, back, and forward again",
        "\n".join((summary, ", ".join(clock.took), *drift.values(), *map(str, said.items()))),
    )
    assert said.keys() == {"Injected", "Drifted"}

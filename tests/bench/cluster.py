"""The cluster that KUBECONFIG names, for parts that measure on one: the injector installed, Pods watched."""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubernetes import client, config, watch

from tests.e2e.conftest import (
    BUILD,
    CONTROLLER,
    IMAGE_VARIABLES,
    INJECTOR,
    Images,
    clean_up,
    refuse_foreign_installation,
    rendered,
    wait_for_injection,
)
from tests.e2e.kubectl import Kubectl, KubectlError, find
from tests.e2e.workloads import DEMO, first_pod


def unmet() -> str | None:
    """What is missing to measure on a cluster, in a sentence; None where all is there."""
    if not os.environ.get("KUBECONFIG"):
        return "it needs a cluster: set KUBECONFIG to the file that names one to install and remove things on"
    if missing := [name for name in IMAGE_VARIABLES if not os.environ.get(name)]:
        return f"set {', '.join(missing)} to the images in the cluster, or use make, which has names for them"
    if shutil.which("kubectl") is None:
        return "kubectl is not on PATH"
    try:
        Kubectl("default")("version", seconds=20)
    except KubectlError as error:
        return f"no cluster answers; KUBECONFIG names the one to use: {error}"
    return None


def images() -> Images:
    """The images to measure with, as the cluster knows them."""
    return Images(*(os.environ[name] for name in IMAGE_VARIABLES))


@contextlib.contextmanager
def injector() -> Iterator[dict[str, Any]]:
    """The injector installed, and the demo's Deployment to measure with; at the end all of it is gone.

    Raises:
        pytest.exit.Exception: somebody's injector is on this cluster.
    """
    cluster = Kubectl("default")
    refuse_foreign_installation(cluster)
    clean_up(cluster)
    shutil.rmtree(BUILD, ignore_errors=True)
    try:
        demo = rendered(cluster, "demo", images().demo)
        application = Kubectl(DEMO)
        application.apply(*(d for d in demo if d["kind"] != "Deployment"))
        Kubectl(INJECTOR).apply(*rendered(cluster, "base", images().webhook))
        wait_for_injection(application, first_pod(demo))
        for deployment in (INJECTOR, CONTROLLER):
            Kubectl(INJECTOR).rolled_out(f"deployment/{deployment}")
        yield find(demo, "Deployment", "demo")
    finally:
        clean_up(cluster)


@dataclass
class Seen:
    """When something of a Pod was first seen, in seconds since 1970; None: not yet."""

    scheduled: float | None = None
    application_ready: float | None = None


class Pods:
    """The Pods of a namespace as they come and go, watched without asking again and again."""

    def __init__(self, namespace: str) -> None:
        config.load_kube_config()
        self.kubectl = Kubectl(namespace)
        self.seen: dict[str, Seen] = {}
        self._list = client.CoreV1Api().list_namespaced_pod
        self._namespace = namespace
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:  # the API server ends each watch after a while
            for event in watch.Watch().stream(self._list, self._namespace):
                self._note(event["object"], time.time())

    def _note(self, pod: Any, now: float) -> None:
        seen = self.seen.setdefault(pod.metadata.name, Seen())
        if pod.spec.node_name and seen.scheduled is None:
            seen.scheduled = now
        statuses = pod.status.container_statuses or []
        if seen.application_ready is None and any(s.name == "app" and s.ready for s in statuses):
            seen.application_ready = now

    def names(self, workload: str) -> list[str]:
        """The Pods of a workload so far."""
        return [name for name in list(self.seen) if name.startswith(f"{workload}-")]

    def of(self, workload: str, replicas: int, seconds: float = 300) -> list[str]:
        """Wait until the application of each replica is ready; the Pods' names.

        Raises:
            AssertionError: it was not in time.
        """
        end = time.monotonic() + seconds
        while True:
            names = self.names(workload)
            if len(names) == replicas and all(self.seen[name].application_ready for name in names):
                return names
            assert time.monotonic() < end, f"{workload}: {replicas} ready Pods not within {seconds:g} s"
            time.sleep(0.1)

    def remove(self, workload: str) -> None:
        """Delete a Deployment, and wait until its Pods are gone: the next round has the machine to itself."""
        self.kubectl("delete", f"deployment/{workload}", "--cascade=foreground", seconds=300)


@dataclass(frozen=True)
class Line:
    """A line of a container's log."""

    time: float
    """Seconds since 1970, by the node's clock."""
    text: str


def log(kubectl: Kubectl, pod: str, container: str = "hazelcast") -> list[Line]:
    """A container's log, with the time at which the node took each line."""
    lines = [
        line.partition(" ")
        for line in kubectl("logs", pod, f"--container={container}", "--timestamps").splitlines()
    ]
    return [Line(datetime.fromisoformat(stamp).timestamp(), text) for stamp, _, text in lines]


def first_list(lines: list[Line], size: int) -> float | None:
    """When a member first logged a member list of this size."""
    return next((line.time for line in lines if f"Members {{size:{size}," in line.text), None)

"""`make dev`: a real API server with this checkout's webhook and controller, which each change restarts.

There is no kubelet and no controller manager: Pods are stored and do not run, Deployments make none. It shows
what is injected, denied and warned about, within a second of a change. Ctrl-C ends all of it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import watchfiles

from hazelcast_sidecar.names import PREFIX
from tests.harness.accounts import ship
from tests.harness.control_plane import ControlPlane, StartError, find_programs
from tests.harness.controller_program import Controller
from tests.harness.go_programs import UnavailableError
from tests.harness.shipped_manifests import ROOT, configure
from tests.harness.webhook_server import WebhookServer

SOURCES = ROOT / "webhook" / "hazelcast_sidecar"
_TRY = """
In another terminal:

  export KUBECONFIG={kubeconfig}
  export PATH={programs}:$PATH
  kubectl create deployment shop --image=shop --replicas=3
  kubectl annotate deployment shop {prefix}inject=true
  kubectl run once --image=shop --annotations={prefix}inject=true
  kubectl get pod once --output=yaml
  kubectl run wrong --image=shop --annotations={prefix}inject=maybe
  kubectl get configmap,service --selector=app.kubernetes.io/managed-by=hazelcast-sidecar-injector

Logs: {webhook}
      {controller}

A change below webhook/ restarts both. Ctrl-C ends everything.
"""


def main() -> int:
    """Run until Ctrl-C."""
    try:
        programs = find_programs(_say)
    except UnavailableError as error:
        _say(f"make dev: {error}")
        return 1
    with tempfile.TemporaryDirectory(prefix="hazelcast-sidecar-dev-") as name, ExitStack() as running:
        folder = Path(name)
        cluster = running.enter_context(ControlPlane(programs))
        webhook = running.enter_context(WebhookServer(folder))
        configure(cluster, webhook, ROOT / "manifests")
        account = ship(cluster, folder)
        log = folder / "controller.log"

        controllers = running.enter_context(ExitStack())

        def start_controller() -> None:
            # The certificates of this webhook are the harness's own.
            started = Controller(account, log, options=("--certificates", "leave"))
            controllers.callback(started.program.stop)

        start_controller()
        _say(
            _TRY.format(
                kubeconfig=cluster.kubeconfig,
                programs=programs,
                prefix=PREFIX,
                webhook=webhook.log,
                controller=log,
            )
        )
        sources = watchfiles.PythonFilter(extra_extensions=(".yaml",))
        for _ in watchfiles.watch(SOURCES, watch_filter=sources, raise_interrupt=False):
            begun = time.monotonic()
            webhook.stop()
            controllers.close()
            try:
                webhook.start()
            except StartError as error:
                _say(f"the webhook does not start; the next change tries again. {error}")
            start_controller()
            _say(f"restarted in {time.monotonic() - begun:.1f} s")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

"""`hazelcast-sidecar check`, which reports whether an installation is, or would be, healthy."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING

from hazelcast_sidecar.cli.options import add_cluster, add_namespace, check_kubeconfig, time_span
from hazelcast_sidecar.cli.output import add_output, complain, values
from hazelcast_sidecar.text import in_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hazelcast_sidecar.checks.results import CheckResult
    from hazelcast_sidecar.kube.objects import Kind

_PROBLEMS = 1
_PAUSE_SECONDS = 2.0
"""Between two checks while it waits."""
_EXAMPLES = """examples:
  hazelcast-sidecar check                            is the installation healthy?
  hazelcast-sidecar check --namespace team-a         does a Pod in that namespace get a member?
  hazelcast-sidecar check --pre                      would an installation work here?
  hazelcast-sidecar check --wait 2m                  wait until the installation is healthy
  hazelcast-sidecar check -o json                    findings for programs

Exit status: 0 without problems (warnings do not count), 1 with problems, 2 if no cluster answers.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--pre", action="store_true", help="run the preflight checks, before an installation")
    add_cluster(parser)
    add_namespace(
        parser, "namespace of the dry run of an injection, and of the groups if you may not read all"
    )
    parser.add_argument(
        "--injector-namespace",
        default="",
        metavar="NS",
        help="namespace of the injector (default: from its MutatingWebhookConfiguration)",
    )
    parser.add_argument(
        "--wait",
        type=time_span,
        default=timedelta(),
        metavar="SPAN",
        help="check again until there is no problem, for at most so long, such as 2m",
    )
    add_output(parser, "table", "json", "yaml")


def run(options: argparse.Namespace) -> int:
    """Check the cluster and print the findings."""
    check_kubeconfig(options)
    # Imported here and below, because --help does not need them.
    from hazelcast_sidecar.checks.results import State  # noqa: PLC0415

    findings = asyncio.run(_look(options))
    end = monotonic() + options.wait.total_seconds()
    while monotonic() < end and any(finding.state == State.PROBLEM for finding in findings):
        sleep(_PAUSE_SECONDS)
        findings = asyncio.run(_look(options))
    if options.output == "table":
        _print_report(findings)
    else:
        from msgspec import to_builtins  # noqa: PLC0415

        print(values([to_builtins(findings)], options.output), end="")  # noqa: T201
    return _PROBLEMS if any(finding.state == State.PROBLEM for finding in findings) else 0


async def _look(options: argparse.Namespace) -> list[CheckResult]:
    from kubernetes.aio.client import ApiClient  # noqa: PLC0415

    from hazelcast_sidecar.checks.collector import Reader  # noqa: PLC0415
    from hazelcast_sidecar.checks.runner import BEFORE, OF_INSTALLATION, findings  # noqa: PLC0415
    from hazelcast_sidecar.kube.client import Api  # noqa: PLC0415
    from hazelcast_sidecar.kube.kubeconfig import as_kubectl  # noqa: PLC0415

    configuration = await as_kubectl(options.kubeconfig, options.context)
    async with ApiClient(configuration) as client:
        reader = Reader(Api(client, _pass_over), options.injector_namespace, _progress)
        try:
            if options.pre:
                return findings(await reader.before(), BEFORE)
            return findings(await reader.installation(options.namespace), OF_INSTALLATION)
        finally:
            _progress("")


def _pass_over(kind: Kind, name: str, why: Exception) -> None:
    """Report an object that is left out of the findings."""
    _progress("")
    complain(f"{kind.name} {name or 'without a readable name'} cannot be read and is skipped: {why}")


def _progress(what: str) -> None:
    """Show on a terminal what is being checked; the next line replaces it."""
    if sys.stderr.isatty():
        shown = in_one_line(what and f"checking {what} ...")
        print(f"\r\x1b[K{shown}", end="", file=sys.stderr, flush=True)  # noqa: T201


def _print_report(findings: Sequence[CheckResult]) -> None:
    from rich.console import Console  # noqa: PLC0415

    from hazelcast_sidecar.checks.report import lines  # noqa: PLC0415

    console = Console(highlight=False)
    for line in lines(findings):
        console.print(line, soft_wrap=True)

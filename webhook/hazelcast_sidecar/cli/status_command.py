"""`hazelcast-sidecar status`: does each group form one cluster, and are its entries safe?"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from hazelcast_sidecar.cli.options import add_cluster, add_namespace, check_kubeconfig, time_span
from hazelcast_sidecar.cli.output import add_output, listed, wide_console
from hazelcast_sidecar.errors import InvalidSettingsError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hazelcast_sidecar.group_status.reader import GroupReader
    from hazelcast_sidecar.members.assessment import Assessment

_WRONG = 1
_EXAMPLES = """examples:
  hazelcast-sidecar status                           every group of the namespace default
  hazelcast-sidecar status -A                        of all namespaces
  hazelcast-sidecar status -n team-a shop            one group
  hazelcast-sidecar status -n team-a -w              again every two seconds
  hazelcast-sidecar status -A -o json                for a program

Each member is asked for its own view, over a port forward: that takes the right to create
(and for WebSockets to get) pods/portforward, and pods/proxy where a group has `clients: pod`.

Exit status: 0 where every group is one cluster, 1 with a problem, 2 where no cluster answers.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "group", nargs="?", default="", metavar="GROUP", help="only this group (default: all groups)"
    )
    add_cluster(parser)
    add_namespace(parser, "whose groups")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="groups of all namespaces")
    parser.add_argument("-w", "--watch", action="store_true", help="repeat every --interval")
    parser.add_argument(
        "--interval", type=time_span, default="2s", metavar="SPAN", help="interval of --watch (%(default)s)"
    )
    add_output(parser, "table", "json", "yaml")


def run(options: argparse.Namespace) -> int:
    """Ask the members, and print what they answer."""
    check_kubeconfig(options)
    return asyncio.run(_look(options))


async def _look(options: argparse.Namespace) -> int:
    # Imported here and below: --help does without them.
    from kubernetes.aio.client import ApiClient  # noqa: PLC0415
    from kubernetes.aio.stream import WsApiClient  # noqa: PLC0415

    from hazelcast_sidecar.group_status.reader import GroupReader  # noqa: PLC0415
    from hazelcast_sidecar.kube.client import CONNECTION_ERRORS, Api, ApiError, in_words  # noqa: PLC0415
    from hazelcast_sidecar.kube.kubeconfig import as_kubectl  # noqa: PLC0415

    configuration = await as_kubectl(options.kubeconfig, options.context)
    async with ApiClient(configuration) as client, WsApiClient(configuration) as forwards:
        reader = GroupReader(Api(client), forwards)
        try:
            return await _watch(reader, options) if options.watch else await _once(reader, options)
        except (*CONNECTION_ERRORS, ApiError) as error:
            raise InvalidSettingsError([Problem(configuration.host, in_words(error))]) from error


def _namespace(options: argparse.Namespace) -> str:
    return "" if options.all_namespaces else str(options.namespace)


async def _once(reader: GroupReader, options: argparse.Namespace) -> int:
    found = await reader.groups(_namespace(options), options.group)
    _print(found, options)
    return _status(found)


async def _watch(reader: GroupReader, options: argparse.Namespace) -> int:
    """Repeat until interrupted; on a terminal each output replaces the previous one."""
    found: list[Assessment] = []
    while True:
        before, found = found, await reader.groups(_namespace(options), options.group)
        on_terminal = sys.stdout.isatty() and options.output == "table"
        if on_terminal:
            print("\x1b[H\x1b[2J", end="")  # noqa: T201
        if on_terminal or found != before:
            _print(found, options)
            sys.stdout.flush()
        await asyncio.sleep(options.interval.total_seconds())


def _status(found: Sequence[Assessment]) -> int:
    from hazelcast_sidecar.members.assessment import Severity  # noqa: PLC0415

    return _WRONG if any(each.severity == Severity.PROBLEM for each in found) else 0


def _print(found: Sequence[Assessment], options: argparse.Namespace) -> None:
    if options.output != "table":
        from hazelcast_sidecar.group_status.reader import as_json  # noqa: PLC0415

        print(listed([as_json(each) for each in found], options.output), end="")  # noqa: T201
        return
    from hazelcast_sidecar.group_status.report import rendered  # noqa: PLC0415

    console = wide_console()
    for each in rendered(found):
        console.print(each, soft_wrap=True)
    if not found:
        where = "the cluster" if options.all_namespaces else f"the namespace {options.namespace}"
        which = f"no group {options.group}" if options.group else "no injected Pods"
        console.print(f"{which} in {where}", markup=False)

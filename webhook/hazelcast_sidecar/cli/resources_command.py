"""`hazelcast-sidecar resources`, which prints the objects that the controller would create."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from hazelcast_sidecar.cli.documents import Reading, given_files
from hazelcast_sidecar.cli.options import add_files, add_namespace, add_settings
from hazelcast_sidecar.cli.output import add_output, complain, objects, plain, print_table
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.group_objects.desired_objects import (
    SCALABLE,
    GroupWorkload,
    Participant,
    discovery_role,
    of_group,
    requirements_of_group,
    unmet_requests,
)
from hazelcast_sidecar.injection.bystanders import remark
from hazelcast_sidecar.injection.manifests import Object, Placed, Result, is_known, status_in, unexpected
from hazelcast_sidecar.injection.pod_decision import Reason
from hazelcast_sidecar.injection.reinjection import OUTDATED, renew
from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import GROUP, INJECT, PREFIX
from hazelcast_sidecar.runtime.settings_file import SettingsFile
from hazelcast_sidecar.spec.annotations import Defaults, DefaultSpecs

_EXAMPLES = """examples:
  hazelcast-sidecar resources shop.yaml | kubectl apply -f -
  hazelcast-sidecar resources --group shop --namespace team-a
  hazelcast-sidecar resources --group shop --set discovery=api --service-account shop
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    add_files(parser, positional=True)
    parser.add_argument("--group", help="name of a group of Pods with the defaults, instead of files")
    add_namespace(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="with --group: an annotation of its Pods; repeatable",
    )
    parser.add_argument(
        "--service-account", default="default", help="with --group: ServiceAccount of its Pods (%(default)s)"
    )
    add_settings(parser)
    add_output(parser, "yaml", "json", "table")


def run(options: argparse.Namespace) -> int:
    """Print the objects of every group, and return 1 if a Pod would be denied."""
    settings = SettingsFile(options.settings).load()
    defaults = DefaultSpecs(settings)
    participants: dict[tuple[str, str], list[Participant]] = defaultdict(list)
    denied = False
    reading = Reading(
        [] if options.group else given_files(options.filename, options.files), recursive=options.recursive
    )
    for where, placed in _pods(options, reading):
        namespace = placed.namespace or options.namespace
        result, status = _injected(placed.obj, defaults.of(namespace), settings.run_as_user)
        denied = denied or bool(result.problems)
        # Other warnings are those of inject and explain; this one says whose objects these are.
        for said in (*result.problems, *(text for text in result.warnings if text == OUTDATED)):
            complain(f"{where}: {said}")
        if status is not None:
            workload = _workload(placed, of_group=bool(options.group))
            participants[namespace, status.group].append(Participant(workload, status))
    made: list[dict[str, Any]] = []
    for (namespace, group), found in sorted(participants.items()):
        for unmet in unmet_requests(found):
            complain(f"the group {group} in {namespace} gets no {unmet.kind}: {unmet.reason}")
        made += of_group(requirements_of_group(found), group, namespace)
    if any(obj["kind"] == "RoleBinding" for obj in made):
        made.insert(0, discovery_role())  # the manifests of the injector have it, too
    _write(made, options.output)
    return 1 if denied or reading.failed else 0


def _pods(options: argparse.Namespace, reading: Reading) -> Iterator[tuple[str, Placed]]:
    """Yield the Pods and workloads that the options name, each with its place."""
    if options.group:
        yield f"Pod/{options.group}", Placed("", _pod(options))
    for found in reading.objects():
        if is_known(found.placed.obj):
            yield found.where, found.placed
        elif (sentence := remark(found.placed.obj)) is not None:
            complain(f"{found.where}: {sentence}")


def _injected(obj: Object, defaults: Defaults, run_as_user: int | None) -> tuple[Result, Status | None]:
    """Return what becomes of an object, and the status that it will have; none if it is denied.

    A failure is a problem of this object alone.
    """
    try:
        result = renew(obj, defaults, run_as_user)
        return result, None if result.problems else status_in(result.of(obj))
    except Exception as error:  # noqa: BLE001 - see above
        return Result(Reason.INVALID, problems=[unexpected(error)]), None


def _workload(placed: Placed, *, of_group: bool) -> GroupWorkload:
    """Take an object as a workload; a group that is named is taken for Pods of a Deployment."""
    known = (placed.obj.get("apiVersion"), placed.kind) in SCALABLE
    return GroupWorkload(placed.name, placed.name, scalable=of_group or known)


def _pod(options: argparse.Namespace) -> dict[str, Any]:
    """Make a Pod of the group."""
    annotations = {INJECT: "true"}
    for text in options.set:
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidSettingsError([Problem("--set", f'"{text}" is not NAME=VALUE, such as port=6000')])
        annotations[PREFIX + name] = value
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": options.group,
            "annotations": annotations | {GROUP: options.group},
            # Only such workloads can have a PodDisruptionBudget.
            "ownerReferences": [{"kind": "Deployment", "name": options.group, "controller": True}],
        },
        "spec": {"serviceAccountName": options.service_account, "containers": []},
    }


def _write(made: list[dict[str, Any]], form: str) -> None:
    if form == "table":
        rows = [
            (plain(o["metadata"].get("namespace", "")), o["kind"], plain(o["metadata"]["name"])) for o in made
        ]
        print_table(("NAMESPACE", "KIND", "NAME"), rows)
    elif made:
        sys.stdout.write(objects(made, form))
    else:
        complain("nothing is injected, so no objects are needed")

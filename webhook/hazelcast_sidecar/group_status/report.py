"""Assessments as a person reads them: a table of Pods for each group, and below it what is wrong."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hazelcast_sidecar.members.assessment import Assessment, GroupPod, Severity, clusters
from hazelcast_sidecar.text import in_one_line

_COLOURS = {Severity.NOTE: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}
_UNKNOWN = "-"


def rendered(assessments: Iterable[Assessment]) -> Iterator[RenderableType]:
    """Render each group; names in it are of others, so none is taken for markup."""
    for assessment in assessments:
        yield _heading(assessment)
        yield _table(assessment)
        for each in assessment.observations:
            yield Text.assemble(
                ("  " + str(each.severity), _COLOURS[each.severity]), in_one_line(f"  {each.message}")
            )
            if each.remedy:
                yield Text(in_one_line(f"           fix: {each.remedy}"))
        yield Text()


def heading(assessment: Assessment) -> str:
    """Say in one line what a group is."""
    answered = clusters(assessment.pods)
    pods = len(assessment.pods)
    if not answered:
        return f"{_count(pods, 'Pod')}, no member answered"
    if len(answered) > 1:
        return f"{len(answered)} clusters instead of one"
    views = [pod.view for pod in answered[0] if pod.view is not None]
    size = views[0].health.cluster_size
    safe = all(view.health.cluster_safe for view in views)
    return f"one cluster of {_count(size, 'member')}, {'safe' if safe else 'copying entries'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _heading(assessment: Assessment) -> Text:
    name = in_one_line(f"{assessment.namespace}/{assessment.group}")
    return Text.assemble((name, "bold"), "  ", (heading(assessment), _COLOURS[assessment.severity]))


def _table(assessment: Assessment) -> Table:
    table = Table(
        "POD",
        "MEMBER",
        "SEES",
        "STATE",
        "BACKUPS",
        "VERSION",
        box=None,
        header_style="",
        padding=(0, 2, 0, 0),
    )
    for pod in assessment.pods:
        table.add_row(*(Text(in_one_line(cell)) for cell in _row(pod)))
    return table


def _row(pod: GroupPod) -> Iterator[str]:
    yield f"  {pod.name}"
    yield "terminating" if pod.terminating else "ready" if pod.ready else "not ready"
    if pod.view is None:
        yield from (_UNKNOWN,) * 4
        return
    health = pod.view.health
    yield str(health.cluster_size)
    yield health.node_state.lower()
    if health.cluster_safe:
        yield "safe"
    else:
        yield (
            f"{_count(health.migration_queue_size, 'partition')} to copy"
            if health.migration_queue_size
            else "not safe"
        )
    yield pod.view.version or _UNKNOWN

"""`make charts`: draws tables of the documents as SVG, once for light and once for dark pages.

A figure stands once, in its table, and the chart is drawn from there. Charts are specifications of Vega-Lite
(https://vega.github.io/vega-lite/docs/), which vl-convert turns into SVG without a browser.
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import vl_convert

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"

Row = dict[str, str]
Spec = dict[str, Any]

COLORS = ("#2f81f7", "#d29922", "#8b949e")
"""Told apart on light and on dark ground, and by those who do not see red and green. Ours is the first."""
SCHEMES = {"light": ("#1f2328", "#d1d9e0"), "dark": ("#f0f6fc", "#3d444d")}
"""The colors of text and of lines on a page; its own ground shows through."""

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


class Bar(NamedTuple):
    """A figure that was measured."""

    block: str
    """What is compared."""
    side: str
    """Whose figure it is."""
    figure: float
    least: float | None = None
    most: float | None = None


def rows(document: str, *head: str) -> list[Row]:
    """Return the rows of the table of a document whose columns begin with these.

    Raises:
        ValueError: the document has no such table.
    """
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    start = f"\n| {' | '.join(head)} |"
    _, found, rest = text.partition(start)
    if not found:
        message = f"docs/{document} has no table that begins with the columns {', '.join(head)}"
        raise ValueError(message)
    table = f"{start.strip()}{rest}".split("\n\n", 1)[0]
    names, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return [
        {name: cells[names.index(name)] for name in names} for cells in lines
    ]  # of two of a name, the first


def numbers(cell: str) -> list[float]:
    """Return the numbers of a cell: of `13.1 (12.1 to 15.1)`, three."""
    return [float(each.replace(",", "")) for each in _NUMBER.findall(cell)]


# --- the charts --------------------------------------------------------------------------------------------


def cpu() -> Spec:
    """CPU of the webhook, and of the two reference servers."""
    sides = {
        "ours": "this webhook, in Python",
        "direct": "a lean server in Go",
        "typed": "a server in Go as controller-runtime makes them",
    }
    measured = [
        (row["review"].split(", "), row["CPU µs"]) for row in rows("performance.md", "review", "CPU µs")
    ]
    found = [
        Bar(f"review of {size}", sides[server], numbers(cell)[0])
        for (size, connections, server), cell in measured
        if connections == "16 connections"
    ]
    return bars("CPU of a review, µs", [*sides.values()], found)


def start() -> Spec:
    """Seconds until two members are one cluster, and until two applications work with it."""
    table = rows("performance.md", "seconds, median of 5 rounds (least to most)")
    side, _, cluster, applications = table[0]
    blocks = {cluster: "both members list two", applications: "both applications are ready"}
    sides = [row[side] for row in reversed(table)]
    found = [
        Bar(blocks[block], row[side], *numbers(row[block])) for block in blocks for row in reversed(table)
    ]
    return bars("Seconds since the first Pod was scheduled", sides, found)


def growth() -> Spec:
    """What the controller takes for more Pods."""
    table = [row for row in rows("performance.md", "Pods", "converged after s") if row["CPU s"]]
    plots = []
    for column, title in (("CPU s", "CPU seconds from its start"), ("MiB", "Memory, MiB")):
        values = [{"pods": numbers(row["Pods"])[0], "figure": numbers(row[column])[0]} for row in table]
        plots.append(
            {
                "title": {"text": title, "anchor": "start"},
                "data": {"values": values},
                "width": 320,
                "height": 140,
                "mark": {"type": "line", "point": True, "color": COLORS[0]},
                "encoding": {
                    "x": {"field": "pods", "type": "quantitative", "title": "Pods"},
                    "y": {"field": "figure", "type": "quantitative", "title": None},
                },
            }
        )
    return {"hconcat": plots}


def losses() -> Spec:
    """Of 100 acknowledged entries, how many are lost when Pods come and go, and with a node."""
    sides = {"injected": "injected", "node": "injected, backups: node", "guide": "as in the guide"}
    found = [
        Bar(what.replace("`", ""), sides[members], share(lost, acknowledged))
        for what, members, acknowledged, lost, *_ in (
            row.values() for row in rows("reliability.md", "what happens", "members", "acknowledged", "lost")
        )
    ]
    return bars("Acknowledged entries that are lost, %", [*sides.values()], found, most=100)


def share(part: str, whole: str) -> float:
    """Return a part of 100, to a tenth."""
    return round(100 * numbers(part)[0] / numbers(whole)[0], 1)


CHARTS: dict[str, Callable[[], Spec]] = {"cpu": cpu, "start": start, "losses": losses, "growth": growth}


def bars(title: str, sides: Sequence[str], found: Sequence[Bar], most: float | None = None) -> Spec:
    """Bars by block and side, each with its figure and, where they are known, its least and most.

    They end at `most`; without it each block has a scale of its own.
    """
    y = {"field": "side", "type": "nominal", "sort": list(sides), "title": None}
    scale: Spec = {"domainMin": 0} if most is None else {"domain": [0, most]}
    x = {"field": "figure", "type": "quantitative", "title": None, "axis": None, "scale": scale}
    color = {"field": "side", "scale": {"domain": list(sides), "range": list(COLORS)}, "legend": None}
    label = {"field": "figure", "type": "quantitative", "format": ",~r"}
    spread = {"x": {**x, "field": "least"}, "x2": {"field": "most"}}
    layers = [
        {"mark": {"type": "bar", "height": 13}, "encoding": {"x": x, "y": y, "color": color}},
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": {**spread, "y": y}},
        {
            "mark": {"type": "text", "align": "left", "dx": 5},
            "encoding": {"x": {**x, "field": "end"}, "y": y, "text": label},
        },
    ]
    values = [{**bar._asdict(), "end": bar.most or bar.figure} for bar in found]
    blocks = list(dict.fromkeys(bar.block for bar in found))
    header = {"labelAnchor": "start", "labelOrient": "top", "labelFontWeight": "bold", "labelPadding": 2}
    return {
        "title": {"text": title, "anchor": "start"},
        "data": {"values": values},
        "facet": {"row": {"field": "block", "sort": blocks, "title": None, "header": header}},
        "spec": {"layer": layers, "width": 360, "height": {"step": 20}},
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
        "spacing": 14,
    }


def drawn(spec: Spec, scheme: str) -> str:
    """Return a chart as SVG."""
    text, lines = SCHEMES[scheme]
    words = {"labelColor": text, "titleColor": text, "labelFontSize": 12, "labelLimit": 400}
    config = {
        "background": None,
        "font": "Liberation Sans, Arial, Helvetica, sans-serif",  # of vl-convert: as wide on any machine
        "view": {"stroke": None},
        "title": {"color": text, "fontSize": 14},
        "axis": {**words, "gridColor": lines, "domainColor": lines, "tickColor": lines},
        "header": words,
        "text": {"color": text, "fontSize": 12},
        "rule": {"color": text},
    }
    return str(vl_convert.vegalite_to_svg({**spec, "config": config, "padding": 8})) + "\n"


def files() -> dict[Path, str]:
    """Return what `make charts` writes, by path."""
    return {
        IMAGES / f"{name}-{scheme}.svg": drawn(make(), scheme)
        for name, make in CHARTS.items()
        for scheme in SCHEMES
    }


def main() -> None:
    """Write the charts."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()

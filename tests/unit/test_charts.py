"""The charts of the documents are what `make charts` draws from their tables, and documents show them."""

import re
from pathlib import Path

import pytest

from tests.bench.charts import files, numbers, rows


def test_the_numbers_of_a_cell() -> None:
    assert numbers("13.1 (12.1 to 15.1)") == [13.1, 12.1, 15.1]
    assert numbers("6,925") == [6925]


def test_a_table_is_found_by_its_first_columns() -> None:
    assert rows("performance.md", "Pods", "converged after s")[-1]["Pods"] == "10,000"
    with pytest.raises(
        ValueError, match=r"docs/performance.md has no table that begins with the columns Ducks"
    ):
        rows("performance.md", "Ducks")


@pytest.mark.heavy
def test_the_charts_are_drawn_from_the_tables(checkout: Path) -> None:
    made = files()
    assert len(made) > 4
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: draw it with `make charts`"
    shown = {
        name
        for document in [checkout / "README.md", *(checkout / "docs").glob("*.md")]
        for name in re.findall(r"images/([\w-]+\.svg)", document.read_text(encoding="utf-8"))
    }
    assert {path.name for path in made} <= shown

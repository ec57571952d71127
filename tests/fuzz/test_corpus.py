"""The fuzzer's corpus, reviewed once: reviews from real life, and bodies that are none."""

from pathlib import Path

import pytest

from tests.fuzz.target import check

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_review_is_answered_on_its_path_and_what_is_none_is_refused(path: Path) -> None:
    assert check(path.read_bytes()) == (0 if path.name.startswith("broken") else 1)

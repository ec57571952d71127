"""Fixtures of the unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.harness.controller_parts import Seen


@pytest.fixture
def seen() -> Seen:
    # Its imports take a third of a second, and the process that only hands out tests reads this file, too.
    from tests.harness.controller_parts import Seen  # noqa: PLC0415

    return Seen()

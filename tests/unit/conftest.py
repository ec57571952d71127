"""Fixtures of the unit tests."""

import pytest

from tests.harness.controller_parts import Seen


@pytest.fixture
def seen() -> Seen:
    return Seen()

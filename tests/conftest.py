"""Options and fixtures of all tests."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.distribution import ByFile, Durations

CHECKOUT = Path(__file__).parent.parent

# Else each of the hundreds of programs that tests start compiles the package first, which takes longer than
# its start, and pytest rewrites the assertions of all tests in each process.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in every run, so that a failure is there again, and fewer of them in `quick`;
# `--hypothesis-profile thorough` looks further, and elsewhere each time.
settings.register_profile("steady", deadline=None, max_examples=100, derandomize=True, database=None)
settings.register_profile(
    "quick",
    settings.get_profile("steady"),
    max_examples=20,
    suppress_health_check=[HealthCheck.filter_too_much],  # of so few, the first count for much
)
settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Know how long tests take, for the order in which they run side by side."""
    config.pluginmanager.register(Durations(config))


def pytest_collection_finish() -> None:
    """Spare the collector what lives on until the end: it would scan thousands of tests again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Keep the tests of a file together."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the source checkout."""
    return CHECKOUT


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update`: write the golden files anew."""
    parser.addoption("--update", action="store_true", help="write the golden files anew")

"""The files of manifests/ that come from the code are as it makes them; `make manifests` writes them anew."""

from pathlib import Path

import pytest
import yaml

from hazelcast_sidecar.injection.webhook_configuration import REASONS, webhook_configuration
from hazelcast_sidecar.kube import permissions
from manifests.make import FOLDER, files
from tests.golden.test_golden import agree


@pytest.fixture(scope="module")
def made() -> dict[Path, str]:
    """Called within a test, too: what runs while tests are collected is no test's line to `make mutants`."""
    return files()


@pytest.mark.heavy
def test_the_files_are_what_the_code_makes(made: dict[Path, str], request: pytest.FixtureRequest) -> None:
    assert len(made) > 4
    for path, text in made.items():
        agree(path, text, update=request.config.getoption("--update"))


@pytest.mark.heavy
def test_the_reasons_are_comments_and_change_nothing(made: dict[Path, str]) -> None:
    text = made[FOLDER / "base" / "webhook.yaml"]
    assert yaml.safe_load(text) == webhook_configuration()
    lines = [line.strip().removeprefix("# ") for line in text.splitlines() if line.strip().startswith("# ")]
    assert all(reason in " ".join(lines) for reason in REASONS.values())


def test_all_depends_on_the_installations_namespace_and_the_chosen_ones() -> None:
    made = webhook_configuration("elsewhere", {"team": "a", "stage": "live"})
    for each in made["webhooks"]:
        assert each["clientConfig"]["service"]["namespace"] == "elsewhere"
        exempt, *chosen = each["namespaceSelector"]["matchExpressions"]
        assert exempt["values"] == ["kube-system", "elsewhere"]
        assert chosen == [
            {"key": "team", "operator": "In", "values": ["a"]},
            {"key": "stage", "operator": "In", "values": ["live"]},
        ]
    (subject,) = permissions.binding("Role", "x", "elsewhere")["subjects"]
    assert subject["namespace"] == "elsewhere"

"""docs/install.md: its table of values is the code's, and its commands are understood."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest

from hazelcast_sidecar.installation.values import Values
from hazelcast_sidecar.installation.values_reader import DescribedValue, described_values
from tests.harness.command_line import run_here
from tests.harness.document_parts import agree_parts, markdown_table

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"


def row(value: DescribedValue) -> list[str]:
    shown = value.default
    if isinstance(shown, list | dict) and shown:
        default = "as in the base"
    else:
        default = f"`{str(shown).lower() if isinstance(shown, bool) else shown}`" if shown != "" else "none"
    return [f"`{value.name}`", default, value.meaning]


def commands(text: str, program: str) -> list[str]:
    """The lines of a page that begin with a program, without what they are piped into."""
    return [line.split(" | ")[0] for line in re.findall(rf"^\$ ({program} .*)$", text, re.MULTILINE)]


@pytest.fixture
def page(checkout: Path) -> Path:
    return checkout / "docs" / "install.md"


def test_the_table_of_values_is_the_one_in_the_code(page: Path, request: pytest.FixtureRequest) -> None:
    made = markdown_table(("value", "default", "meaning"), [row(value) for value in described_values()])
    agree_parts(page, {"values": made}, update=request.config.getoption("--update"))


def test_every_value_is_described() -> None:
    """And nothing else: a value without a description would be missing here and in values.yaml."""
    defaults = msgspec.to_builtins(Values())
    for name in [value.name for value in described_values()]:
        *path, last = name.split(".")
        place = defaults
        for key in path:
            place = place[key]
        del place[last]
    assert not any(place for place in defaults.values()), defaults


def test_every_command_of_the_page_prints_objects(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page.read_text(encoding="utf-8")
    (values,) = re.findall(r"^```yaml\n# values.yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "values.yaml").write_text(values)
    (tmp_path / "ca.crt").write_text(CERTIFICATE)
    monkeypatch.chdir(tmp_path)
    found = commands(text, "hazelcast-sidecar (?:un)?install")
    assert len(found) >= 4
    for command in found:
        done = run_here(*shlex.split(command)[1:])
        assert (done.returncode, done.stderr) == (0, ""), command
        assert "kind: MutatingWebhookConfiguration" in done.stdout

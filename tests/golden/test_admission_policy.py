"""Golden file: what `hazelcast-sidecar policy` prints with the shipped settings.

`pytest tests/golden --update` writes it anew; read the difference before committing it.
"""

from pathlib import Path

import pytest

from hazelcast_sidecar.cli import MISUSE, OK, main
from tests.golden.test_golden import agree

GOLDEN = Path(__file__).parent / "admission-policy.yaml"


@pytest.mark.heavy
def test_the_shipped_settings_become_the_golden_policies(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy"]) == OK
    agree(GOLDEN, capsys.readouterr().out, update=request.config.getoption("--update"))


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("defaults: {port: fast}", 'default port: "fast" is not an integer from 1024 to 65533'),
        ("defaults: [", "settings: "),
        (None, "No such file"),
    ],
)
def test_settings_that_cannot_be_used_have_a_sentence(
    written: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.yaml"
    if written is not None:
        file.write_text(written, encoding="utf-8")
    assert main(["policy", "--settings", str(file)]) == MISUSE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err

"""The names in an expression are found, and nothing else."""

import pytest

from tests.harness.promql import metric_names


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        ("a_total[5m]", {"a_total"}),
        ('sum by (le, name) (rate(a_bucket{x=~"b|c", y="}d("}[$__rate_interval])) > 0.25', {"a_bucket"}),
        ("a unless b offset 1h and on (job) (up offset 10m)", {"a", "b", "up"}),
        (
            "histogram_quantile(0.99, a_bucket) / 1000 / (b > 0) or vector(0) - time() < 7 * 24",
            {"a_bucket", "b"},
        ),
    ],
)
def test_the_names_of_metrics(expression: str, names: set[str]) -> None:
    assert metric_names(expression) == names

"""Samples in the text that programs expose to Prometheus."""

from prometheus_client.parser import text_string_to_metric_families


def counted(metrics: str, name: str, labels: dict[str, str | None]) -> float:
    """Sum the samples of a counter in Prometheus text; a label of None may have any value."""
    wanted = {key: value for key, value in labels.items() if value is not None}
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == name and wanted.items() <= sample.labels.items()
    )

"""What annotations ask for, by the shipped settings."""

from hazelcast_sidecar.spec.annotations import DefaultSpecs, SidecarSpec, parse
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.pods import ours


def spec(**annotations: str) -> SidecarSpec:
    """The spec of a Pod with these annotations of ours, by their names with underscores."""
    parsed = parse(ours(**annotations), DefaultSpecs(Settings()).of("default"))
    assert isinstance(parsed, SidecarSpec), parsed
    return parsed

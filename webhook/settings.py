"""What whoever runs the webhook decides once, for all Pods."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """Settings of one server; the shipped ones when made without arguments.

    Attributes:
        defaults: annotation name (without the prefix) to the value it has where a Pod does not set it.
        run_as_user: numeric user and group of the member container; None leaves the choice to the
            platform, as OpenShift wants it.
    """

    defaults: Mapping[str, str] = MappingProxyType({})
    run_as_user: int | None = 65534

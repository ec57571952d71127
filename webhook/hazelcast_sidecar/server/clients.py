"""Names of the clients that are served, where client certificates are required."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from hazelcast_sidecar.runtime.log import LogLine


def only(name: str, log: LogLine) -> Callable[[asyncio.BaseTransport], bool]:
    """Make a check of whether a client's certificate has this name, as common or alternative name.

    A CA that signs for API servers mostly signs for others, too: each kubelet has a certificate of the
    cluster's CA. `log` takes one line for each client of another name.
    """

    def admits(transport: asyncio.BaseTransport) -> bool:
        names = sorted(set(_names(transport.get_extra_info("peercert") or {})))
        if name in names:
            return True
        log("client refused", level="warning", names=names, sentence=f'--client-name asks for "{name}"')
        return False

    return admits


def _names(certificate: dict[str, Any]) -> Iterator[str]:
    """Yield the names in a certificate as `ssl` decodes it."""
    for part in certificate.get("subject", ()):
        yield from (value for key, value in part if key == "commonName")
    yield from (value for _, value in certificate.get("subjectAltName", ()))

"""Which clients are served, where their certificates are asked for."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from hazelcast_sidecar.runtime.log import LogLine


def only(name: str, log: LogLine) -> Callable[[asyncio.BaseTransport], bool]:
    """Whether a client's certificate is for this name: its common name, or an alternative one.

    Whoever signs for API servers mostly signs for others, too: each kubelet has a certificate of the
    cluster's authority. `log` takes one line for each client of another name.
    """

    def admits(transport: asyncio.BaseTransport) -> bool:
        names = sorted(set(_names(transport.get_extra_info("peercert") or {})))
        if name in names:
            return True
        log("client refused", level="warning", names=names, sentence=f'--client-name asks for "{name}"')
        return False

    return admits


def _names(certificate: dict[str, Any]) -> Iterator[str]:
    """The names in what `ssl` makes of a certificate."""
    for part in certificate.get("subject", ()):
        yield from (value for key, value in part if key == "commonName")
    yield from (value for _, value in certificate.get("subjectAltName", ()))

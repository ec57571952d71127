"""The application's settings, from its environment."""

import re
import socket
from collections.abc import Mapping
from typing import NamedTuple

LONGEST_DRAIN = 25.0
"""In seconds. With what comes after it, it fits into the 30 s that Kubernetes gives a Pod to end."""


class Settings(NamedTuple):
    """Where the member is, and where to listen (host None: every address, IPv4 and IPv6); time in seconds."""

    address: str
    cluster_name: str
    host: str | None
    port: int
    near_cache: bool = False
    smart_routing: bool = True
    drain: float = 2.0

    @property
    def replica(self) -> str:
        """Return the name that tells this replica from the others: in a Pod, the Pod's."""
        return self.host or socket.gethostname()


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables; ValueError says which one is wrong, and how."""
    address = environment.get("HAZELCAST_ADDRESS") or "127.0.0.1:5701"
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):[0-9]{1,5}", address):
        raise ValueError(f"HAZELCAST_ADDRESS is {address!r}: expected HOST:PORT, such as 127.0.0.1:5701")
    port = environment.get("PORT") or "5000"
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:  # noqa: PLR2004 (TCP's last port)
        raise ValueError(f"PORT is {port!r}: expected a number from 1 to 65535")
    cluster_name = environment.get("HAZELCAST_CLUSTER_NAME") or "dev"
    near_cache = parse_switch(environment, "HAZELCAST_NEAR_CACHE", otherwise="false")
    smart_routing = parse_switch(environment, "HAZELCAST_SMART_ROUTING", otherwise="true")
    drain = environment.get("DRAIN_SECONDS") or "2"
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", drain) or float(drain) > LONGEST_DRAIN:
        raise ValueError(f"DRAIN_SECONDS is {drain!r}: expected a number from 0 to {LONGEST_DRAIN:g}")
    host = environment.get("HOST") or None
    return Settings(address, cluster_name, host, int(port), near_cache, smart_routing, float(drain))


def parse_switch(environment: Mapping[str, str], name: str, *, otherwise: str) -> bool:
    """Read a variable that is true or false; ValueError if it is neither."""
    text = environment.get(name) or otherwise
    if text not in {"true", "false"}:
        raise ValueError(f"{name} is {text!r}: expected true or false")
    return text == "true"

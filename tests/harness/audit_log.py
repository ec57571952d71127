"""What a user asked an API server for, by its audit log."""

import json
from collections import Counter
from typing import NamedTuple

from tests.harness.control_plane import ControlPlane


class Asked(NamedTuple):
    """One request in the audit log."""

    user: str
    verb: str
    resource: str
    code: int
    uri: str


def asked(cluster: ControlPlane, user: str, offset: int = 0) -> list[Asked]:
    """Read what a user asked for, from an offset in the log on; a watch counts as soon as it is answered."""
    found = []
    with cluster.audit_log.open("rb") as log:
        if offset:  # where the file ended, maybe in the middle of a line
            log.seek(offset - 1)
            log.readline()
        for line in log:
            if not line.endswith(b"\n"):
                break  # still being written
            event = json.loads(line)
            # A request that ended before it was authenticated has no user.
            if event["user"].get("username") != user or (
                event["verb"] == "watch" and event["stage"] == "ResponseComplete"
            ):
                continue
            resource = event.get("objectRef", {}).get("resource", "")
            code = event.get("responseStatus", {}).get("code", 0)
            found.append(Asked(user, event["verb"], resource, code, event["requestURI"]))
    return found


def verbs(cluster: ControlPlane, user: str, offset: int) -> Counter[str]:
    """Count what the controller asked for, by verb and resource."""
    return Counter(f"{request.verb} {request.resource}" for request in asked(cluster, user, offset))

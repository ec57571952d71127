"""The real webhook as a program, and what it makes of a Pod."""

import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from hazelcast_sidecar.certificates import make_authority, make_leaf
from hazelcast_sidecar.demo.deployment import admit
from hazelcast_sidecar.demo.ports import free_local_ports
from hazelcast_sidecar.demo.replica import Machine
from hazelcast_sidecar.kube.objects import JsonObject

_START_SECONDS = 20


class Webhook(NamedTuple):
    """The running webhook."""

    url: str
    tls: ssl.SSLContext
    """Trusts its certificate, and no other."""
    machine: Machine

    async def inject(self, pod: JsonObject) -> JsonObject:
        """Return a Pod as the API server stores it.

        Raises:
            DemoError: the webhook did not inject it.
        """
        return await admit(pod, self.url, self.tls, self.machine.http)


@asynccontextmanager
async def running_webhook(
    machine: Machine, checkout: Path, starting: AbstractContextManager[None]
) -> AsyncIterator[Webhook]:
    """Run the webhook with a certificate of its own.

    Args:
        machine: where it runs.
        checkout: has its code.
        starting: entered while it starts.
    """
    port, admin_port = free_local_ports(2)
    now = datetime.now(UTC)
    authority = make_authority(now)
    leaf = make_leaf(authority, ["127.0.0.1"], now)
    files = {"tls.crt": leaf.certificate, "tls.key": leaf.key}
    for name, content in files.items():
        (machine.folder / name).touch(mode=0o600)
        (machine.folder / name).write_bytes(content)
    command = [sys.executable, "-m", "hazelcast_sidecar.cli", "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--admin-listen", f"127.0.0.1:{admin_port}", "--drain-seconds", "0"]
    command += ["--tls-cert", str(machine.folder / "tls.crt"), "--tls-key", str(machine.folder / "tls.key")]
    env = {**machine.shell, "PYTHONPATH": str(checkout / "webhook")}
    with starting:
        program = await machine.programs.start("webhook", command, env)
        await program.until_ok(machine.http, f"http://127.0.0.1:{admin_port}/readyz", _START_SECONDS)
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    yield Webhook(f"https://127.0.0.1:{port}/mutate/pods", trusting, machine)
    program.signal(signal.SIGTERM)

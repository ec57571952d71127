"""The demonstration: two replicas of the demo's Deployment, injected by the real webhook, one cluster."""

import asyncio
import errno
import json
import os
import secrets
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import aiohttp

from hazelcast_sidecar.certificates import make_authority, make_leaf
from hazelcast_sidecar.demo.deployment import Beside, admit, beside, read_deployment, replica_pod
from hazelcast_sidecar.demo.failure import DemoError
from hazelcast_sidecar.demo.java import find_java, member_jars
from hazelcast_sidecar.demo.programs import Programs
from hazelcast_sidecar.demo.replica import Machine, Replica
from hazelcast_sidecar.demo.screen import Screen
from hazelcast_sidecar.kube.objects import JsonObject

ADDRESSES = ("127.0.0.2", "127.0.0.3")
"""The replicas' loopback addresses."""

T = TypeVar("T")

_CHECKOUT = Path(__file__).resolve().parents[3]
_PORTS = (5701, 5000)
_WEBHOOK_START_SECONDS = 20
_MEMBERS_SECONDS = 60
_FAIL_OVER_SECONDS = 30
_REQUEST_SECONDS = 10
_POLL_SECONDS = 0.25


async def run(screen: Screen, *, stay: bool) -> dict[str, Any]:
    """Run the whole demonstration, and return the figures for its last line.

    Args:
        screen: the output.
        stay: keep running after the last step until Ctrl-C, with the lost replica back.

    Raises:
        DemoError: something is missing, busy or did not start.
    """
    started = monotonic()
    deployment, namespace = read_deployment(_source("manifests/demo"))
    app = _source("demo-app/app.py")
    _check_addresses()
    java = find_java()
    screen.say(f"Members run on {java}.")
    jars = member_jars(screen.download)
    with tempfile.TemporaryDirectory(prefix="hazelcast-sidecar-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, Programs(folder) as programs:
            machine = Machine(programs, folder, java, jars, app, http, dict(os.environ))
            replicas = await _inject(screen, machine, deployment, namespace)
            resources = beside((replica.pod for replica in replicas), namespace)
            figures = await _tell(screen, replicas, resources)
            figures["seconds"] = round(monotonic() - started, 1)
            if stay:
                await _stay(screen, replicas, resources)
    return figures


def _source(path: str) -> Path:
    found = _CHECKOUT / path
    if not found.exists():
        raise DemoError(f"the demonstration needs a source checkout, and {path} is not in {_CHECKOUT}")
    return found


def _check_addresses() -> None:
    """Check that every address and port is free, before anything is downloaded or started.

    Raises:
        DemoError: one is not free.
    """
    for address in ADDRESSES:
        for port in _PORTS:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError as error:
                    raise DemoError(_why_not(address, port, error)) from error


def _why_not(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {address} is in use: stop what listens there (a Hazelcast member, another "
            "demonstration?) and try again"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine lacks the address {address}: on macOS, run `sudo ifconfig lo0 alias {address}`"
    return f"port {port} of {address} cannot be used: {error.strerror}"


async def _inject(screen: Screen, machine: Machine, deployment: JsonObject, namespace: str) -> list[Replica]:
    """Start the webhook, and send it the Pod of each replica."""
    screen.say(
        "The only trace of Hazelcast in the Deployment is this annotation on its Pod template:", "bold"
    )
    for key, value in deployment["spec"]["template"]["metadata"]["annotations"].items():
        screen.say(f'    {key}: "{value}"', "cyan")
    async with _webhook(screen, machine) as (url, tls):
        replicas = []
        for index, address in enumerate(ADDRESSES):
            pod = replica_pod(deployment, namespace)
            injected = await admit(pod, url, tls, machine.http)
            if index == 0:
                screen.say("The webhook changes each Pod like this:", "bold")
                screen.difference(pod, injected)
            replicas.append(Replica(index, address, injected, machine))
        return replicas


@asynccontextmanager
async def _webhook(screen: Screen, machine: Machine) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Run the real webhook as a separate program, and yield its URL and a context that trusts it."""
    port, admin_port = _free_ports(2)
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
    env = {**machine.shell, "PYTHONPATH": str(_CHECKOUT)}
    with screen.step("webhook started"):
        program = await machine.programs.start("webhook", command, env)
        await program.until_ok(machine.http, f"http://127.0.0.1:{admin_port}/readyz", _WEBHOOK_START_SECONDS)
    yield (
        f"https://127.0.0.1:{port}/mutate/pods",
        ssl.create_default_context(cadata=authority.certificate.decode()),
    )
    program.signal(signal.SIGTERM)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listening.getsockname()[1] for listening in sockets]
    finally:
        for listening in sockets:
            listening.close()


async def _tell(screen: Screen, replicas: list[Replica], resources: Beside) -> dict[str, Any]:
    """Form a cluster, put through one replica, get through another, kill the first, and get again."""
    first, second = replicas
    with screen.step(f"{len(replicas)} replicas started: each a Hazelcast member, then the application"):
        await asyncio.gather(*(replica.start(resources, list(ADDRESSES)) for replica in replicas))
    with screen.step(f"Members {{size:{len(replicas)}}} in the log of every member"):
        await asyncio.gather(
            *(replica.until_members(len(replicas), _MEMBERS_SECONDS) for replica in replicas)
        )
    members = await _eventually(lambda: _members_seen_by(second, len(replicas)))

    key, value = "greeting", f"hello-{secrets.token_hex(4)}"
    await first.get("/put", key=key, value=value)
    screen.say(f"  ✓ put {key}={value} through replica {first.index}", "green")
    got = await second.get("/get", key=key)
    screen.say(f"  ✓ got {key}={got} through replica {second.index}", "green")
    with screen.step(f"replica {first.index} killed, and {key} read again through replica {second.index}"):
        await first.kill()
        got_after_kill = await _eventually(lambda: second.get("/get", key=key))
    if (got, got_after_kill) != (value, value):
        raise DemoError(f"put {value!r}, but got {got!r}, and {got_after_kill!r} after the kill")
    return {
        "members": members,
        "put_replica": first.index,
        "get_replica": second.index,
        "value": got,
        "value_after_kill": got_after_kill,
    }


async def _members_seen_by(replica: Replica, size: int) -> int:
    """Return how many members a replica's client knows; it hears of a new one after the members do."""
    seen = len(json.loads(await replica.get("/members"))["members"])
    if seen != size:
        raise DemoError(f"the application of replica {replica.index} sees {seen} members instead of {size}")
    return seen


async def _eventually(ask: Callable[[], Awaitable[T]]) -> T:
    """Return the first answer without an error: after a change of members it may take a moment."""
    deadline = monotonic() + _FAIL_OVER_SECONDS
    while True:
        try:
            return await ask()
        except (DemoError, aiohttp.ClientError, TimeoutError):
            if monotonic() > deadline:
                raise
        await asyncio.sleep(_POLL_SECONDS)


async def _stay(screen: Screen, replicas: list[Replica], resources: Beside) -> None:
    """Bring the lost replica back, as its ReplicaSet would, and wait for the user."""
    with screen.step(f"replica {replicas[0].index} is back"):
        await replicas[0].start(resources, list(ADDRESSES))
        await _eventually(lambda: _members_seen_by(replicas[1], len(replicas)))
    screen.say("Try it yourself:", "bold")
    screen.say(f"    curl '{replicas[0].url}/put?key=k&value=v'")
    screen.say(f"    curl '{replicas[1].url}/get?key=k'")
    screen.say(f"    curl '{replicas[1].url}/members'")
    screen.say(f"Logs are in {replicas[0].machine.folder}. Ctrl-C stops everything, and removes them.")
    await asyncio.Event().wait()

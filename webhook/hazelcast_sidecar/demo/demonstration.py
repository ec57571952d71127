"""The demonstration: two replicas of the demo's Deployment, injected by the real webhook, one cluster."""

import asyncio
import json
import os
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import aiohttp

from hazelcast_sidecar.demo import APPLICATION, CHECKOUT, DEPLOYMENT
from hazelcast_sidecar.demo.admission import running_webhook
from hazelcast_sidecar.demo.deployment import on_ports, read_deployment, replica_pod
from hazelcast_sidecar.demo.failure import DemoError
from hazelcast_sidecar.demo.java import find_java, member_jars
from hazelcast_sidecar.demo.keys import single_keys
from hazelcast_sidecar.demo.outline import outline
from hazelcast_sidecar.demo.ports import USUAL, free_ports_of
from hazelcast_sidecar.demo.programs import Programs
from hazelcast_sidecar.demo.replica import Machine, Replica
from hazelcast_sidecar.demo.running_replicas import ADDRESSES, RunningReplicas
from hazelcast_sidecar.demo.screen import Screen
from hazelcast_sidecar.kube.objects import JsonObject

T = TypeVar("T")

REPLICAS = 2

_KEY = "greeting"
_MEMBERS_SECONDS = 60
_FAIL_OVER_SECONDS = 30
_SAFE_SECONDS = 60
_REQUEST_SECONDS = 10
_POLL_SECONDS = 0.25


async def run(screen: Screen, *, stay: bool, whole_difference: bool = False) -> dict[str, Any]:
    """Run the whole demonstration, and return the figures for its last line.

    Args:
        screen: the output.
        stay: keep running after the last step until Ctrl-C or `q`, with the lost replica back.
        whole_difference: show all that the webhook changes, and not only what matters most.

    Raises:
        DemoError: something is missing, busy or did not start.
    """
    started = monotonic()
    deployment, namespace = read_deployment(DEPLOYMENT)
    ports = free_ports_of(ADDRESSES[:REPLICAS])
    java = find_java()
    jars = member_jars(screen.download)
    screen.say(f"Members run on {java}.", "dim")
    for what, usual, found in zip(("members", "applications"), USUAL, ports, strict=True):
        if found != usual:
            screen.say(f"Port {usual} is in use here, so the {what} have {found}.", "yellow")
    deployment = on_ports(deployment, ports)
    with tempfile.TemporaryDirectory(prefix="hazelcast-sidecar-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, Programs(folder) as programs:
            machine = Machine(programs, folder, java, jars, APPLICATION, http, dict(os.environ))
            _show_annotations(screen, deployment)
            starting = screen.step("The webhook starts")
            async with running_webhook(machine, CHECKOUT, starting) as webhook:
                bare = replica_pod(deployment, namespace)
                _show_difference(screen, bare, await webhook.inject(bare), whole=whole_difference)
                replicas = RunningReplicas(
                    machine, lambda: webhook.inject(replica_pod(deployment, namespace))
                )
                figures = await _tell(screen, replicas)
                figures["seconds"] = round(monotonic() - started, 1)
                if stay:
                    await _stay(screen, replicas, figures["value"])
    return figures


def _show_annotations(screen: Screen, deployment: JsonObject) -> None:
    screen.heading("Annotate: this is all that the Deployment says")
    for key, value in deployment["spec"]["template"]["metadata"]["annotations"].items():
        screen.say(f'    {key}: "{value}"', "cyan")


def _show_difference(screen: Screen, bare: JsonObject, injected: JsonObject, *, whole: bool) -> None:
    screen.heading("Inject: what the webhook adds to each Pod")
    if whole:
        screen.difference(bare, injected)
    else:
        screen.difference(outline(bare), outline(injected), context=20)
        screen.say("    ... and more: --diff shows all of it", "dim")


async def _tell(screen: Screen, replicas: RunningReplicas) -> dict[str, Any]:
    """Form a cluster, put through one replica, get through another, kill the first, and get again."""
    screen.heading("Cluster: the members find each other")
    first, second = [await replicas.create() for _ in range(REPLICAS)]
    with screen.step(f"{len(replicas)} replicas: a member, then the application"):
        await asyncio.gather(*(replicas.start(replica) for replica in replicas))
    with screen.step(f"Members {{size:{len(replicas)}}} in each member's log"):
        await asyncio.gather(
            *(replica.until_members(len(replicas), _MEMBERS_SECONDS) for replica in replicas)
        )
    members = await _eventually(lambda: _members_seen_by(second, len(replicas)))

    screen.heading("Put, get, kill: the entry is still there")
    value = f"hello-{secrets.token_hex(4)}"
    await first.get("/put", key=_KEY, value=value)
    screen.done(f"put {_KEY}={value} through replica {first.index}")
    got = await second.get("/get", key=_KEY)
    screen.done(f"got {_KEY}={got} through replica {second.index}")
    got_after_kill = await _kill_and_read(screen, replicas, first, second)
    screen.done(f"got {_KEY}={got_after_kill} through replica {second.index}")
    if (got, got_after_kill) != (value, value):
        raise DemoError(f"put {value!r}, but got {got!r}, and {got_after_kill!r} after the kill")
    return {
        "members": members,
        "put_replica": first.index,
        "get_replica": second.index,
        "value": got,
        "value_after_kill": got_after_kill,
    }


async def _kill_and_read(screen: Screen, replicas: RunningReplicas, killed: Replica, other: Replica) -> str:
    """Kill a replica, and return what another one reads once every entry has its backups again."""
    with screen.step(f"replica {killed.index} is killed; {_KEY} is read again"):
        await replicas.kill(killed)
        found = await _eventually(lambda: other.get("/get", key=_KEY))
        # One kill is survived, and so is the next, once there are backups again.
        await _eventually(lambda: _members_seen_by(other, len(replicas)))
        await other.until_safe(_SAFE_SECONDS)
    return found


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


# --- afterwards, with a person -----------------------------------------------------------------------------

_KEYS = "k kills a replica, a adds one, q ends."


async def _stay(screen: Screen, replicas: RunningReplicas, value: str) -> None:
    """Bring the lost replica back, as its ReplicaSet would, and do what the user asks for."""
    await _add(screen, replicas)
    screen.heading("Try it yourself")
    first, *_, last = sorted(replicas, key=lambda replica: replica.index)
    screen.say(f"    curl -w '\\n' '{first.url}/put?key=k&value=v'")
    screen.say(f"    curl -w '\\n' '{last.url}/get?key=k'")
    screen.say(f"    curl -w '\\n' '{last.url}/members'")
    screen.say(f"The cluster, live: {first.url}/ in a browser")
    screen.say("A put answers the value before; the first one, nothing.", "dim")
    screen.say(f"Logs, until the end: {first.machine.folder}", "dim")
    screen.say()
    screen.say(_KEYS, "bold")
    with single_keys() as keys:
        async for key in keys:
            if key == "k":
                await _kill(screen, replicas, value)
            elif key == "a":
                await _add(screen, replicas)
            elif key == "q":
                return
            elif key.isprintable():
                screen.say(_KEYS, "dim")


async def _kill(screen: Screen, replicas: RunningReplicas, value: str) -> None:
    if len(replicas) == 1:
        screen.say("  This is the last replica: press a first.", "yellow")
        return
    replica, other, *_ = replicas
    found = await _kill_and_read(screen, replicas, replica, other)
    kept = "is still there" if found == value else f"IS {found}"
    screen.say(f"    {_KEY} {kept}; {_counted(replicas)}")


async def _add(screen: Screen, replicas: RunningReplicas) -> None:
    if replicas.is_full:
        screen.say(f"  There are {len(replicas)} replicas, as many as there are addresses.", "yellow")
        return
    replica = await replicas.create()
    try:
        with screen.step(f"replica {replica.index} starts on {replica.address}"):
            await replicas.start(replica)
            await _eventually(lambda: _members_seen_by(replica, len(replicas)))
            await replica.until_safe(_SAFE_SECONDS)
    except DemoError as error:
        screen.say(f"  {error}", "red")
        return
    screen.say(f"    {replica.url}; {_counted(replicas)}")


def _counted(replicas: RunningReplicas) -> str:
    return f"{len(replicas)} replica{'s' if len(replicas) > 1 else ''} in one cluster"

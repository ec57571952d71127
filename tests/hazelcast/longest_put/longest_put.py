"""Puts until standard input ends, many at once, and prints how many milliseconds the longest took."""

import asyncio
import contextlib
import os
import sys
import time
from typing import Any

from hazelcast.asyncio import HazelcastClient

AT_ONCE = 60
IN_A_POD: dict[str, Any] = {
    "backup_ack_to_client_enabled": False,
    "redo_operation": True,
    "heartbeat_timeout": 4,
    "invocation_timeout": 4,
}


async def main() -> None:
    """Put until standard input ends."""
    settings = IN_A_POD if len(sys.argv) > 1 else {}
    members = [os.environ["HAZELCAST_ADDRESS"]]
    client = await HazelcastClient.create_and_start(cluster_members=members, **settings)
    entries = await client.get_map("longest-put")
    done, longest = asyncio.Event(), 0.0
    asyncio.get_running_loop().run_in_executor(None, sys.stdin.read).add_done_callback(lambda _: done.set())

    async def put(number: int) -> None:
        nonlocal longest
        while not done.is_set():
            began = time.monotonic()
            with contextlib.suppress(Exception):  # its time counts all the same
                await entries.put(f"{number}", "v")
            longest, number = max(longest, time.monotonic() - began), number + AT_ONCE

    print("putting", flush=True)  # noqa: T201 (what the test reads)
    await asyncio.gather(*map(put, range(AT_ONCE)))
    print(f"longest {longest * 1000:.0f}")  # noqa: T201
    await client.shutdown()


asyncio.run(main())

"""The program of a Pod beside a cluster: puts entries by the gigabyte, and reads every one of them again.

    python -c "$(cat loader.py)" ADDRESS fill|check COUNT BYTES

Each entry's value follows from its number. The last line printed is JSON: how many entries were `done`,
are `missing` and `wrong`, in how many `partitions` they all belong and of how many some are missing
(`torn`), the `seconds` it took, and those of the `longest` single request.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import sys
import time

from hazelcast.asyncio import HazelcastClient

WORKERS = 12
NAME = "gigabytes"


def value(number: int, size: int) -> bytearray:
    """So many bytes, and other ones for each number."""
    digest = hashlib.sha256(str(number).encode()).digest()
    return bytearray((digest * (size // len(digest) + 1))[:size])


async def run(address: str, what: str, count: int, size: int) -> dict[str, object]:
    """Do one of both for all numbers below `count`; a put that fails ends it with the error."""
    client = await HazelcastClient.create_and_start(
        cluster_members=[address], redo_operation=True, backup_ack_to_client_enabled=False
    )
    entries = await client.get_map(NAME)
    numbers = iter(range(count))
    missing, wrong = list[int](), list[int]()
    longest = 0.0
    begun = time.monotonic()

    async def work() -> None:
        nonlocal longest
        for number in numbers:
            asked = time.monotonic()
            if what == "fill":
                await entries.set(number, value(number, size))
            else:
                found = await entries.get(number)
                if found is None:
                    missing.append(number)
                elif found != value(number, size):
                    wrong.append(number)
            longest = max(longest, time.monotonic() - asked)

    async with asyncio.TaskGroup() as workers:
        for _ in itertools.repeat(None, WORKERS):
            workers.create_task(work())
    seconds = time.monotonic() - begun
    partition = client.partition_service.get_partition_id
    partitions = {number: await partition(number) for number in range(count)}
    torn = {partitions[number] for number in missing}
    counts = {"done": count, "missing": len(missing), "wrong": len(wrong)}
    counts |= {"partitions": len({*partitions.values()}), "torn": len(torn)}
    await client.shutdown()
    return {**counts, "seconds": round(seconds, 1), "longest": round(longest, 2)}


if __name__ == "__main__":
    _, address, what, count, size = sys.argv
    print(json.dumps(asyncio.run(run(address, what, int(count), int(size)))))  # noqa: T201 - its answer

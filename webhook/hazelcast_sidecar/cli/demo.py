"""`hazelcast-sidecar demo`: the main job on one machine, without a cluster."""

import argparse
import asyncio
import json
import signal
import sys
from typing import Any

_FAILED = 1
_INTERRUPTED = 130
_EXAMPLES = """examples:
  hazelcast-sidecar demo            stays up on a terminal, until Ctrl-C
  hazelcast-sidecar demo --exit     ends by itself; the last line is JSON
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--exit", action="store_true", help="end after the last step, also on a terminal")


def run(options: argparse.Namespace) -> int:
    """Run the demonstration: 0 when everything was as promised."""
    from hazelcast_sidecar.demo.demonstration import run as run_demo  # noqa: PLC0415
    from hazelcast_sidecar.demo.failure import DemoError  # noqa: PLC0415 - its libraries are an extra
    from hazelcast_sidecar.demo.screen import Screen  # noqa: PLC0415

    screen = Screen()
    stay = screen.is_terminal and sys.stdin.isatty() and not options.exit
    try:
        figures = asyncio.run(_until_told(run_demo(screen, stay=stay)))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201
        return _FAILED
    except (asyncio.CancelledError, KeyboardInterrupt):
        screen.say("Stopped: nothing is left running.")
        return 0 if stay else _INTERRUPTED
    print(json.dumps(figures))  # noqa: T201
    return 0


async def _until_told(demo: Any) -> Any:  # noqa: ANN401 - whatever the coroutine returns
    """Run a coroutine; SIGINT, SIGTERM and SIGHUP cancel it once, so that it stops what it started."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(demo)
    told = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end() -> None:
        # Whoever is impatient now would only keep it from stopping everything.
        for number in told:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in told:
        loop.add_signal_handler(number, end)
    return await task

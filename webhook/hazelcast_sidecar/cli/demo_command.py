"""`hazelcast-sidecar demo`, which shows the main use on one machine, without a cluster."""

import argparse
import asyncio
import json
import signal
import sys
from typing import Any

_FAILED = 1
_INTERRUPTED = 130
_EXAMPLES = """examples:
  hazelcast-sidecar demo            keeps running on a terminal: k kills a replica, a adds one, q ends
  hazelcast-sidecar demo --exit     ends by itself; the last line is JSON
  hazelcast-sidecar demo --diff     shows all that the webhook changes in a Pod
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--exit", action="store_true", help="exit after the last step, also on a terminal")
    parser.add_argument(
        "--diff",
        action="store_true",
        help="show all that the webhook changes, and not only what matters most",
    )


def run(options: argparse.Namespace) -> int:
    """Run the demonstration, and return 0 if every step succeeded."""
    from hazelcast_sidecar.demo.demonstration import run as run_demo  # noqa: PLC0415
    from hazelcast_sidecar.demo.failure import DemoError  # noqa: PLC0415 - its libraries are an extra
    from hazelcast_sidecar.demo.screen import Screen  # noqa: PLC0415

    screen = Screen()
    stay = screen.is_terminal and sys.stdin.isatty() and not options.exit
    try:
        figures = asyncio.run(_until_signal(run_demo(screen, stay=stay, whole_difference=options.diff)))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)  # noqa: T201
        return _FAILED
    except (asyncio.CancelledError, KeyboardInterrupt):
        screen.say("Stopped: all processes have ended.")
        return 0 if stay else _INTERRUPTED
    if stay:
        screen.say("Stopped: all processes have ended.")
    else:
        print(json.dumps(figures))  # noqa: T201
    return 0


async def _until_signal(demo: Any) -> Any:  # noqa: ANN401 - the coroutine's result
    """Run a coroutine, and cancel it once on SIGINT, SIGTERM or SIGHUP, so that it cleans up."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(demo)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end() -> None:
        # A second signal would only keep it from stopping everything.
        for number in signals:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in signals:
        loop.add_signal_handler(number, end)
    return await task

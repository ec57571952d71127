"""The command line in this process: what it prints, without the start of a program, which takes longer."""

import contextlib
import io
from subprocess import CompletedProcess

from hazelcast_sidecar.cli import main


def run_here(*arguments: str) -> CompletedProcess[str]:
    """Return what a command prints, and its exit status.

    What only a program of its own shows, such as signals or a closed pipe, needs one.
    """
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = main(arguments)
        except SystemExit as end:  # as of a wrong option
            status = end.code if isinstance(end.code, int) else 1
    return CompletedProcess(arguments, status, *map(_text, (output, errors)))


def _text(written: io.TextIOWrapper) -> str:
    written.seek(0)
    return written.read()

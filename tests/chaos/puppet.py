"""A Python module as a child process that takes orders on standard input, one a line."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cc_stream.local import tether


def start_puppet(
    module: str, *arguments: object, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start it; it dies with this process, also where it was stopped by SIGSTOP.

    Call it from a thread that lives as long as the child should (see `tether`).
    """
    tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid())]
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*tied, *command],
            env={**os.environ, **(environment or {})},
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def order(process: subprocess.Popen[bytes], line: str) -> None:
    """Give an order; it is carried out within milliseconds."""
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end, and let go of its input; the exit code."""
    code = process.wait()
    assert process.stdin is not None
    process.stdin.close()
    return code

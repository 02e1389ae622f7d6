"""Run a command that dies with its parent: ``python tether.py PARENT_PID COMMAND ...``.

Runs as its own short-lived script, because code between fork and exec is unsafe in a program with
threads. It replaces itself by the command, so the process id stays that of the server.

Linux only: elsewhere the command runs untethered and survives a parent that was killed. The kernel
takes the *thread* that started the child for its parent, so that thread has to stay alive too.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the command.

    Raises:
        OSError: the command does not exist or may not be run.
    """
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the tie was made
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main()

"""A server as a child process on loopback: start, stop, and the faults that chaos tests need."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cc_stream.errors import CcStreamError
from cc_stream.local import tether
from cc_stream.local.ports import free_port, in_use

POLL_SECONDS = 0.05
STOP_SECONDS = 10.0
LOG_LINES_SHOWN = 5


class LocalServerError(CcStreamError):
    """A local server did not start, or is not in the state that the call needs."""


def spawn(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a command that a terminal's Ctrl-C does not reach and that dies with this process.

    Call it from a thread that lives as long as the child should (see `tether`).
    """
    tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command]
    return subprocess.Popen(
        tied, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )


def last_lines(path: Path, count: int = LOG_LINES_SHOWN) -> str:
    """The last lines of a log, indented, for an error message."""
    lines = path.read_text(errors="replace").splitlines()[-count:]
    return "\n".join(f"  {line}" for line in lines)


class Server(ABC):
    """A server process with its own data folder and a port that stays the same over restarts.

    As a context manager it is started on entry and stopped on exit. Its output is appended to
    ``<folder>/<name>.log``.
    """

    name: str
    start_seconds: float
    """How long a start may take before it counts as failed."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Describe the server; nothing is started and no file is written.

        ``folder`` holds its data and log. ``port`` is chosen freely when it is not given.
        """
        self.folder = folder.resolve()
        self.port = free_port() if port is None else port
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> Sequence[str]:
        """Do what a start needs first and return the command line of the server.

        Raises:
            MissingToolError: a program that is needed is not on this machine.
        """

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server answers a request of its protocol usefully now.

        May raise OSError where it cannot be reached.
        """

    @property
    def log_path(self) -> Path:
        """The file with everything that the server printed."""
        return self.folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the server itself.

        Raises:
            LocalServerError: it does not run.
        """
        if self._process is None or not self.running:
            raise LocalServerError(f"{self.name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Start on the data and the port of the last time and return when it answers.

        Raises:
            LocalServerError: it runs already, its port is taken, it ended early, or it did not
                answer in time; then it is not left running.
            MissingToolError: a program that is needed is not on this machine.
        """
        if self.running:
            raise LocalServerError(f"{self.name} runs already")
        if in_use(self.port):  # else the answer of a stranger would be taken for its own
            raise LocalServerError(f"{self.name} cannot start: port {self.port} is in use")
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.prepare()
        with self.log_path.open("ab") as log:
            self._process = spawn(command, log)
        try:
            self._await_answer()
        except BaseException:  # a Ctrl-C while it starts must not leave it behind either
            self.kill()
            raise

    def stop(self) -> None:
        """End the server in order, and after 10 s by force. Does nothing when it does not run."""
        process = self._process
        if process is None or not self.running:
            return
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a paused process sees no SIGTERM
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server at once with SIGKILL; what it had only in memory is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop the process where it stands (SIGSTOP): connections stay open, nothing answers.

        Raises:
            LocalServerError: it does not run.
        """
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT).

        Raises:
            LocalServerError: it does not run.
        """
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop it if it runs, and start it again on the same port and data. Raises as `start`."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if not self.running:
                message = f"{self.name} ended while it started; its last lines were:\n"
                raise LocalServerError(message + last_lines(self.log_path))
            with contextlib.suppress(OSError):
                if self.answers():
                    return
            time.sleep(POLL_SECONDS)
        message = f"{self.name} did not answer within {self.start_seconds:.0f} s"
        raise LocalServerError(f"{message}; see {self.log_path}")

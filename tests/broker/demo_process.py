"""`cc-stream demo` as a process of its own, on the tests' servers."""

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import wait_for

START_SECONDS = 90.0
END_SECONDS = 120.0


class DemoProcess:
    """A demo without a screen; as a context manager it is ended by Ctrl-C."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.log = folder / "demo.log"
        command = [sys.executable, "-m", "cc_stream.cli", "demo", "--no-screen"]
        with self.log.open("wb") as log:
            # A group of its own: Ctrl-C is meant for it alone.
            self.process = subprocess.Popen(
                [*command, "--data", str(folder), *options],
                stdout=log, stderr=log, cwd=folder, start_new_session=True,
            )  # fmt: skip

    def said(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed something, and return that.

        Raises:
            AssertionError: it ended before, or did not say it in time.
        """

        def found() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            text = self.log.read_text()
            match = re.search(pattern, text)
            assert match or not ended, f"the demo ended and said:\n{text}"
            return match

        match = wait_for(found, START_SECONDS)
        assert match is not None
        return match

    def wait(self, seconds: float = END_SECONDS) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(seconds)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.interrupt()
            try:
                self.wait(20)
            finally:
                self.process.kill()

"""A worker as a child process: started, harmed, ended, and started again when it has ended."""

import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cc_stream.cli.scrape import Scrape, scrape
from cc_stream.local.ports import LOOPBACK, free_port
from tests.chaos.puppet import ended, order, start_puppet

if TYPE_CHECKING:
    import subprocess

FULL_DISK: Final = Path("/dev/full")
STOP_SECONDS: Final = 10.0
"""So soon after a SIGTERM a worker has flushed, committed and left the group."""
HUNG_SECONDS: Final = 30.0
MODULE: Final = "tests.chaos.worker"


class Worker:
    """One worker of an installation; `environment` holds its settings."""

    def __init__(self, number: int, environment: dict[str, str], folder: Path) -> None:
        self.number = number
        self.environment, self.folder = environment, folder
        self.wanted = False
        self.starts = 0
        self.ends: Counter[str] = Counter()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def log(self) -> Path:
        """What its last start printed."""
        return self.folder / f"worker-{self.number}-{self.starts}.log"

    def start(self, *, disk_full: bool = False) -> None:
        """Start it, with a log of its own; with a full disk it has none."""
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}/metrics"
        self.starts += 1
        self.wanted = True
        self._process = start_puppet(
            MODULE,
            *(["disk-full"] if disk_full else []),
            log=FULL_DISK if disk_full else self.log,
            environment={**self.environment, "CC_METRICS_PORT": str(port)},
        )

    def start_if_ended(self) -> None:
        """What a supervisor does."""
        if self.wanted and not self.is_alive():
            self.note_end()
            self.start()

    def note_end(self) -> str:
        """Count how it ended: the name of a signal, or its exit code."""
        assert self._process is not None
        code = ended(self._process)
        end = signal.Signals(-code).name if code < 0 else f"code {code}"
        self.ends[end] += 1
        return end

    def order(self, line: str) -> None:
        """Give an order of `tests.chaos.worker`."""
        assert self._process is not None
        order(self._process, line)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; whether it is started again is for the supervisor."""
        self.send(signal.SIGKILL)
        assert self._process is not None
        ended(self._process)

    def stop(self) -> None:
        """SIGTERM, and wait for its end; blocks.

        Raises:
            AssertionError: it did not end with code 0, or not in time.
        """
        assert self._process is not None
        self.wanted = False
        # Until its modules are loaded Python itself ends it: it has nothing to hand over yet.
        clean = {"code 0"} if self.scrape().samples else {"code 0", signal.SIGTERM.name}
        started = time.monotonic()
        self.send(signal.SIGTERM)
        self._process.wait(HUNG_SECONDS)
        spent, end = time.monotonic() - started, self.note_end()
        assert end in clean, f"{self.log.name}: {end} after SIGTERM"
        assert spent <= STOP_SECONDS, f"{self.log.name}: SIGTERM took {spent:.1f} s"

    def is_alive(self) -> bool:
        """Whether the process exists; one that sleeps does."""
        return self._process is not None and self._process.poll() is None

    def scrape(self) -> Scrape:
        """Its metrics; none while it does not answer."""
        return scrape([self.url])

    def shards(self) -> int:
        """How many shards count on it."""
        return round(self.scrape().total("cc_shards_owned") or 0)

"""The one folder of a local run: ``downloads`` is kept, ``run`` starts empty every time."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cc_stream.errors import CcStreamError

DEFAULT_ROOT = Path(".data")


def downloads_folder(root: Path = DEFAULT_ROOT) -> Path:
    """Where fetched programs are kept between runs."""
    return root.resolve() / "downloads"


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold an exclusive lock on ``path``, which the kernel frees when this process dies.

    Raises:
        BlockingIOError: another process holds it and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


@contextmanager
def run_folder(root: Path = DEFAULT_ROOT) -> Iterator[Path]:
    """Give an empty ``root/run`` to one local run at a time; nothing else in ``root`` is touched.

    The data stay there afterwards, to be looked at, until the next run empties the folder.

    Raises:
        CcStreamError: another local run uses this root now.
    """
    root = root.resolve()
    with ExitStack() as held:
        try:
            held.enter_context(locked(root / "run.lock", wait=False))
        except BlockingIOError as error:
            raise CcStreamError(
                f"another local run uses {root}: stop it first, or choose another folder"
            ) from error
        run = root / "run"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        yield run

"""Progress bars on standard error, so that standard output can be piped on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

Update = Callable[[float, float, str], None]
"""`update(done, total, text)`: the text is what stands behind the bar."""

_LEAST_STEP = 1e-9


@contextmanager
def bar(title: str, *, in_bytes: bool = False, console: Console | None = None) -> Iterator[Update]:
    """A bar that appears with its first update. Shows nothing where there is no terminal."""
    console = console or Console(stderr=True)
    size: list[ProgressColumn] = [DownloadColumn()] if in_bytes else []
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *size,
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(compact=True),
    ]
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(title, total=None, visible=False, text="")

        def update(done: float, total: float, text: str) -> None:
            whole = max(total, done, _LEAST_STEP)
            shown.update(task, completed=done, total=whole, text=text, visible=True)

        yield update

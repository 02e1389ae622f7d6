"""`cc-stream board`: the live screen of a running system."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cc_stream.cli import options
from cc_stream.errors import CcStreamError

if TYPE_CHECKING:
    from cc_stream.cli.live import Live
    from cc_stream.config import Settings

NAME: Final = "board"
EXAMPLES: Final = options.examples(
    ("cc-stream board", "the floor on the Redis of the settings"),
    ("cc-stream board --redis redis://redis/0 --metrics http://host:9464/metrics", "of another"),
    ("cc-stream board --once", "print it once, for a script"),
)
READ_SECONDS: Final = 0.5
DRAW_SECONDS: Final = 0.25


def command(
    once: Annotated[
        bool, typer.Option("--once", help="Measure for 5 s, print one screen and end.")
    ] = False,
    metrics: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A worker's /metrics; may be given several times."),
    ] = None,
    broker: options.Broker = None,
    redis: options.Redis = None,
    topic_prefix: options.TopicPrefix = None,
    timezone: options.Timezone = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Show queues, teams, top agents and alerts of a running floor, live in the terminal.

    Reads Redis alone; the speed of the line comes from /metrics where that can be reached.
    """
    overrides = options.given(
        set_, broker=broker, redis=redis, topic_prefix=topic_prefix, timezone=timezone
    )
    loaded = options.load(settings, overrides)
    urls = metrics or [f"http://{loaded.metrics_host}:{loaded.metrics_port}/metrics"]
    asyncio.run(_run(loaded, urls, once=once))


async def _run(settings: "Settings", urls: list[str], *, once: bool) -> None:
    from rich.console import Console

    from cc_stream.cli.live import LEAST_FLOW_MS, Live
    from cc_stream.cli.screen import draw

    async with Live(settings, urls, "floor") as live:
        if not once:
            await show(live, lambda: False)
            return
        data = await live.read(_now_ms())
        if data.as_of_ms is None:
            raise CcStreamError(data.note or "no worker has written a board to this Redis yet")
        await asyncio.sleep(LEAST_FLOW_MS / 1000)  # events a second are a difference
        now_ms = _now_ms()
        Console().print(draw(await live.read(now_ms), now_ms))


async def show(live: "Live", is_over: Callable[[], bool]) -> None:
    """Keep the screen on the terminal until it is over; what it raises ends it, too."""
    from rich.console import Console
    from rich.live import Live as Screen

    from cc_stream.cli.screen import draw

    data, read_at = await live.read(_now_ms()), time.monotonic()
    with Screen(console=Console(), screen=True, auto_refresh=False) as screen:
        while not is_over():
            if time.monotonic() - read_at >= READ_SECONDS:
                data, read_at = await live.read(_now_ms()), time.monotonic()
            screen.update(draw(data, _now_ms()), refresh=True)
            await asyncio.sleep(DRAW_SECONDS)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""History of 10,000 seats, replayed by one worker: the first million events, or a whole day.

The million is what fits into the bench; `make bench ONLY=backfill_day` replays all eight.
"""

from functools import partial
from typing import Final

from bench.both_stages import Replay, replayed
from bench.inputs import Input, copied_reference, history, write
from bench.place import Place, own_topics, worker
from cc_stream.installation import topics_of

SEATS: Final = 10_000
OPENED_DAYS_AGO: Final = 2
DAY: Final = 8_000_000
PART: Final = 1_000_000


async def run(count: int, place: Place, _given: Input, name: str) -> dict[str, float]:
    """Start a worker, and let it replay so many events.

    Raises:
        BenchError: it did not count everything in time.
    """
    settings = place.settings(name)
    topic = topics_of(settings).calls.name
    reference = copied_reference(SEATS, days_ago=OPENED_DAYS_AGO)
    async with own_topics(place, settings):
        await write(place.broker, topic, reference)
        with worker(place, settings) as process:
            replay = Replay(history(count, SEATS, OPENED_DAYS_AGO), count, len(reference))
            figures = await replayed(place, settings, [process], replay)
    seconds = figures["seconds"]
    found = {"events": float(count), "seconds": seconds, "events_per_second": count / seconds}
    return found if count == DAY else found | {"day_seconds_reckoned": seconds * DAY / count}


part_of_a_day = partial(run, PART)
whole_day = partial(run, DAY)

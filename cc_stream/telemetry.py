"""The worker's own health for Prometheus: what is measured, in one list, and the page for it.

Nothing is made at import: each `Telemetry` has a registry of its own. Ages are told as timestamps
(seconds since 1970), so that they grow also while the worker hangs: `time() - x`.
"""

import logging
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

from cc_stream.errors import CcStreamError

log: Final = logging.getLogger(__name__)

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DELAYS: Final = (0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 15, 60)
_LOADS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_ALIVE: Final = 10.0
"""An event loop that has not turned for so many seconds hangs."""
_RECORDS: Final = (1, 4, 16, 64, 256, 1024, 4096)


class Measure(Struct, frozen=True):
    """One metric: its name with its unit, what it means, its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


MEASURES: Final[tuple[Measure, ...]] = (
    # What comes in.
    Measure("cc_records_total", "counter", "Records that were read", ("stage",)),
    Measure("cc_events_total", "counter", "Records by what became of them", ("stage", "verdict")),
    Measure("cc_repeated_total", "counter", "Events that were known before", ("stage",)),
    Measure("cc_dead_letters_total", "counter", "Records refused, by rule", ("stage", "rule")),
    Measure("cc_unknown_fields_total", "counter", "Fields ignored: a newer producer", ("stage",)),
    Measure("cc_chunk_records", "histogram", "Records a chunk", ("stage",), _RECORDS),
    Measure(
        "cc_shard_lag_records",
        "gauge",
        "Records of a partition that its shard has not applied",
        ("topic", "partition"),
    ),
    Measure(
        "cc_shard_delay_seconds",
        "gauge",
        "Since the broker had the record that a shard applied last; 0 when none is waiting",
        ("topic", "partition"),
    ),
    Measure(
        "cc_shard_last_event_timestamp_seconds",
        "gauge",
        "Latest event time of a partition",
        ("topic", "partition"),
    ),
    # What a shard does.
    Measure("cc_shards_owned", "gauge", "Shards that count on this worker", ("stage",)),
    Measure("cc_shard_drops_total", "counter", "Shards dropped after a failure", ("stage",)),
    Measure(
        "cc_shards_stopped",
        "gauge",
        "1 for a shard that stopped because its numbers would be wrong",
        ("shard",),
    ),
    Measure("cc_flush_seconds", "histogram", "A flush from cut to commit", ("stage",), _SECONDS),
    Measure("cc_flushed_records_total", "counter", "Records written by flushes", ("stage",)),
    Measure(
        "cc_transaction_seconds",
        "histogram",
        "A Kafka transaction of a flush",
        ("stage",),
        _SECONDS,
    ),
    Measure(
        "cc_load_remaining_records",
        "gauge",
        "Changelog records that a shard has to read before it counts",
        ("shard",),
    ),
    Measure("cc_load_seconds", "histogram", "Taking a shard over", ("stage",), _LOADS),
    Measure(
        "cc_takeover_seconds",
        "histogram",
        "Steps from a rebalance to a shard's first output: join, fence, load, replay",
        ("stage", "step"),
        _LOADS,
    ),
    Measure("cc_loaded_records_total", "counter", "Changelog records loaded", ("stage",)),
    Measure("cc_broker_up", "gauge", "1 if the broker answered when it was last asked", ()),
    Measure("cc_topics_missing", "gauge", "1 for a topic that is not there any more", ("topic",)),
    Measure("cc_stalls_total", "counter", "Ends of this worker by its watchdog", ()),
    # What goes out.
    Measure(
        "cc_event_to_board_seconds",
        "histogram",
        "From an event's arrival at the broker until its numbers were given to the sinks",
        (),
        _DELAYS,
    ),
    Measure("cc_sink_up", "gauge", "1 if the last write to a sink worked", ("sink",)),
    Measure("cc_sink_publish_seconds", "histogram", "Writing an update", ("sink",), _SECONDS),
    Measure("cc_sink_failures_total", "counter", "Updates that could not be written", ("sink",)),
    Measure(
        "cc_sink_late_writes_total",
        "counter",
        "Writes that a higher order kept out: of a former owner of a shard",
        ("sink",),
    ),
)
"""All of them. A counter's name ends in `_total`, base units are suffixes."""


_OF_PARTITIONS: Final = tuple(m.name for m in MEASURES if m.labels == ("topic", "partition"))
USUAL_TURN_SECONDS: Final = 0.005
"""How long a thread of Python may go on while another one waits, by default."""
SCRAPE_TURN_SECONDS: Final = 0.0005
"""The same while `/metrics` is rendered."""


class ServeError(CcStreamError):
    """The address for `/metrics` cannot be listened on."""


class Health:
    """Whether the worker is alive and ready. Its event loop tells it; any thread may ask."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()
        self._unready: Sequence[str] = ("the worker is starting",)
        self._cluster: Sequence[str] = ()

    def tell(self, unready: Sequence[str]) -> None:
        """The loop turns; why the worker is not ready, empty if it is. Call it every second."""
        self._unready = unready
        self._told_at = time.monotonic()

    def tell_cluster(self, faults: Sequence[str]) -> None:
        """What is wrong with the broker."""
        self._cluster = faults

    def faults(self) -> Sequence[str]:
        """Why the worker is not alive."""
        silent = time.monotonic() - self._told_at
        return [f"the event loop has not turned for {silent:.0f} s"] if silent > _ALIVE else []

    def reasons(self) -> Sequence[str]:
        """Why it is not ready: a line each."""
        return [*self.faults(), *self._cluster, *self._unready]


class Telemetry:
    """Where the parts of a worker report what they measured.

    `shard` is a shard's name, `calls-0`: its stage is the label. Safe to call from any thread.
    """

    def __init__(self) -> None:
        self.health = Health()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._metrics: Mapping[str, Any] = {m.name: _made(m, self.registry) for m in MEASURES}
        self._children: dict[tuple[str, ...], Any] = {}

    def chunk(self, shard: str, records: int) -> None:
        """A chunk was given to a shard."""
        self._of("cc_chunk_records", _stage(shard)).observe(records)

    def flushed(self, shard: str, seconds: float, records: int) -> None:
        """A shard has committed."""
        self._of("cc_flush_seconds", _stage(shard)).observe(seconds)
        self._of("cc_flushed_records_total", _stage(shard)).inc(records)

    def transaction(self, shard: str, seconds: float) -> None:
        """The transaction in a flush has ended."""
        self._of("cc_transaction_seconds", _stage(shard)).observe(seconds)

    def loading(self, shard: str, remaining: int) -> None:
        """A shard that is taken over has so many records left to read."""
        self._of("cc_load_remaining_records", shard).set(remaining)

    def loaded(self, shard: str, seconds: float, records: int) -> None:
        """A shard was taken over."""
        self._of("cc_load_seconds", _stage(shard)).observe(seconds)
        self._of("cc_loaded_records_total", _stage(shard)).inc(records)

    def taken_over(self, shard: str, steps: Mapping[str, float]) -> None:
        """A shard's first output is out; seconds by step."""
        for step, seconds in steps.items():
            self._of("cc_takeover_seconds", _stage(shard), step).observe(seconds)
        told = ", ".join(f"{step} {seconds:.3f} s" for step, seconds in steps.items())
        log.info("shard %s was taken over: %s", shard, told)

    def dropped(self, shard: str) -> None:
        """A shard was dropped after a failure."""
        self._of("cc_shard_drops_total", _stage(shard)).inc()

    def owned(self, by_stage: Mapping[str, int]) -> None:
        """How many shards count on this worker; give 0 for a stage without any."""
        for stage, count in by_stage.items():
            self._of("cc_shards_owned", stage).set(count)

    def stopped(self, shards: Collection[str]) -> None:
        """Which shards have stopped for good."""
        self._only("cc_shards_stopped", shards)

    def cluster(self, silent_seconds: float, missing: Collection[str]) -> None:
        """For how long the broker has not answered (0: it does), and which topics are gone."""
        self._of("cc_broker_up").set(int(silent_seconds == 0))
        self._only("cc_topics_missing", missing)
        away = [f"the broker has not answered for {silent_seconds:.0f} s"] if silent_seconds else []
        gone = [f"topic {name} is not there: was it deleted?" for name in missing]
        self.health.tell_cluster(away + gone)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """How far a shard is behind the end of its partition."""
        self._of("cc_shard_lag_records", topic, str(partition)).set(records)

    def delay(self, topic: str, partition: int, seconds: float) -> None:
        """How long records wait for their shard."""
        self._of("cc_shard_delay_seconds", topic, str(partition)).set(seconds)

    def stalled(self) -> None:
        """The watchdog is about to end the worker."""
        self._of("cc_stalls_total").inc()

    def last_event(self, topic: str, partition: int, event_ms: int) -> None:
        """The latest event time of a partition, milliseconds UTC."""
        place = topic, str(partition)
        self._of("cc_shard_last_event_timestamp_seconds", *place).set(event_ms / 1000)

    def forget(self, topic: str, partition: int) -> None:
        """Another worker tells of this partition now."""
        for name in _OF_PARTITIONS:
            if self._children.pop((name, topic, str(partition)), None) is not None:
                self._metrics[name].remove(topic, str(partition))

    def decoded(self, stage: str, records: int, unknown_fields: int) -> None:
        """Records were read, and so many fields in them were ignored."""
        self._of("cc_records_total", stage).inc(records)
        self._of("cc_unknown_fields_total", stage).inc(unknown_fields)

    def verdicts(self, stage: str, by_kind: Mapping[str, int], refused: Mapping[str, int]) -> None:
        """How many of each verdict (by the name of its type), and dead letters by rule."""
        for kind, count in by_kind.items():
            self._of("cc_events_total", stage, kind.lower()).inc(count)
        self._of("cc_repeated_total", stage).inc(by_kind.get("Repeated", 0))
        for rule, count in refused.items():
            self._of("cc_dead_letters_total", stage, rule).inc(count)

    def event_to_board(self, seconds: float) -> None:
        """An event is on the boards."""
        self._of("cc_event_to_board_seconds").observe(seconds)

    def published(self, sink: str, seconds: float, late: int = 0) -> None:
        """A sink took an update; a higher order kept `late` of its writes out."""
        self._of("cc_sink_up", sink).set(1)
        self._of("cc_sink_publish_seconds", sink).observe(seconds)
        self._of("cc_sink_late_writes_total", sink).inc(late)

    def sink_failed(self, sink: str) -> None:
        """A sink could not be reached."""
        self._of("cc_sink_up", sink).set(0)
        self._of("cc_sink_failures_total", sink).inc()

    def serve(self, host: str, port: int) -> "Exposition":
        """Serve `/metrics`, `/healthz` and `/readyz` from a thread of its own; port 0: a free one.

        Raises:
            ServeError: the address is taken, or not of this machine.
        """
        return Exposition(self.registry, self.health, host, port)

    def _only(self, name: str, labels: Collection[str]) -> None:
        """1 for each of these, and nothing for any other."""
        metric = self._metrics[name]
        metric.clear()
        for label in labels:
            metric.labels(label).set(1)

    def _of(self, name: str, *labels: str) -> Any:
        """The child with these labels; looked up once, for the library's own lookup is slow."""
        child = self._children.get((name, *labels))
        if child is None:
            metric = self._metrics[name]
            child = self._children[name, *labels] = metric.labels(*labels) if labels else metric
        return child


def _made(measure: Measure, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    args = (measure.name, measure.help, measure.labels)
    if measure.kind == "counter":
        return Counter(*args, registry=registry)
    if measure.kind == "gauge":
        return Gauge(*args, registry=registry)
    return Histogram(*args, buckets=measure.buckets, registry=registry)


def _stage(shard: str) -> str:
    return shard.rpartition("-")[0]


class Exposition:
    """`GET /metrics`, `/healthz`, `/readyz` over HTTP, in a daemon thread; all else is 404."""

    def __init__(self, registry: CollectorRegistry, health: Health, host: str, port: int) -> None:
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(registry, health))
        except OSError as error:
            raise ServeError(f"cannot serve /metrics on {host}:{port}: {error.strerror}") from error
        self._server.daemon_threads = True
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where Prometheus finds it."""
        return f"http://{self.host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop serving; the port is free afterwards."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def _giving_way() -> Iterator[None]:
    """While this thread renders, the stream's thread has the interpreter as soon as it asks.

    By default it would wait for 5 ms after every call that lets go of the interpreter: each socket.
    """
    sys.setswitchinterval(SCRAPE_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(USUAL_TURN_SECONDS)


def _handler(registry: CollectorRegistry, health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one scrape."""

        timeout = 10  # a peer that says nothing does not keep a thread

        def do_GET(self) -> None:
            """Give all metrics in the format that was asked for, or say how the worker is."""
            path = urlsplit(self.path).path
            if path == "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                with _giving_way():
                    body = encode(registry)
                self._answer(HTTPStatus.OK, content_type, body)
            elif path in {"/healthz", "/readyz"}:
                reasons = health.reasons() if path == "/readyz" else health.faults()
                status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
                text = "".join(f"{line}\n" for line in reasons or ["ok"])
                self._answer(status, "text/plain; charset=utf-8", text.encode())
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
            """Scrapes are not logged."""

    return Handler

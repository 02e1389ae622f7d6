"""`cc-stream dead-letters` on the real broker: what was mended counts once, the rest stays open.

One worker refuses records of every kind; then the commands of an operator, in order; then live is
held against the report.
"""

import asyncio
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from msgspec import Struct

from cc_stream.cli import FAILED, WRONG_USE, run
from cc_stream.dead_letters import MAX_VALUE_BYTES, dead_letter
from cc_stream.events import Refused
from cc_stream.installation import limits_of
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.replay import open_letters, replay
from cc_stream.report.compare import Comparison
from cc_stream.report.topic import collect_topics
from cc_stream.simulate.kafka import wall_clock_ms
from tests.broker.floor import Floor, Sent, configured, open_floor, queued
from tests.broker.test_bad_input import in_partition
from tests.streams.kafka import Kept
from tests.waiting import wait_for

AHEAD_MS = 9_000
HOUR_MS = 3_600_000
SETTINGS = {"future_seconds": 5, "calls_partitions": 2, "agents_partitions": 1}
PARTITION = 0


class Step(Struct, frozen=True):
    """One command: its exit code and what it printed."""

    code: int
    out: str
    err: str


class Told(Struct, frozen=True):
    """What came of it."""

    keys: Mapping[str, str]
    """The letter's key of each bad record."""
    before: Any
    """What `list --format json` shows, first and last."""
    after: Any
    steps: Mapping[str, Step]
    written_by_dry_run: Mapping[str, int]
    letters_written: Counter[str]
    """How many records of each key there are on the topic of the letters."""
    reported: Counter[str]
    offered: Mapping[str, int]
    service_level_seconds: int
    compared: Comparison


def bad_records(floor: Floor, now_ms: int) -> dict[str, Sent]:
    """One of each kind; all contacts belong into the partition but one."""
    topic = floor.topics.calls.name

    def contact(name: str, at_ms: int, of: int = PARTITION) -> Sent:
        sent = queued(floor, in_partition(name, of), name, at_ms, source="/one")
        return Sent(sent.topic, sent.key, sent.value, PARTITION)

    binary = (("ce_type", b"cc.call.queued.v9"), ("ce_id", b"1"), ("traceparent", b"7"))
    return {
        "future": contact("future", now_ms + AHEAD_MS),
        "wrong_partition": contact("elsewhere", now_ms, 1),
        "late": contact("late", now_ms - 3 * HOUR_MS),
        "too_large": Sent(topic, b"large", b"x" * (MAX_VALUE_BYTES + 1), PARTITION),
        "tombstone": Sent(topic, b"none", None, PARTITION),
        "unknown_version": Sent(topic, b"binary", b"{}", PARTITION, binary),
        "poison": Sent(topic, b"bad", b"{", PARTITION),
        "reference": Sent(floor.topics.reference.name, b"mended", b"{", PARTITION),
    }


def mended(floor: Floor, places: Mapping[str, tuple[int, int]], now_ms: int) -> list[Sent]:
    """Letters of good records in place of two bad ones: as if the program had been at fault."""
    good = queued(floor, in_partition("poison"), "poison", now_ms, source="/one")
    document = json.loads(good.value or b"")
    data = json.dumps(document.pop("data")).encode()
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in document.items())
    terms = configured(floor, "poison", {"service_level_seconds": 33}, now_ms)
    sent = []
    for name, topic, key, value, kept in (
        ("poison", floor.topics.calls, good.key, data, headers),
        ("reference", floor.topics.reference, terms.key, terms.value, ()),
    ):
        record = Kept(topic.name, *places[name], now_ms, key, value, kept)
        letter = dead_letter(Refused("poison", "", "ValueError"), record)
        own = tuple((name, content or b"") for name, content in letter.headers)
        sent.append(Sent(floor.topics.dead_letters.name, letter.key, letter.value, headers=own))
    return sent


def no_letters(floor: Floor) -> list[Sent]:
    """What anyone might write to the topic of the letters."""
    topic = floor.topics.dead_letters.name
    no_number = (("cc_rule", b"late"), ("cc_topic", b"t"), ("cc_partition", b"x"))
    return [
        Sent(topic, None, b"{}"),
        Sent(topic, b"cc.calls.v1/0/1", b"{}"),
        Sent(topic, b"\xff", b"{}", headers=(("cc_rule", b"late"),)),
        Sent(topic, b"t/0/1", b"{}", headers=(*no_number, ("cc_offset", b"1"))),
    ]


class Operator:
    """Runs commands against a floor."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.keys: dict[str, str] = {}
        self.steps: dict[str, Step] = {}

    def run(self, *arguments: str) -> Step:
        settings = self.floor.settings
        where = ["--broker", settings.broker, "--topic-prefix", settings.topic_prefix]
        sets = [text for name, value in SETTINGS.items() for text in ("--set", f"{name}={value}")]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(["dead-letters", *arguments, *where, *sets])
        return Step(code, out.getvalue(), err.getvalue())

    def list(self) -> Any:
        return json.loads(self.run("list", "--format", "json").out)

    def ends(self) -> dict[str, int]:
        names = self.floor.topics
        topics = (names.calls, names.agents, names.reference, names.dead_letters)
        return {topic.name: sum(self.floor.ends(topic).values()) for topic in topics}

    def refuse_and_replay(self) -> tuple[Any, Any, dict[str, int]]:
        """The list before, the list after, and what a dry run has written."""
        floor, now_ms = self.floor, wall_clock_ms()
        bad = bad_records(floor, now_ms)
        start = queued(floor, in_partition("good"), "good", now_ms, source="/one")
        _, *placed = floor.write([start, *bad.values()])
        places = dict(zip(bad, placed, strict=True))
        self.keys |= {n: f"{bad[n].topic}/{place[0]}/{place[1]}" for n, place in places.items()}
        floor.wait_drained()
        floor.write([*mended(floor, places, now_ms), *no_letters(floor)])
        before = self.list()
        for name in ("list", "list --reason late", "list --since now"):
            self.steps[name] = self.run(*name.split())
        for name in ("poison", "unknown_version"):
            self.steps[f"show {name}"] = self.run("show", self.keys[name])
        ends = self.ends()
        self.steps["dry run"] = self.run("replay", "--since", "-1d", "--dry-run")
        written = {topic: end - ends[topic] for topic, end in self.ends().items()}
        wait_for(lambda: wall_clock_ms() > now_ms + AHEAD_MS, 20)
        letters = self.open()
        self.steps["replay"] = self.run("replay", "--since", "-1d")
        floor.wait_drained()
        # Again what was open before: of what counts now, this is a second replay.
        once_more = [one for one in letters if one.rule in {"future", "poison"}]
        sent = asyncio.run(replay(floor.settings.broker, floor.topics, once_more))
        assert sent == len(once_more) == 3
        self.steps["by key"] = self.run("replay", self.keys["unknown_version"])
        floor.wait_drained()
        self.steps["closed"] = self.run("replay", self.keys["future"])
        return before, self.list(), written

    def open(self) -> Any:
        return asyncio.run(open_letters(self.floor.settings.broker, self.floor.topics)).letters


@pytest.fixture(scope="module")
def told(
    kafka: KafkaServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("dead-letters")
    with (
        open_floor("letters", folder, kafka.bootstrap, redis_server.url, **SETTINGS) as floor,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("CC_SETTINGS", "")
        patched.chdir(folder)
        floor.worker()
        floor.wait_owned()
        operator = Operator(floor)
        before, after, written = operator.refuse_and_replay()
        collected = asyncio.run(
            collect_topics(floor.settings.broker, floor.topics, limits_of(floor.settings))
        )
        compared = floor.compared()
        yield Told(
            operator.keys,
            before,
            after,
            operator.steps,
            written,
            Counter(
                letter.key.decode()
                for letter in floor.read(floor.topics.dead_letters)
                if (letter.key or b"").startswith(floor.settings.topic_prefix.encode())
            ),
            collected.refused,
            {
                name: floor.metrics("queue", name).get("offered", 0)
                for name in ("good", "future", "poison", "late", "elsewhere")
            },
            floor.metrics("queue", "poison")["service_level_seconds"],
            compared,
        )


def by_rule(letters: Any) -> dict[str, int]:
    return dict(Counter(letter["rule"] for letter in letters))


def test_the_list_has_each_letter_with_its_reason(told: Told) -> None:
    assert {letter["key"]: letter["rule"] for letter in told.before} == {
        told.keys[name]: "poison" if name == "reference" else name for name in told.keys
    }
    assert {letter["replays"] for letter in told.before} == {0}
    assert {letter["key"]: letter["cut"] for letter in told.before if letter["cut"]} == {
        told.keys["too_large"]: "value"
    }


def test_the_table_counts_by_reason_and_can_be_narrowed(told: Told) -> None:
    shown = told.steps["list"].out
    assert "2  poison" in shown
    assert "8 open" in shown
    assert all(key in shown for key in told.keys.values())
    late = told.steps["list --reason late"].out
    assert "1 open" in late
    assert told.keys["late"] in late
    assert told.keys["future"] not in late
    assert "0 open" in told.steps["list --since now"].out


def test_a_letter_is_shown_whole(told: Told) -> None:
    shown = told.steps["show poison"].out
    assert "reason: poison\n" in shown
    assert '\n  "queue": "poison"' in shown
    assert "header ce_type: cc.call.queued.v1\n" in shown
    binary = told.steps["show unknown_version"].out
    assert "path: $.type\n" in binary
    assert "header traceparent: 7\n" in binary
    assert "its key: binary\n" in binary


def test_a_dry_run_says_what_it_would_send_and_sends_nothing(told: Told) -> None:
    step = told.steps["dry run"]
    assert set(told.written_by_dry_run.values()) == {0}
    assert step.code == FAILED
    for name in ("future", "wrong_partition", "unknown_version", "poison", "reference"):
        assert f"would send {told.keys[name]} (" in step.out
    assert step.out.endswith("would send 5 of 8, 3 left out\n")


def test_what_would_be_in_vain_is_left_out_with_the_reason(told: Told) -> None:
    step = told.steps["replay"]
    assert step.code == FAILED
    assert f"left out {told.keys['late']} (late): it would be late again" in step.out
    assert f"left out {told.keys['too_large']} (too_large): not all of it was kept" in step.out
    assert f"left out {told.keys['tombstone']} (tombstone): it has no value" in step.out
    assert step.out.endswith("sent 5 of 8, 3 left out\n")


def test_what_was_mended_counts_once_though_it_was_sent_twice(told: Told) -> None:
    assert told.offered == {"good": 1, "future": 1, "poison": 1, "late": 0, "elsewhere": 0}
    assert told.service_level_seconds == 33


def test_what_counts_now_is_closed_and_the_rest_is_the_same_letter(told: Told) -> None:
    left = {letter["key"]: (letter["rule"], letter["replays"]) for letter in told.after}
    assert left == {
        told.keys["wrong_partition"]: ("wrong_partition", 1),
        told.keys["unknown_version"]: ("unknown_version", 2),
        told.keys["late"]: ("late", 0),
        told.keys["too_large"]: ("too_large", 0),
        told.keys["tombstone"]: ("tombstone", 0),
    }
    assert set(told.letters_written) == set(told.keys.values())
    assert told.letters_written[told.keys["unknown_version"]] == 3
    assert told.letters_written[told.keys["future"]] == 3
    closed = told.steps["closed"]
    assert closed.code == WRONG_USE
    assert "no open letter has this key" in closed.err


def test_the_report_has_the_same_letters_and_live_equals_it(told: Told) -> None:
    assert dict(told.reported) == by_rule(told.after)
    assert told.compared.compared["windows"]
    assert not told.compared.differ, told.compared.text()

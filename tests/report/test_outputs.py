"""Files in, JSON, CSV and tables out; and what is said about a wrong option."""

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from cc_stream.contracts import encode
from cc_stream.errors import ConfigError
from cc_stream.report.collect import collect_events
from cc_stream.report.command import ask_of, report_files
from cc_stream.report.lines import report
from cc_stream.report.write import write_table
from cc_stream.view import KINDS
from tests.report.feed import Feed
from tests.report.test_contacts import transferred

QUEUE_LOG = b"""\xef\xbb\xbf1795334400|NONE|NONE|NONE|QUEUESTART|
1795334400|c1|sales|NONE|ENTERQUEUE||4912345|1
1795334410|c1|sales|SIP/ann|CONNECT|10|b1|3
1795334470|c1|sales|SIP/ann|COMPLETECALLER|10|60|1
1795334480|c2|sales|NONE|ENTERQUEUE||4912346|1
1795334520|c2|sales|NONE|ABANDON|1|1|40
not a line
"""


def written(
    paths: list[Path],
    output: str = "json",
    source: str = "events",
    **ask: Any,
) -> tuple[str, str]:
    out, errors = io.StringIO(), io.StringIO()
    report_files(source, paths, ask_of(**ask), output, out, errors)
    return out.getvalue(), errors.getvalue()


def ndjson(path: Path, feed: Feed, *more: bytes) -> Path:
    path.write_bytes(b"\n".join([*map(encode, feed.events), *more]) + b"\n")
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return ndjson(tmp_path / "day.ndjson", transferred(), b"", b"{broken")


def test_json_is_one_array_of_lines(events: Path) -> None:
    text, errors = written([events], by="agent", timezone="Europe/Berlin")
    lines = json.loads(text)
    assert [line["id"] for line in lines] == ["ann", "bob"]
    metrics = lines[0].pop("metrics")
    assert lines[0] == {
        "kind": "agent",
        "id": "ann",
        "team": "north",
        "tenant": "default",
        "window": {"start": "2026-11-22T08:00:00.000Z", "end": "2026-11-22T08:06:00.000Z"},
        "as_of": "2026-11-22T08:06:00.000Z",
        "attribution": "event",
        "lateness": "none",
    }
    assert metrics["talk_total_seconds"] == 90.0
    assert metrics["conversion"] is None
    assert errors == "not counted: not_json 1\n"


def test_lines_without_an_event_give_an_empty_array(tmp_path: Path) -> None:
    assert written([ndjson(tmp_path / "none", Feed())])[0] == "[]\n"
    for output in ("csv", "table"):
        assert written([ndjson(tmp_path / "none", Feed())], output)[0]


@pytest.mark.parametrize("by", KINDS)
def test_the_order_of_lines_and_repeats_change_nothing(tmp_path: Path, by: str) -> None:
    feed = transferred().state(0, "available").state(20, "on_contact").state(90, "break")
    first = written([ndjson(tmp_path / "a", feed)], by=by, window="15m")[0]
    for seed in range(5):
        feed.events += feed.events[:3]
        random.Random(seed).shuffle(feed.events)
        halves = [Feed(), Feed()]
        halves[0].events, halves[1].events = feed.events[:9], feed.events[9:]
        paths = [ndjson(tmp_path / f"{seed}-{n}", half) for n, half in enumerate(halves)]
        assert written(paths, by=by, window="15m")[0] == first


def test_csv_has_one_column_a_number(events: Path) -> None:
    text, _ = written([events], "csv", by="queue")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == ["sales", "tech"]
    assert rows[0]["window_start"] == "2026-11-22T08:00:00.000Z"
    assert (rows[0]["service_levels.ignore_abandons"], rows[0]["conversion"]) == ("1.0", "")
    assert (rows[1]["conversion"], rows[1]["hold_known"]) == ("1.0", "false")
    assert not any(name == "service_levels" for name in rows[0])


def test_csv_names_inside_a_metric_are_zero_where_they_did_not_occur(tmp_path: Path) -> None:
    feed = Feed().queued(0, "a").left(5, "a", reason="timeout").queued(0, "b", queue="tech")
    text, _ = written([ndjson(tmp_path / "x", feed)], "csv")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows["sales"]["other_exits.timeout"] == "1"
    assert rows["tech"]["other_exits.timeout"] == "0"


def test_the_table_names_how_its_figures_were_made(events: Path) -> None:
    text, errors = written(
        [events], "table", timezone="Europe/Berlin", attribution="start", service_level_seconds=30
    )
    assert "2026-11-22 09:00" in text
    assert "attribution start, lateness none" in text
    assert "service level abandons_negative, T 30 s, S 5 s: sales, tech" in text
    assert "not counted: not_json 1" in text
    assert errors == ""


@pytest.mark.parametrize("by", KINDS)
@pytest.mark.parametrize("window", ["all", "15m"])
@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_table_fits_its_terminal(by: str, window: str, width: int) -> None:
    """Nothing is cut: what has no room is left out whole, and named below."""
    out = io.StringIO()
    feed = transferred().queued(500, "d", campaign="spring").state(0, "available")
    write_table(report(collect_events(feed.events), ask_of(by=by, window=window)), out, width)
    text = out.getvalue()
    table, _, notes = text.partition("attribution event, lateness none")
    assert "…" not in text
    assert all(len(line) <= width for line in table.splitlines() if "no room for" not in line)
    assert "answered" in table
    assert ("T 20 s, S 5 s" in notes) is (by in {"queue", "campaign", "floor"})
    if width == 140:
        assert "no room for" not in table


def test_a_queue_log_needs_no_broker(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    path.write_bytes(QUEUE_LOG)
    text, errors = written([path], source="asterisk-queue-log")
    (line,) = json.loads(text)
    metrics = line["metrics"]
    names = ("offered", "answered", "abandoned", "queue_wait_mean_seconds", "talk_mean_seconds")
    assert [metrics[name] for name in names] == [2, 1, 1, 10.0, 60.0]
    assert metrics["service_level"] == 0.5
    assert metrics["unreconciled"] == metrics["waiting_now"] == 0
    assert errors.startswith("not counted: ")


def test_the_second_leg_of_an_attended_transfer_is_no_contact(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    path.write_bytes(
        b"1795334400|c1|sales|NONE|ENTERQUEUE||1|1\n"
        b"1795334405|c1|sales|SIP/ann|CONNECT|5|b1|1\n"
        b"1795334420|c2|tech|NONE|ENTERQUEUE||2|1\n"
        b"1795334430|c2|sales|SIP/ann|ATTENDEDTRANSFER|BRIDGE|b2|5|25|1\n"
        b"1795334440|c1|tech|SIP/bob|CONNECT|20|b3|1\n"
        b"1795334500|c1|tech|SIP/bob|COMPLETECALLER|20|60|1\n"
    )
    text, errors = written([path], source="asterisk-queue-log")
    queues = {line["id"]: line["metrics"] for line in json.loads(text)}
    assert [queues["tech"][n] for n in ("offered", "contacts", "answered")] == [1, 0, 1]
    assert queues["tech"]["queue_wait_mean_seconds"] == 20.0
    assert queues["tech"]["waiting_now"] == queues["tech"]["unreconciled"] == 0
    assert errors == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "desk"}, "--by desk: expected one of agent, team, queue, campaign, floor"),
        ({"window": "2h"}, "--window 2h: expected one of all, 15m, 1h, 1d"),
        ({"attribution": "end"}, "--attribution end: expected one of event, start"),
        ({"timezone": "Mars"}, "--tz Mars: is no IANA time zone"),
        ({"as_of": "noon"}, "--as-of noon: expected a time like 2026-11-22T12:00:00Z"),
        ({"as_of": "2026-11-22T12:00:00"}, "says no offset from UTC"),
        ({"service_level_seconds": -1}, "--service-level-seconds -1: expected 0 to 86400"),
        ({"output": "xml"}, "--format xml: expected one of table, json, csv"),
        ({"source": "siemens"}, "SOURCE siemens: expected one of events, asterisk-queue-log"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    events: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        written([events], **options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_time_that_does_not_fit_is_not_counted(tmp_path: Path) -> None:
    feed = Feed().queued(0).state(50 * 365 * 86_400, "available", queues=("sales",))
    text, errors = written([ndjson(tmp_path / "x", feed)], by="floor")
    assert json.loads(text)[0]["metrics"]["waiting_now"] == 1
    assert errors == "not counted: bad_value 1\n"


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        written([tmp_path / "gone"])
    with pytest.raises(ConfigError, match="Is a directory"):
        written([tmp_path])
    with pytest.raises(ConfigError, match="no file is named"):
        written([])

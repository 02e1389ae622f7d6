"""Output records: keys, inverses, and that they are what their schemas say; examples as files."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from msgspec.structs import replace

from cc_stream.admit import Ledger, Limits, admit_call
from cc_stream.contact_record import contact_record, encode
from cc_stream.contracts import decode_one
from cc_stream.events import Refused, key_of
from cc_stream.metrics.conversion import CONVERTED, ELIGIBLE
from cc_stream.metrics.metric import OF_ALL
from cc_stream.metrics.waiting import WAITING
from cc_stream.outputs import (
    alert_of,
    alert_record,
    board_of,
    board_record,
    view_of,
    view_record,
)
from cc_stream.panes import Window
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.plan import Faults, SimulationSettings
from cc_stream.topics import topics
from cc_stream.view import Entity, View, figures, live_metrics, named, window_metrics
from tests.contracts.test_view_store import NOW, alert, board, standing, view

OUTPUTS = Path(__file__).parents[2] / "schemas" / "outputs"
EXAMPLES = sorted(OUTPUTS.glob("examples/*/*.json"))
TOPICS = [path.stem for path in sorted(OUTPUTS.glob("*.json"))]


def validator(topic: str) -> Draft202012Validator:
    schema = json.loads((OUTPUTS / f"{topic}.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_examples_are_what_their_name_says(path: Path) -> None:
    example = json.loads(path.read_bytes())
    assert validator(path.parent.name).is_valid(example) is path.stem.startswith("good-")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_schema_has_examples_and_is_open_for_additions(topic: str) -> None:
    of_topic = [path for path in EXAMPLES if path.parent.name == topic]
    good = [json.loads(p.read_bytes()) for p in of_topic if p.stem.startswith("good-")]
    assert len(of_topic) - len(good) >= 2
    assert good
    validator(topic).validate(good[0] | {"unknown_to_this_version": 1})
    assert topic in {one.name for one in topics()}


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_good_examples_are_written_as_they_are_read(path: Path) -> None:
    if not path.stem.startswith("good-"):
        return
    content = path.read_bytes()
    example = json.loads(content)
    if path.parent.name == "cc.metrics.v1":
        written = view_record(view_of(content))[1]
    elif path.parent.name == "cc.leaderboards.v1":
        written = board_record(board_of(example, example["standings"]))[1]
    elif path.parent.name == "cc.alerts.v1":
        written = alert_record(alert_of(content))[1]
    else:
        return
    assert json.loads(written) == example


def every_figure(kind: str, *, full: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    vector = {ELIGIBLE.key: 4, CONVERTED.key: 1} if full else {}
    live = {WAITING.key | NOW - 90_000: 1} if full else {}
    of = figures(kind, Window(NOW - 900_000, NOW), NOW, vector, live)
    return window_metrics(of), live_metrics(of)


@pytest.mark.parametrize("kind", sorted(OF_ALL))
@pytest.mark.parametrize("full", [False, True])
def test_views_of_every_kind_obey_the_schema(kind: str, *, full: bool) -> None:
    check = validator("cc.metrics.v1")
    team = "north" if kind == "agent" else None
    entity = Entity("acme", kind, "x", team)
    in_window, now = every_figure(kind, full=full)
    for one in (
        view(entity=entity, metrics=in_window),
        view(entity=entity, metrics=now, window="live", start_ms=None, end_ms=None),
    ):
        key, value = view_record(one)
        check.validate(json.loads(value))
        assert view_of(value) == one
        assert key.decode().startswith(f"acme/{kind}/")


def test_a_part_with_its_vectors_comes_back() -> None:
    live = {WAITING.key | NOW: 2}
    one = view(part=3, vector=named({ELIGIBLE.key: 4}), live_vector=named(live))
    value = view_record(one)[1]
    validator("cc.metrics.v1").validate(json.loads(value))
    assert view_of(value) == one


@pytest.mark.parametrize(
    ("one", "key"),
    [
        (view(), "acme%3A%20north%2F1%25/queue/sales%3A%20A%2FB/5m"),
        (
            view(entity=Entity("t", "agent", "a/1", "n s"), window="live"),
            "t/agent/n%20s/a%2F1/live",
        ),
        (view(entity=Entity("t", "floor", "floor"), part=2), "t/floor/2/5m"),
    ],
)
def test_keys_of_views(one: View, key: str) -> None:
    assert view_record(one)[0].decode() == key


def test_leaderboards_obey_the_schema_and_come_back() -> None:
    rows = (
        replace(standing("a", 0.5), rank=1, tie_group=1),
        replace(standing("b", 0.0, ranked=False), value=None, sample=0),
    )
    for one in (board(*rows), board(*rows, part=3), board()):
        key, value = board_record(one)
        read = json.loads(value)
        validator("cc.leaderboards.v1").validate(read)
        assert board_of(read, read["standings"]) == one
        name = "acme%3A%20north%2F1%25/{}/t/handled/60m{}"
        expected = name.format("team", "") if one.part is None else name.format("floor", "/3")
        assert key.decode() == expected


def test_alerts_obey_the_schema_and_come_back() -> None:
    one = replace(alert(), id="0123456789abcdef")
    cleared = replace(one, change="cleared", cleared_at_ms=NOW + 5, value=None)
    for each in (one, replace(one, change="updated", severity="critical"), cleared):
        key, value = alert_record(each)
        validator("cc.alerts.v1").validate(json.loads(value))
        assert alert_of(value) == each
        assert key == b"0123456789abcdef"


def test_records_of_simulated_contacts_obey_the_schema() -> None:
    """As they are after each event, so also those of contacts that are not finished."""
    check = validator("cc.contacts.v1")
    settings = SimulationSettings(
        seats=40, faults=Faults(disorder=0.1, missing_ends=0.1, restated=0.5)
    )
    ledger = Ledger(Limits())
    seen = set()
    for arrival in arrivals(settings, NOW, NOW + 1_800_000):
        event, _ = decode_one(arrival.value)
        if arrival.topic != "calls" or isinstance(event, Refused):
            continue
        admit_call(ledger, event)
        log = (event.tenant, key_of(event) or "")
        contact = ledger.opened(log)
        if contact is None or not contact.has_closed:
            continue
        record = json.loads(encode(contact_record(*log, contact)))
        check.validate(record)
        handled = any(segment["handled_at"] for segment in record["segments"])
        seen.add((record["finished"], handled, bool(record["outcomes"])))
    assert {(True, False, False), (True, True, False), (True, True, True)} <= seen
    assert any(not finished for finished, _, _ in seen)

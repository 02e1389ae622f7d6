"""Every example file under `schemas/examples` is a test; every type has good and bad ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from cc_stream.contracts import decode_one, encode
from cc_stream.dead_letters import RULE_IDS
from cc_stream.events import ALL_EVENTS, Event, Refused, type_of
from cc_stream.schema_files import main, render

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = SCHEMAS / "examples"
GOOD = sorted(EXAMPLES.glob("*/good-*.json"))
BAD = sorted(EXAMPLES.glob("*/bad-*.json"))
BEYOND_SCHEMA = {"subject_mismatch", "time_missing", "bad_value"}
"""Rules that compare fields or read a calendar: a schema need not see them."""


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def schema_of(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"events/{path.parent.name}.json").read_bytes())
    return schema


def test_schema_files_are_the_generated_ones(tmp_path: Path) -> None:
    main(tmp_path)
    on_disk = {f"events/{p.name}": p.read_bytes() for p in (SCHEMAS / "events").iterdir()}
    assert on_disk == render()
    assert {f"events/{p.name}": p.read_bytes() for p in (tmp_path / "events").iterdir()} == on_disk


@pytest.mark.parametrize("path", sorted(render()))
def test_schema_is_valid_and_open_for_additions(path: str) -> None:
    content = render()[path]
    Draft202012Validator.check_schema(json.loads(content))
    assert b'additionalProperties": false' not in content


@pytest.mark.parametrize("event", ALL_EVENTS, ids=type_of)
def test_every_type_has_good_and_bad_examples(event: type[Event]) -> None:
    assert sum(path.parent.name == type_of(event) for path in GOOD) >= 1
    assert sum(path.parent.name == type_of(event) for path in BAD) >= 2


def test_no_example_is_of_an_unknown_type_or_name() -> None:
    types = {type_of(event) for event in ALL_EVENTS}
    assert {path.parent.name for path in EXAMPLES.rglob("*.json")} == types
    assert sorted(EXAMPLES.rglob("*.json")) == sorted(GOOD + BAD)


@pytest.mark.parametrize("path", GOOD, ids=name_of)
def test_good_example(path: Path) -> None:
    content = path.read_bytes()
    event, unknown = decode_one(content)
    assert isinstance(event, Event)
    assert (type_of(type(event)), unknown) == (path.parent.name, 0)
    validator = Draft202012Validator(schema_of(path))
    validator.validate(json.loads(content))
    validator.validate(json.loads(encode(event)))
    validator.validate(json.loads(content) | {"unknown_to_this_version": 1})


@pytest.mark.parametrize("path", BAD, ids=name_of)
def test_bad_example(path: Path) -> None:
    content = path.read_bytes()
    rule = path.stem.split("-")[1]
    refused, _ = decode_one(content)
    assert isinstance(refused, Refused)
    assert refused.rule == rule
    assert rule in RULE_IDS
    if rule not in BEYOND_SCHEMA | {"not_json"}:
        assert not Draft202012Validator(schema_of(path)).is_valid(json.loads(content))

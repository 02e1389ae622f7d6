"""The JSON Schemas of the events as files, made from the types: `python -m cc_stream.schema_files`.

A schema describes the structured form. It is open for additions, as the decoder is: unknown fields
are ignored and counted, so a producer may be newer than a consumer.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from cc_stream.events import ALL_EVENTS, Event, type_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
OFFSET: Final = r"([zZ]|[+-][0-9]{2}:[0-9]{2})$"
"""A time without its offset from UTC is refused; `format` alone is only a remark in JSON Schema."""


def render() -> dict[str, bytes]:
    """Every schema file: its path below `schemas/`, and its content (UTF-8, ends in a newline)."""
    return {
        f"events/{type_of(event)}.json": _text(event_schema(event)).encode() for event in ALL_EVENTS
    }


def event_schema(event: type[Event]) -> dict[str, Any]:
    """The schema of one event type, with its data inside: no references to follow."""
    definitions = msgspec.json.schema(event, schema_hook=_anything)["$defs"]
    envelope = definitions[event.__name__]
    data = definitions[envelope["properties"]["data"]["$ref"].rpartition("/")[2]]
    name = type_of(event)
    properties = {**envelope["properties"], "type": {"const": name}, "data": data}
    schema = {
        "$schema": DIALECT,
        "$id": f"urn:cc-stream:event:{name}",
        "title": name,
        "description": " ".join(data.pop("description").split()),
        "type": "object",
        "properties": properties,
        "required": envelope["required"],
    }
    del data["title"]
    opened: dict[str, Any] = _open(schema)
    return opened


def _anything(_: type) -> dict[str, Any]:
    """For the fields of reference data; msgspec takes an empty schema for none."""
    return {"description": "any JSON value"}


def _open(node: Any) -> Any:
    """The same schema without `additionalProperties: false`, and with offsets asked for."""
    if isinstance(node, list):
        return [_open(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _open(value) for key, value in node.items()}
    if changed.get("additionalProperties") is False:
        del changed["additionalProperties"]
    if changed.get("format") == "date-time":
        changed["pattern"] = OFFSET
    return changed


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Write every file below `folder` (the repository's `schemas`)."""
    for path, content in render().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"))

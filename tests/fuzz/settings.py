"""Settings as a fuzz target: environment and TOML file."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import ClassVar, NamedTuple
from unittest.mock import patch

import orjson

from cc_stream.config import FILE_VARIABLE, PREFIX, Settings, load_settings
from cc_stream.errors import ConfigError
from cc_stream.installation import limits_of, terms_of_settings, topics_of
from tests.fuzz.mutate import Documents
from tests.fuzz.wire import spoiled

LONG_VALUE = 4_096
"""A setting is at most so long."""


class Written(NamedTuple):
    """What settings are read from."""

    environment: Mapping[str, str]
    file: bytes


class SettingsOf:
    """Settings from the environment, a TOML file and arguments: `load_settings`."""

    share: ClassVar[int] = 3
    errors: ClassVar[tuple[type[Exception], ...]] = (ConfigError,)

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "cc-stream.toml"
        self.names = tuple(Settings.model_fields)
        self.good = {
            name: orjson.dumps(
                field.default.get_secret_value()
                if hasattr(field.default, "get_secret_value")
                else field.default
            )
            for name, field in Settings.model_fields.items()
            if field.default is not None
        }

    def draw(self, rng: Random) -> Written:
        """An environment, and a file that is written already."""
        rows = []
        for _ in range(rng.randrange(4)):
            name = rng.choice(self.names)
            value = self._value(rng, name)
            rows.append(name.encode() + b" = " + value)
        text = b"\n".join(rows)
        if text and rng.random() < 0.3:
            text = spoiled(rng, text, list(self.good.values()))
        if rng.random() < 0.02:
            text = b"broker = " + b"[" * rng.choice((20, 2_000, 50_000))
        self.file.write_bytes(text)
        environment = {}
        for _ in range(rng.randrange(4)):
            name = rng.choice(self.names)
            value = self._value(rng, name).strip(b'"').replace(b"\x00", b"")
            environment[PREFIX + name.upper()] = os.fsdecode(value)
        return Written(environment, text)

    def _value(self, rng: Random, name: str) -> bytes:
        if rng.random() < 0.6 and name in self.good:
            return self.good[name]
        text = Documents([b'{"a": 1}']).draw(rng)
        found = text.partition(b":")[2].strip().removesuffix(b"}")
        return found[:LONG_VALUE]

    def parse(self, given: Written) -> Settings:
        with patch.dict(os.environ, {**given.environment, FILE_VARIABLE: str(self.file)}):
            return load_settings()

    def hold(self, _given: Written, found: Settings) -> None:
        topics_of(found)
        limits_of(found)
        terms_of_settings(found)
        assert found.redis_shown

    def close(self) -> None:
        self.folder.cleanup()

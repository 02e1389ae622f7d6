"""Settings: from arguments, the environment, and one file, in this order; the only reader of them.

The environment variable of a setting is `CC_` and its name in capitals. The file is
`cc-stream.toml` in the working directory, or the one that `CC_SETTINGS` names.
"""

import os
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, cast
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, to_json
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from cc_stream.errors import ConfigError

PREFIX: Final = "CC_"
FILE: Final = "cc-stream.toml"
FILE_VARIABLE: Final = "CC_SETTINGS"
CALLER_HASH_KEY_LENGTH: Final = 16
"""A shorter key is soon found by trying, and with it every number."""
MAX_AGE_HOURS: Final = {"voice": 4.0, "chat": 12.0, "email": 72.0}
_PORT: Final = re.compile(r"[0-9]{1,5}")


def _wrong(text: str) -> PydanticCustomError:
    """What a validator raises; of a ValueError, pydantic would keep every one."""
    return PydanticCustomError("wrong", text)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise _wrong("is no IANA time zone") from error
    return name


def _redis_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
    except ValueError as error:
        raise _wrong("is no address") from error
    if parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.path):
        raise _wrong("is no redis://, rediss:// or unix:// address")
    return url


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key) < CALLER_HASH_KEY_LENGTH:
        raise _wrong(f"is shorter than {CALLER_HASH_KEY_LENGTH} characters")
    return key


def _addresses(text: str) -> str:
    for address in text.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 1 << 16:
            raise _wrong("is not host:port, several apart by commas")
    return text


def _ordered_band(band: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= band[0] < band[1]:
        raise _wrong("is not two ascending numbers of seconds")
    return band


def _with_usual_channels(hours: object) -> object:
    return {**MAX_AGE_HOURS, **hours} if isinstance(hours, dict) else hours


TopicPart = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$", max_length=120)]
Partitions = Annotated[int, Field(ge=1, le=1024)]
Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]  # fits into whole ms
Ratio = Annotated[float, Field(ge=0, le=1)]
MaxAges = Annotated[dict[str, Positive], BeforeValidator(_with_usual_channels)]
Port = Annotated[int, Field(ge=0, lt=1 << 16)]


class Settings(BaseSettings):
    """Every setting with its default. Immutable; passwords are never in its text.

    Make one with `load_settings`, which turns every mistake into a `ConfigError`.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    broker: Annotated[str, AfterValidator(_addresses)] = Field(
        "127.0.0.1:9092", description="Kafka, `host:port`, several apart by commas"
    )
    redis: Annotated[SecretStr, AfterValidator(_redis_url)] = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis; may hold a password, which is never shown",
    )
    app_id: TopicPart = Field(
        "cc-stream", description="consumer group, and first part of the transactional ids"
    )
    topic_prefix: TopicPart = Field("cc", description="first part of every topic's name")
    calls_partitions: Partitions = Field(4, description="partitions of the calls topic")
    agents_partitions: Partitions = Field(2, description="partitions of the agents topic")
    board_partitions: Partitions = Field(4, description="partitions of the deltas: board shards")
    replication: Annotated[int, Field(ge=-1, le=32)] = Field(
        -1, description="copies of each partition; -1 is the broker's default"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how the broker is spoken to"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="only with a SASL protocol"
    )
    kafka_username: str | None = Field(None, description="only with a SASL protocol")
    kafka_password: SecretStr | None = Field(None, description="only with a SASL protocol")
    kafka_ssl_cafile: Path | None = Field(
        None, description="certificates that are trusted, PEM; without it the system's"
    )
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC", description="the floor's IANA time zone: its day, and totals over zones"
    )
    grace_seconds: Positive = Field(
        7200, description="how far an event may lie behind its source before it is late"
    )
    future_seconds: Positive = Field(
        60, description="how far an event may lie ahead of the broker's clock"
    )
    max_age_hours: MaxAges = Field(
        MAX_AGE_HOURS,
        description="by channel: a contact's log is kept for so long after its last event, "
        "and `grace_seconds` more",
    )
    max_age_default_hours: Positive = Field(
        4,
        description="the same for any other channel; a talk or hold of any channel that lasts for "
        "longer is not shown as current",
    )
    agent_max_age_hours: Positive = Field(
        16, description="an agent's state is stale after so long: a lost logoff"
    )
    flush_seconds: Positive = Field(
        0.05,
        description="a dirty floor shard commits so often; one of agents twice in "
        "`agent_tick_seconds`, if that is longer",
    )
    board_commit_seconds: Positive = Field(1.0, description="a dirty board shard commits so often")
    tick_seconds: Positive = Field(0.05, description="views of queues and teams")
    agent_tick_seconds: Positive = Field(0.5, description="views of agents and the floor")
    session_seconds: Annotated[float, Field(ge=1, le=300)] = Field(
        6, description="a worker that is silent for so long loses its partitions"
    )
    stall_seconds: Annotated[float, Field(ge=5)] = Field(
        60,
        description="a worker ends when its loop, its broker or a shard with records to read "
        "stands so long",
    )
    instance_id: TopicPart | None = Field(
        None,
        description="a name of its own for each worker: it keeps its partitions over a restart "
        "within `session_seconds`",
    )
    service_level_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        20, description="T of the service level, for queues without their own"
    )
    short_abandon_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        5, description="S of the service level, for queues without their own"
    )
    service_level_formula: Literal[
        "abandons_in_threshold_positive",
        "ignore_abandons",
        "abandons_negative",
        "abandons_in_threshold_ignored",
        "short_abandons_positive",
        "short_abandons_excluded",
    ] = Field("abandons_negative", description="the formula of `service_level`")
    max_wait_seconds: Positive = Field(
        14_400, description="a longer wait is not shown as current, but as stale"
    )
    agent_window: Literal["5m", "15m", "30m", "60m"] = Field(
        "60m", description="the rolling window of agents, beside today"
    )
    leaderboard_minimum_sample: Annotated[int, Field(ge=1)] = Field(
        10, description="fewer contacts are not ranked yet"
    )
    leaderboard_size: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="rows a board")
    handle_time_band_seconds: Annotated[tuple[float, float], AfterValidator(_ordered_band)] = Field(
        (60, 600), description="handle times inside of this band are ranked, in seconds"
    )
    alert_waiting_now: Annotated[int, Field(ge=1)] = Field(
        10, description="raise at so many waiting contacts in a queue"
    )
    alert_longest_wait_seconds: Positive = Field(120, description="raise at so long a wait")
    alert_service_level_live: Ratio = Field(0.6, description="raise below this live service level")
    alert_minimum_sample: Annotated[int, Field(ge=1)] = Field(
        20, description="contacts needed before a service level raises an alert"
    )
    caller_hash_key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = Field(
        None,
        description="at least 16 characters, never shown: callers are told apart by a hash with "
        "this key; without it they are left out",
    )
    metrics_host: str = Field("127.0.0.1", min_length=1, description="where `/metrics` listens")
    metrics_port: Port = Field(9464, description="its port; 0 takes a free one")
    agent_labels: bool = Field(
        default=False, description="agents as a Prometheus label: many series"
    )

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> "Settings":
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_username and self.kafka_password
        ):
            raise _wrong(
                f"kafka_security_protocol {self.kafka_security_protocol} needs kafka_username "
                "and kafka_password"
            )
        return self

    @property
    def redis_shown(self) -> str:
        """The address of Redis for people: with `***` in the place of a password."""
        parts = urlsplit(self.redis.get_secret_value())
        if parts.password is None:
            return urlunsplit(parts._replace(query=""))
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}", query=""))

    def kafka_security(self) -> dict[str, Any]:
        """Options for every aiokafka client beside its address. Holds the password: do not log.

        Raises:
            ConfigError: the file of certificates cannot be read.
        """
        protocol = self.kafka_security_protocol
        options: dict[str, Any] = {"security_protocol": protocol}
        if protocol.startswith("SASL") and self.kafka_password is not None:
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_username
            options["sasl_plain_password"] = self.kafka_password.get_secret_value()
        if protocol.endswith("SSL"):
            try:
                options["ssl_context"] = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
            except OSError as error:
                raise ConfigError(
                    f"setting kafka_ssl_cafile = {self.kafka_ssl_cafile}: {error}"
                ) from error
        return options

    @classmethod
    def settings_customise_sources(  # the signature is pydantic's
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        file = TomlConfigSettingsSource(settings_cls, toml_file=_file())
        return init_settings, env_settings, file


def _file() -> Path:
    named = os.environ.get(FILE_VARIABLE)
    if named and not Path(named).is_file():
        raise ConfigError(f"{FILE_VARIABLE} = {named!r}: no such file")
    return Path(named or FILE)


def load_settings(**overrides: object) -> Settings:
    """The settings; `overrides` (by name) win over the environment, which wins over the file.

    Raises:
        ConfigError: an unknown name or a wrong value; one line that names it.
    """
    try:
        return Settings(**cast("dict[str, Any]", overrides))
    except ValidationError as error:
        raise ConfigError(_line(error)) from None  # its own text would repeat secrets
    except SettingsError as error:
        name = str(error).split('"')[1] if '"' in str(error) else "?"
        raise ConfigError(
            f"setting {name} is not JSON (environment {PREFIX}{name.upper()})"
        ) from None
    except ValueError as error:  # tomllib has more of them than its own
        raise ConfigError(f"{_file()} is not TOML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"a setting is nested too deeply (environment, or {_file()})") from None


def _line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        text = f"unknown setting {name}"
    elif not name:
        text = message
    elif _is_secret(name):
        text = f"setting {name}: {message}"
    else:
        text = f"setting {name} = {first['input']!r}: {message}"
    more = error.error_count() - 1
    return " ".join(text.split()) + (f" (and {more} more)" if more else "")


def _is_secret(name: str) -> bool:
    field = Settings.model_fields.get(name.partition(".")[0])
    return field is not None and "SecretStr" in str(field.annotation)


def settings_table() -> str:
    """All settings as one Markdown table: name, default, allowed, meaning (`docs/settings.md`)."""
    rows = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    schema = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        shown = "" if default is None else f"`{to_json(default).decode().strip(chr(34))}`"
        allowed = _allowed(schema[name])
        rows.append(f"| `{name}` | {shown} | {allowed} | {field.description} |")
    return "\n".join(rows) + "\n"


def _allowed(schema: dict[str, Any]) -> str:
    """In words what a field's JSON Schema allows."""
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    parts = [f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema]
    kinds = {"string": "text", "array": "two numbers", "object": "numbers by name"}
    return ", ".join([kinds.get(schema["type"], schema["type"]), *parts])

"""Settings: where they come from, what is refused in one line, and that no password is shown."""

from pathlib import Path

import pytest

from cc_stream.config import Settings, load_settings, settings_table
from cc_stream.errors import ConfigError

SECRET = "tops3cret"  # noqa: S105 - a made-up one
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a settings file, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CC_{name.upper()}", raising=False)
    monkeypatch.delenv("CC_SETTINGS", raising=False)
    return tmp_path


def test_defaults() -> None:
    settings = load_settings()
    assert settings.broker == "127.0.0.1:9092"
    assert settings.redis.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert settings.kafka_security() == {"security_protocol": "PLAINTEXT"}
    assert settings.max_age_hours == {"voice": 4, "chat": 12, "email": 72}
    assert settings.max_age_default_hours == 4
    assert settings.caller_hash_key is None


def test_arguments_win_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cc-stream.toml").write_text(
        'app_id = "file"\n'
        'topic_prefix = "file"\ntimezone = "Asia/Tokyo"\n'
        "[max_age_hours]\nchat = 1\n"
    )
    monkeypatch.setenv("CC_APP_ID", "environment")
    monkeypatch.setenv("CC_TOPIC_PREFIX", "environment")
    settings = load_settings(app_id="argument")
    assert (settings.app_id, settings.topic_prefix) == ("argument", "environment")
    assert settings.timezone == "Asia/Tokyo"
    assert settings.max_age_hours == {"voice": 4, "chat": 1, "email": 72}


def test_a_named_file_is_read_in_place_of_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cc-stream.toml").write_text('app_id = "usual"')
    (tmp_path / "mine.toml").write_text('app_id = "mine"')
    monkeypatch.setenv("CC_SETTINGS", str(tmp_path / "mine.toml"))
    assert load_settings().app_id == "mine"
    monkeypatch.setenv("CC_SETTINGS", str(tmp_path / "gone.toml"))
    with pytest.raises(ConfigError, match=r"CC_SETTINGS = .*gone\.toml.*no such file"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CC_CALLS_PARTITIONS", "abc", "setting calls_partitions = 'abc': "),
        ("CC_CALLS_PARTITIONS", "0", "setting calls_partitions = '0': "),
        ("CC_BROKER", "kafka", "setting broker = 'kafka': is not host:port"),
        ("CC_BROKER", "kafka:99999", "setting broker = 'kafka:99999': is not host:port"),
        ("CC_TIMEZONE", "Mars/Base", "setting timezone = 'Mars/Base': is no IANA time zone"),
        ("CC_TIMEZONE", "../etc", "setting timezone = '../etc': is no IANA time zone"),
        ("CC_TIMEZONE", "", "setting timezone = '': is no IANA time zone"),
        ("CC_GRACE_SECONDS", "nan", "setting grace_seconds = 'nan': "),
        ("CC_FUTURE_SECONDS", "1.7e308", "setting future_seconds = '1.7e308': "),
        ("CC_SERVICE_LEVEL_FORMULA", "best", "setting service_level_formula = 'best': "),
        ("CC_HANDLE_TIME_BAND_SECONDS", "[600, 60]", "setting handle_time_band_seconds = "),
        ("CC_HANDLE_TIME_BAND_SECONDS", "600", "setting handle_time_band_seconds = 600: "),
        ("CC_MAX_AGE_HOURS", "voice=4", "setting max_age_hours is not JSON"),
        ("CC_MAX_AGE_HOURS", "[" * 4096, "a setting is nested too deeply"),
        ("CC_MAX_AGE_HOURS", "9" * 5000, "setting max_age_hours is not JSON"),
        ("CC_REDIS", f"http://:{SECRET}@h", "setting redis: is no redis://"),
        ("CC_REDIS", f"redis://:{SECRET}@[h", "setting redis: "),
        ("CC_CALLER_HASH_KEY", SECRET, "setting caller_hash_key: "),
        ("CC_CALLER_HASH_KEY", "", "setting caller_hash_key: "),
        ("CC_KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "kafka_security_protocol SASL_SSL needs"),
    ],
)
def test_a_wrong_value_is_one_clear_line(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings(kafka_password=SECRET)
    text = str(caught.value)
    assert text.startswith(message)
    assert "\n" not in text
    assert SECRET not in text
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'brokr = "{SECRET}"', "unknown setting brokr"),
        ("broker = ", r"cc-stream\.toml is not TOML"),
        ("broker = " + "[" * 4096, "a setting is nested too deeply"),
        ("metrics_port = " + "9" * 5000, r"cc-stream\.toml is not TOML"),
        ("timezone = 3", "setting timezone = 3: "),
    ],
)
def test_a_wrong_file_is_one_clear_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "cc-stream.toml").write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings()
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown setting brokr"):
        load_settings(brokr="x")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        (f"redis://:{SECRET}@h:1/2", "redis://:***@h:1/2"),
        (f"rediss://me:{SECRET}@h", "rediss://me:***@h"),
        (f"redis://h/0?password={SECRET}", "redis://h/0"),
    ],
)
def test_no_password_is_ever_shown(url: str, shown: str) -> None:
    settings = load_settings(redis=url, kafka_password=SECRET, caller_hash_key=SECRET * 2)
    assert settings.redis_shown == shown
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.redis!r}"


def test_security_for_the_clients() -> None:
    settings = load_settings(
        kafka_security_protocol="SASL_PLAINTEXT", kafka_username="me", kafka_password=SECRET
    )
    assert settings.kafka_security() == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "me",
        "sasl_plain_password": SECRET,
    }
    with pytest.raises(ConfigError, match="setting kafka_ssl_cafile"):
        load_settings(kafka_security_protocol="SSL", kafka_ssl_cafile="gone.pem").kafka_security()


def test_the_documented_table_is_this_one() -> None:
    assert settings_table() in (REPOSITORY / "docs" / "settings.md").read_text()


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []

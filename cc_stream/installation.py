"""What the settings of an installation mean for the core: its topics, limits and terms."""

from cc_stream.admit import Limits
from cc_stream.config import Settings
from cc_stream.reference import Terms
from cc_stream.topics import Topics, topics


def topics_of(settings: Settings) -> Topics:
    """The topics of the installation."""
    return topics(
        settings.topic_prefix,
        settings.calls_partitions,
        settings.agents_partitions,
        settings.board_partitions,
    )


def limits_of(settings: Settings) -> Limits:
    """How far from the present an event may lie."""
    return Limits(
        grace_ms=_ms(settings.grace_seconds),
        future_ms=_ms(settings.future_seconds),
        agent_max_age_ms=_ms(settings.agent_max_age_hours * 3600),
        max_ages_ms={name: _ms(h * 3600) for name, h in settings.max_age_hours.items()},
        max_age_default_ms=_ms(settings.max_age_default_hours * 3600),
    )


def terms_of_settings(settings: Settings) -> Terms:
    """The terms of entities without their own."""
    low, high = settings.handle_time_band_seconds
    return Terms(
        service_level_seconds=settings.service_level_seconds,
        short_abandon_seconds=settings.short_abandon_seconds,
        service_level_formula=settings.service_level_formula,
        max_wait_ms=_ms(settings.max_wait_seconds),
        agent_max_age_ms=_ms(settings.agent_max_age_hours * 3600),
        contact_max_age_ms=_ms(settings.max_age_default_hours * 3600),
        timezone=settings.timezone,
        handle_time_band_seconds=(int(low), int(high)),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

"""Admission and terms: what a record of the feed may do, and what it may not."""

from datetime import timedelta
from typing import Any

import pytest

from cc_stream.admit import REPEATED, Admitted, Ledger, Limits, admit_agent, admit_call
from cc_stream.contact import contributions
from cc_stream.events import (
    EPOCH,
    AgentStateChanged,
    AgentStateChangedEvent,
    CallQueued,
    CallStep,
    Event,
    Queued,
    Refused,
    Step,
)
from cc_stream.metrics.service_level import FORMULAS
from cc_stream.reference import DEFAULT_TERMS, FORMULA_IDS, Terms, terms_of

NOW_MS = 1_795_500_000_000


def event(cls: type[Any], data: object, revision: int = 0) -> Event:
    made: Event = cls(
        id="1",
        source="/pbx",
        time=EPOCH + timedelta(milliseconds=NOW_MS),
        revision=revision,
        data=data,
    )
    return made


def test_a_higher_revision_may_be_of_another_type() -> None:
    # As the second leg of an attended transfer, whose queue entry turns out to be none.
    ledger = Ledger(Limits())
    admit_call(ledger, event(CallQueued, Queued("c", "sales")))
    verdict = admit_call(ledger, event(CallStep, Step("c", "consultation"), revision=1))
    assert isinstance(verdict, Admitted)
    contact = ledger.opened(("default", "c"))
    assert contact is not None
    assert contributions(contact.entries) == []
    assert len(verdict.change.taken_back) == 2
    assert admit_call(ledger, event(CallQueued, Queued("c", "sales"))) is REPEATED


def test_the_same_revision_of_another_type_is_a_conflict() -> None:
    ledger = Ledger(Limits())
    admit_call(ledger, event(CallQueued, Queued("c", "sales")))
    verdict = admit_call(ledger, event(CallStep, Step("c", "consultation")))
    assert isinstance(verdict, Refused)
    assert verdict.rule == "id_conflict"


def test_of_an_agent_of_whom_nothing_counts_nothing_is_kept() -> None:
    ledger = Ledger(Limits())
    later = EPOCH + timedelta(milliseconds=NOW_MS + 1)
    changed = AgentStateChanged("a", "available", since=later)
    verdict = admit_agent(ledger, event(AgentStateChangedEvent, changed))
    assert isinstance(verdict, Refused)
    assert verdict.rule == "bad_value"
    assert ledger.agents == {}
    changed = AgentStateChanged("a", "available")
    assert isinstance(admit_agent(ledger, event(AgentStateChangedEvent, changed)), Admitted)
    assert ledger.agents.keys() == {("default", "a")}


@pytest.mark.parametrize(
    "fields",
    [
        {"service_level_formula": "best_of_all"},
        {"service_level_formula": ["abandons_negative"]},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": 7},
        {"service_level_seconds": -1, "short_abandon_seconds": "5"},
        {"handle_time_band_seconds": [False, True]},
        {"handle_time_band_seconds": [600, 60]},
        {"handle_time_band_seconds": [-1, 60]},
        {"handle_time_band_seconds": [60, 600, 900]},
    ],
)
def test_a_setting_that_is_not_allowed_is_the_default(fields: dict[str, Any]) -> None:
    assert terms_of(fields) == DEFAULT_TERMS


def test_allowed_settings_are_taken() -> None:
    fields = {
        "service_level_formula": "ignore_abandons",
        "timezone": "Europe/Berlin",
        "handle_time_band_seconds": [0, 420],
    }
    assert terms_of(fields) == Terms(
        service_level_formula="ignore_abandons",
        timezone="Europe/Berlin",
        handle_time_band_seconds=(0, 420),
    )


def test_every_formula_may_be_named() -> None:
    assert tuple(FORMULAS) == FORMULA_IDS

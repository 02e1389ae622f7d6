"""Alerts: scenarios in time, for every rule. The clock is the moment of the figures."""

from collections.abc import Callable

import msgspec
import pytest
from msgspec import Struct

from cc_stream.alerts import RULES, AlertLevels, Rule, levels_of
from cc_stream.alerts.engine import (
    CLEAR_HOLD_MS,
    COOL_DOWN_MS,
    START,
    Alert,
    AlertState,
    Watched,
    alert_id,
    evaluate,
)
from cc_stream.alerts.rule import DEFAULT_LEVELS, duration_text
from cc_stream.metrics.answered import ANSWERED
from cc_stream.metrics.metric import Figures
from cc_stream.metrics.queue_staff import AVAILABLE
from cc_stream.metrics.queue_wait import ANSWERED_WAITS
from cc_stream.metrics.waiting import WAITING
from cc_stream.panes import rolling

T0 = 1_800_000_000_000
SECOND = 1000
LEVELS = AlertLevels(
    waiting_now=10, longest_wait_seconds=60.0, service_level_live=0.6, minimum_sample=20
)
BY_NAME = {rule.name: rule for rule in RULES}


def waiting(count: int) -> Callable[[int], Figures]:
    """`count` wait, each for a second, whenever one looks."""
    return lambda now_ms: figures(now_ms, live={WAITING.number: {now_ms - SECOND: count}})


def waiting_since(since_ms: int) -> Callable[[int], Figures]:
    """One waits since a moment."""
    return lambda now_ms: figures(now_ms, live={WAITING.number: {since_ms: 1}})


def level(within: int, of: int) -> Callable[[int], Figures]:
    """So many of so many were answered within T."""
    waits = {ANSWERED.number: {0: of}, ANSWERED_WAITS.number: {5: within, 90: of - within}}
    return lambda now_ms: figures(now_ms, window=waits)


def figures(
    now_ms: int,
    window: dict[int, dict[int, int]] | None = None,
    live: dict[int, dict[int, int]] | None = None,
) -> Figures:
    staff = {AVAILABLE.number: {T0: 3}}
    return Figures("queue", rolling(900_000, now_ms), now_ms, window or {}, staff | (live or {}))


class Trial:
    """One queue under one rule, evaluated every second; its state goes through msgpack."""

    def __init__(self, rule: Rule, levels: AlertLevels = LEVELS) -> None:
        self.rule, self.levels = rule, levels
        self.now_ms = T0
        self.state = START
        self.told: list[Alert] = []

    def run(
        self, seconds: int, seen: Callable[[int], Figures], *, raising: bool = True
    ) -> list[Alert]:
        """What was sent during these seconds."""
        before = len(self.told)
        for _ in range(seconds):
            watched = Watched("acme", "sales", seen(self.now_ms), self.levels)
            again = evaluate(self.state, self.rule, watched, raising=raising)
            after, alert = evaluate(self.state, self.rule, watched, raising=raising)
            assert (after, alert) == again
            if after == self.state:
                assert after is self.state
                assert alert is None
            packed = msgspec.msgpack.encode(after)
            # A restart at any moment: what was stored goes on as what was in memory.
            self.state = (
                after if after is self.state else msgspec.msgpack.decode(packed, type=AlertState)
            )
            assert self.state == after
            self.told += [] if alert is None else [alert]
            self.now_ms += SECOND
        return self.told[before:]


class Case(Struct):
    """For each rule: what breaches, what is between, what is calm, what is critical."""

    rule: str
    breach: Callable[[int], Figures]
    between: Callable[[int], Figures]
    calm: Callable[[int], Figures]
    critical: Callable[[int], Figures]


def ago(seconds: int) -> Callable[[int], Figures]:
    return lambda now_ms: waiting_since(now_ms - seconds * SECOND)(now_ms)


CASES = [
    Case("waiting_now", waiting(10), waiting(9), waiting(8), waiting(20)),
    Case("longest_wait", ago(60), ago(59), ago(48), ago(120)),
    Case("service_level_live", level(59, 100), level(60, 100), level(68, 100), level(29, 100)),
]


@pytest.fixture(params=CASES, ids=lambda case: case.rule)
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


def test_every_rule_has_a_case() -> None:
    assert [case.rule for case in CASES] == [rule.name for rule in RULES]


def test_raised_after_two_evaluations_and_told_once(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    assert trial.run(1, case.breach) == []
    (alert,) = trial.run(1, case.breach)
    assert (alert.change, alert.severity, alert.is_active) == ("raised", "warning", True)
    assert (alert.since_ms, alert.raised_at_ms) == (T0, T0 + SECOND)
    assert alert.id == alert_id("acme", "sales", case.rule, T0 + SECOND)
    assert alert.text.startswith("sales: ")
    assert trial.run(20, case.breach) == []


def test_one_evaluation_is_not_enough(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    for _ in range(5):
        assert trial.run(1, case.breach) + trial.run(1, case.between) == []
    assert trial.state is not START
    assert trial.state == START


def test_cleared_when_calm_was_held(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    (raised,) = trial.run(2, case.breach)
    hold = CLEAR_HOLD_MS // SECOND
    told = trial.run(hold, case.calm) + trial.run(1, case.between)
    told += trial.run(hold, case.calm)
    assert {alert.change for alert in told} <= {"updated"}
    (cleared,) = trial.run(1, case.calm)
    assert (cleared.change, cleared.id) == ("cleared", raised.id)
    assert cleared.cleared_at_ms == trial.now_ms - SECOND
    assert not cleared.is_active
    assert cleared.worst == raised.worst


def test_between_the_levels_nothing_changes(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    trial.run(2, case.breach)
    told = trial.run(2 * CLEAR_HOLD_MS // SECOND, case.between)
    assert {alert.change for alert in told} <= {"updated"}
    assert trial.state.alert is not None
    assert trial.state.alert.is_active


def test_after_clearing_it_cools_down(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    (first,) = trial.run(2, case.breach)
    trial.run(CLEAR_HOLD_MS // SECOND + 1, case.calm)
    assert trial.run(COOL_DOWN_MS // SECOND - 1, case.breach) == []
    (second,) = trial.run(2, case.breach)
    assert second.change == "raised"
    assert second.id != first.id
    assert second.raised_at_ms >= first.raised_at_ms + CLEAR_HOLD_MS + COOL_DOWN_MS


def test_severity_rises_and_falls_on_the_same_alert(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    (raised,) = trial.run(2, case.breach)
    (worse,) = trial.run(1, case.critical)
    assert (worse.change, worse.severity, worse.id) == ("updated", "critical", raised.id)
    (better,) = trial.run(1, case.breach)
    assert (better.severity, better.worst) == ("warning", worse.value)
    trial = Trial(BY_NAME[case.rule])
    (at_once,) = trial.run(2, case.critical)
    assert (at_once.change, at_once.severity) == ("raised", "critical")


def test_history_and_stale_data_raise_nothing_but_clear(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    assert trial.run(30, case.critical, raising=False) == []
    assert trial.state is START
    trial.run(2, case.breach)
    told = trial.run(30, case.critical, raising=False)
    assert {alert.severity for alert in told} <= {"warning"}
    told = trial.run(CLEAR_HOLD_MS // SECOND + 1, case.calm, raising=False)
    assert told[-1].change == "cleared"


def test_a_breach_that_history_interrupts_starts_anew(case: Case) -> None:
    trial = Trial(BY_NAME[case.rule])
    trial.run(1, case.breach)
    trial.run(1, case.breach, raising=False)
    assert trial.run(1, case.breach) == []
    assert len(trial.run(1, case.breach)) == 1


def test_numbers_are_told_again_now_and_then() -> None:
    trial = Trial(BY_NAME["longest_wait"])
    told = trial.run(100, waiting_since(T0 - 59 * SECOND))
    assert [alert.change for alert in told] == ["raised", "updated", "updated", "updated"]
    assert [alert.value for alert in told] == [61.0, 91.0, 120.0, 150.0]


def test_time_alone_raises_and_clears_without_an_event() -> None:
    trial = Trial(BY_NAME["longest_wait"])
    (raised,) = trial.run(65, waiting_since(T0))
    assert raised.raised_at_ms == T0 + 61 * SECOND
    assert raised.numbers["oldest_queued_at"] == "2027-01-15T08:00:00.000Z"
    assert "longest wait 1:01 min, 1 waiting (limit 1:00 min)" in raised.text
    # Nobody can wait for longer than the queue's maximum: then it is stale, and the alert clears.
    trial.now_ms = T0 + 4 * 3_600_000 + SECOND
    told = trial.run(CLEAR_HOLD_MS // SECOND + 1, waiting_since(T0))
    assert told[-1].change == "cleared"


def test_too_small_a_sample_says_nothing_and_clears() -> None:
    trial = Trial(BY_NAME["service_level_live"])
    assert trial.run(10, level(0, 19)) == []
    assert len(trial.run(2, level(0, 20))) == 1
    told = trial.run(CLEAR_HOLD_MS // SECOND + 1, level(0, 3))
    assert (told[-1].change, told[-1].value) == ("cleared", None)


def test_contacts_that_wait_beyond_t_count_as_misses() -> None:
    waits = {ANSWERED.number: {0: 20}, ANSWERED_WAITS.number: {5: 20}}

    def seen(now_ms: int) -> Figures:
        return figures(now_ms, waits, {WAITING.number: {now_ms - 21 * SECOND: 14}})

    trial = Trial(BY_NAME["service_level_live"])
    (alert,) = trial.run(2, seen)
    assert alert.value == 20 / 34
    assert alert.numbers["sample"] == 34
    assert "service level 59 % within 20 s over 15 min, 14 waiting (limit 60 %" in alert.text


def test_a_rule_that_is_turned_off_clears() -> None:
    trial = Trial(BY_NAME["waiting_now"])
    trial.run(2, waiting(10))
    trial.levels = AlertLevels(waiting_now=None)
    told = trial.run(CLEAR_HOLD_MS // SECOND + 1, waiting(50))
    assert (told[-1].change, told[-1].level) == ("cleared", 10)
    assert trial.run(600, waiting(50)) == []


def test_what_an_alert_says() -> None:
    trial = Trial(BY_NAME["waiting_now"])
    (alert,) = trial.run(2, waiting(12))
    assert alert.text == (
        "sales: 12 waiting, the longest for 1 s; 3 agents available (limit 10 waiting)"
    )
    assert alert.numbers == {
        "waiting_now": 12,
        "longest_wait_seconds": 1.0,
        "agents_available": 3,
    }


def test_names_of_alerts_are_stable_and_apart() -> None:
    assert alert_id("acme", "sales", "waiting_now", T0) == "42f5f6ef83b255c7"
    ids = {
        alert_id(*names, at)
        for names in (("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""))
        for at in (1, 11)
    }
    assert len(ids) == 6


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, DEFAULT_LEVELS),
        ({"alerts": "no"}, DEFAULT_LEVELS),
        ({"alerts": {"waiting_now": 3}}, AlertLevels(waiting_now=3)),
        ({"alerts": {"waiting_now": None}}, AlertLevels(waiting_now=None)),
        ({"alerts": {"waiting_now": True}}, DEFAULT_LEVELS),
        ({"alerts": {"waiting_now": 2.5, "minimum_sample": None}}, DEFAULT_LEVELS),
        ({"alerts": {"longest_wait_seconds": 90}}, AlertLevels(longest_wait_seconds=90)),
        ({"alerts": {"service_level_live": 1.5}}, DEFAULT_LEVELS),
        ({"alerts": {"service_level_live": 0.8}}, AlertLevels(service_level_live=0.8)),
        ({"alerts": {"minimum_sample": 5, "other": 1}}, AlertLevels(minimum_sample=5)),
    ],
)
def test_levels_of_a_queue(given: dict[str, object], expected: AlertLevels) -> None:
    assert levels_of(given) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (47.9, "47 s"), (185, "3:05 min"), (3729, "1:02:09 h")]
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text

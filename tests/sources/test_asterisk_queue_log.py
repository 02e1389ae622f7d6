"""The verbs of a queue_log and its traps: lines in, events out."""

from collections.abc import Sequence
from typing import Any

import pytest

from cc_stream.contracts import decode_one, encode
from cc_stream.events import AGENT_EVENTS, Event, to_ms, type_of
from cc_stream.sources import SOURCES
from cc_stream.sources.asterisk_queue_log import flush, fold
from cc_stream.sources.asterisk_queue_log.work import State
from cc_stream.sources.source import Folded, Options

OPTIONS = Options("/asterisk/queue_log", caller_hash_key=b"secret")
EPOCH = 1_700_000_000


def read(*lines: str, state: State | None = None) -> Folded[State]:
    """Lines whose time is seconds after EPOCH."""
    rows = []
    for line in lines:
        time, _, rest = line.partition("|")
        rows.append(f"{EPOCH + int(time)}|{rest}".encode())
    return fold(state or State(), rows, OPTIONS)


def told(events: Sequence[Event]) -> list[tuple[int, str, dict[str, Any]]]:
    """Seconds after EPOCH, short type, and what the data say."""
    rows = []
    for event in sorted(events, key=lambda e: (e.time, e.sequence)):
        kind = type_of(type(event)).removeprefix("cc.").removesuffix(".v1")
        data = event.data  # type: ignore[attr-defined]
        said = {f: v for f in data.__struct_fields__ if (v := getattr(data, f)) is not None}
        said.pop("channel", None)
        rows.append((to_ms(event.time) // 1000 - EPOCH, kind, said))
    return rows


def states(events: Sequence[Event]) -> list[tuple[object, ...]]:
    """Seconds after EPOCH, agent and state."""
    rows = told([e for e in events if isinstance(e, AGENT_EVENTS)])
    return [(at, said["agent_id"], said["state"]) for at, _, said in rows]


IN_SALES: dict[str, Any] = {"contact_id": "c1", "queue": "sales"}
WITH_ANNA: dict[str, Any] = {**IN_SALES, "agent_id": "Anna"}

VERBS: list[tuple[str, str, dict[str, Any]]] = [
    ("NONE|NONE|NONE|QUEUESTART|", "source.restarted", {"reason": "QUEUESTART"}),
    ("NONE|NONE|NONE|CONFIGRELOAD|", "source.restarted", {"reason": "CONFIGRELOAD"}),
    ("c1|sales|Anna|SYSCOMPAT|", "source.restarted", {"reason": "SYSCOMPAT"}),
    ("c1|sales|NONE|ENTERQUEUE|||2", "call.queued", {**IN_SALES, "position": 2}),
    ("c1|sales|NONE|ENTERQUEUE||anonymous", "call.queued", IN_SALES),
    (
        "c1|sales|Anna|RINGNOANSWER|15000",
        "call.offer_failed",
        {**WITH_ANNA, "ring_ms": 15000, "reason": "no_answer"},
    ),
    (
        "c1|sales|Anna|RINGCANCELED|400",
        "call.offer_failed",
        {**WITH_ANNA, "ring_ms": 400, "reason": "canceled"},
    ),
    ("c1|sales|Anna|AGENTDUMP|", "call.offer_failed", {**WITH_ANNA, "reason": "dumped"}),
    (
        "c1|sales|Anna|CONNECT|12|b1|4",
        "call.answered",
        {**WITH_ANNA, "wait_ms": 12000, "ring_ms": 4000},
    ),
    ("c1|sales|Anna|CONNECT|12", "call.answered", {**WITH_ANNA, "wait_ms": 12000}),
    (
        "c1|sales|Anna|COMPLETEAGENT|12|60|1",
        "call.ended",
        {**WITH_ANNA, "ended_by": "agent", "wait_ms": 12000, "talk_ms": 60000},
    ),
    (
        "c1|sales|Anna|COMPLETECALLER|12|60",
        "call.ended",
        {**WITH_ANNA, "ended_by": "customer", "wait_ms": 12000, "talk_ms": 60000},
    ),
    (
        "c1|sales|NONE|ABANDON|1|3|25",
        "call.dequeued",
        {**IN_SALES, "reason": "abandoned", "position": 1, "wait_ms": 25000},
    ),
    (
        "c1|sales|NONE|EXITWITHTIMEOUT|2|3|90",
        "call.dequeued",
        {**IN_SALES, "reason": "timeout", "position": 2, "wait_ms": 90000},
    ),
    (
        "c1|sales|NONE|EXITWITHTIMEOUT|2",
        "call.dequeued",
        {**IN_SALES, "reason": "timeout", "position": 2},
    ),
    (
        "c1|sales|NONE|EXITEMPTY|1|1|7",
        "call.dequeued",
        {**IN_SALES, "reason": "empty", "position": 1, "wait_ms": 7000},
    ),
    ("c1|sales|NONE|LEAVEEMPTY|", "call.dequeued", {**IN_SALES, "reason": "empty"}),
    (
        "c1|sales|NONE|EXITWITHKEY|5|1|2|33",
        "call.dequeued",
        {**IN_SALES, "reason": "key", "position": 1, "wait_ms": 33000},
    ),
    (
        "c1|sales|NONE|WITHDRAW|1|2|40|callback",
        "call.dequeued",
        {**IN_SALES, "reason": "withdrawn", "position": 1, "wait_ms": 40000},
    ),
    (
        "c1|sales|Anna|BLINDTRANSFER|200|default|12|60|1",
        "call.transferred",
        {**WITH_ANNA, "kind": "blind", "wait_ms": 12000, "talk_ms": 60000},
    ),
    (
        "c1|sales|Anna|TRANSFER|200@default|12|60|1",
        "call.transferred",
        {**WITH_ANNA, "kind": "blind", "wait_ms": 12000, "talk_ms": 60000},
    ),
    *(
        (
            f"c1|sales|Anna|ATTENDEDTRANSFER|{how}",
            "call.transferred",
            {**WITH_ANNA, "kind": "attended", "wait_ms": 12000, "talk_ms": 60000},
        )
        for how in (
            "BRIDGE|b-1|12|60|1",
            "APP|Queue|12|60|1",
            "LINK|SIP/1|SIP/2|12|60|1",
            "LINK|SIP/1|SIP/2|12|60,1",
        )
    ),
    ("c1|sales|NONE|FULL|", "call.rejected", {**IN_SALES, "reason": "full"}),
    ("c1|sales|NONE|CLOSED|", "call.rejected", {**IN_SALES, "reason": "closed"}),
    ("c1|sales|NONE|JOINEMPTY|", "call.rejected", {**IN_SALES, "reason": "join_empty"}),
    ("c1|sales|NONE|DIVERT_CA_RATIO|", "call.rejected", {**IN_SALES, "reason": "divert"}),
    ("c1|sales|NONE|DIVERT_HOLDTIME|", "call.rejected", {**IN_SALES, "reason": "divert"}),
    (
        "c1|sales|Anna|WRAPUPSTART|20",
        "wrapup.started",
        {"contact_id": "c1", "agent_id": "Anna", "planned_ms": 20000},
    ),
    (
        "M|sales|Anna|ADDMEMBER|",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "available", "queues": ("sales",)},
    ),
    (
        "M|sales|Anna|ADDMEMBER|PAUSED",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "break", "queues": ("sales",)},
    ),
    (
        "MANAGER|sales|Anna|REMOVEMEMBER|",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "offline"},
    ),
    (
        "x|NONE|Anna|AGENTLOGIN|SIP/1",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "available"},
    ),
    (
        "x|NONE|Anna|AGENTCALLBACKLOGIN|1@d",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "available"},
    ),
    (
        "x|NONE|Anna|AGENTLOGOFF|SIP/1|99",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "offline"},
    ),
    (
        "x|NONE|Anna|AGENTCALLBACKLOGOFF|1@d|99|Autologoff",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "offline"},
    ),
    (
        "NONE|sales|Anna|PAUSE|lunch",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "break", "reason": "lunch"},
    ),
    ("NONE|NONE|Anna|PAUSEALL|", "agent.state_changed", {"agent_id": "Anna", "state": "break"}),
    ("NONE|sales|Anna|UNPAUSE|", "agent.state_changed", {"agent_id": "Anna", "state": "available"}),
    (
        "NONE|NONE|Anna|UNPAUSEALL|",
        "agent.state_changed",
        {"agent_id": "Anna", "state": "available"},
    ),
]


@pytest.mark.parametrize(("line", "kind", "data"), VERBS, ids=[row[0] for row in VERBS])
def test_a_verb(line: str, kind: str, data: dict[str, Any]) -> None:
    folded = read(f"100|{line}")
    assert not folded.refused
    first = [row for row in told(folded.events) if row[1] == kind]
    assert first == [(100, kind, data)]
    for event in folded.events:
        assert decode_one(encode(event)) == (event, 0)


@pytest.mark.parametrize("verb", ["DID", "INFO", "PENALTY", "RINGINUSE", "SOMETHINGNEW"])
def test_other_verbs_are_counted(verb: str) -> None:
    folded = read(f"0|NONE|sales|Anna|{verb}|x", f"1|NONE|sales|Anna|{verb}|x")
    assert (folded.events, folded.refused, folded.ignored) == ([], [], {verb: 2})


@pytest.mark.parametrize(
    ("line", "rule", "path"),
    [
        (b"1700000000|c1|sales", "missing_field", "$.agent"),
        (b"2026-11-22 09:49:50.123|c1|sales|NONE|ENTERQUEUE|", "time_without_offset", "$.time"),
        (b"yesterday|c1|sales|NONE|ENTERQUEUE|", "bad_value", "$.time"),
        (b"0|c1|sales|NONE|ENTERQUEUE|", "time_missing", "$.time"),
        (b"3155760000|c1|sales|NONE|ENTERQUEUE|", "bad_value", "$.time"),
        (b"1700000000|c1|sales|NONE|enter queue|", "bad_value", "$.verb"),
        (b"1700000000|NONE|sales|NONE|ENTERQUEUE|", "missing_field", "$.callid"),
        (b"1700000000|REALTIME|sales|Anna|CONNECT|1", "missing_field", "$.callid"),
        (b"1700000000|c1|NONE|NONE|ENTERQUEUE|", "missing_field", "$.queue"),
        (b"1700000000|c1|sales|NONE|CONNECT|1", "missing_field", "$.agent"),
        (b"1700000000|c1|sales|Anna|CONNECT|soon", "bad_value", "$.p1"),
        (b"1700000000|%s|sales|NONE|ENTERQUEUE|" % (b"c" * 257), "bad_value", "$.callid"),
        (b"1700000000|c1|sales|NONE|INFO|" + b"x" * 70_000, "too_large", ""),
    ],
)
def test_a_malformed_line_is_refused_and_kept(line: bytes, rule: str, path: str) -> None:
    folded = fold(State(), [b"", line], OPTIONS)
    assert not folded.events
    (refusal,) = folded.refused
    assert (refusal.index, refusal.payload) == (1, line)
    assert (refusal.why.rule, refusal.why.path) == (rule, path)


@pytest.mark.parametrize(
    "lines",
    [
        [b"3155759999|c1|sales|Anna|WRAPUPSTART|999999999"],
        [b"100|c1|sales|Anna|COMPLETEAGENT|0|100|1"],
        [b"100.001|c1|sales|Anna|COMPLETEAGENT|0|100|1"],
        [b"100|c1|sales|Anna|COMPLETEAGENT|0|101|1"],
    ],
)
def test_times_at_the_ends_of_what_counts_pass_the_contract(lines: list[bytes]) -> None:
    folded = fold(State(), lines, OPTIONS)
    events = [*folded.events, *flush(folded.state, OPTIONS, None).events]
    assert events
    assert [decode_one(encode(event)) for event in events] == [(event, 0) for event in events]


def test_mark_line_end_empty_last_column_fraction_and_latin_1() -> None:
    line = "1700000000.250|c1|sales|José|CONNECT|3|b1|2|"
    utf8 = fold(State(), [b"\xef\xbb\xbf" + line.encode() + b"\r"], OPTIONS)
    latin = fold(State(), [line.encode("latin-1")], OPTIONS)
    for folded in (utf8, latin):
        answered = folded.events[0]
        assert to_ms(answered.time) == EPOCH * 1000 + 250
        assert answered.data.agent_id == "José"  # type: ignore[attr-defined]


def test_callers_pass_only_as_a_keyed_hash() -> None:
    line = b"1700000000|c1|sales|NONE|ENTERQUEUE||+49301234567|1"
    same = b"1700000001|c2|sales|NONE|ENTERQUEUE||+49301234567|1"
    first, second = fold(State(), [line, same], OPTIONS).events
    assert first.data.caller_hash == second.data.caller_hash  # type: ignore[attr-defined]
    assert b"49301234567" not in encode(first)
    other = fold(State(), [line], Options("/x", caller_hash_key=b"k" * 100)).events[0]
    assert other.data.caller_hash != first.data.caller_hash  # type: ignore[attr-defined]
    none = fold(State(), [line], Options("/x")).events[0]
    assert none.data.caller_hash is None  # type: ignore[attr-defined]


def test_ids_are_of_content_and_occurrence() -> None:
    line = "5|c1|sales|Anna|RINGNOANSWER|1000"
    twice = read(line, line).events
    assert len({event.id for event in twice}) == 2
    later = read("4|c1|sales|NONE|ENTERQUEUE|", line).events[-1]
    assert later.id == twice[0].id
    assert later.sequence == twice[0].sequence


def test_the_order_of_the_file_breaks_ties() -> None:
    events = read(
        "5|c1|sales|Anna|COMPLETEAGENT|1|2|1",
        "5|c1|sales|NONE|ENTERQUEUE||1|1",
        "5|c1|sales|Bert|CONNECT|0|x|0",
    ).events
    calls = [e for e in events if not isinstance(e, AGENT_EVENTS)]
    assert sorted(calls, key=lambda e: int(e.sequence)) == calls


def test_a_call_from_queue_to_completion() -> None:
    events = read(
        "0|M|sales|Anna|ADDMEMBER|",
        "10|c1|sales|NONE|ENTERQUEUE|||1",
        "15|c1|sales|Anna|CONNECT|5|b1|3",
        "75|c1|sales|Anna|COMPLETECALLER|5|60|1",
    ).events
    assert states(events) == [
        (0, "Anna", "available"),
        (15, "Anna", "on_contact"),
        (75, "Anna", "available"),
    ]


def test_a_pause_during_a_call_is_told_at_its_end() -> None:
    events = read(
        "15|c1|sales|Anna|CONNECT|5|b1|3",
        "30|NONE|sales|Anna|PAUSE|lunch",
        "75|c1|sales|Anna|COMPLETECALLER|5|60|1",
    ).events
    assert states(events) == [(15, "Anna", "on_contact"), (75, "Anna", "break")]


def test_a_repeated_pause_and_unpause_tell_nothing() -> None:
    events = read(
        "0|NONE|NONE|Anna|PAUSEALL|x",
        "0|NONE|sales|Anna|PAUSE|x",
        "0|NONE|support|Anna|PAUSE|x",
        "60|NONE|NONE|Anna|UNPAUSEALL|",
        "60|NONE|sales|Anna|UNPAUSE|",
        "61|NONE|support|Anna|UNPAUSE|",
    ).events
    assert states(events) == [(0, "Anna", "break"), (60, "Anna", "available")]


def test_a_member_of_two_queues_is_on_break_when_paused_in_both() -> None:
    events = read(
        "0|M|sales|Anna|ADDMEMBER|",
        "0|M|support|Anna|ADDMEMBER|",
        "10|NONE|sales|Anna|PAUSE|",
        "20|NONE|support|Anna|PAUSE|",
        "30|NONE|sales|Anna|UNPAUSE|",
        "40|M|sales|Anna|REMOVEMEMBER|",
        "50|M|support|Anna|REMOVEMEMBER|",
    ).events
    assert [row for row in states(events) if row[0] != 0] == [
        (20, "Anna", "break"),
        (30, "Anna", "available"),
        (40, "Anna", "break"),
        (50, "Anna", "offline"),
    ]


WRAP = (
    "10|c1|sales|Anna|CONNECT|5|b1|3",
    "70|c1|sales|Anna|COMPLETEAGENT|5|60|1",
    "70|c1|sales|Anna|WRAPUPSTART|20",
)


@pytest.mark.parametrize("lines", [WRAP, (WRAP[0], WRAP[2], WRAP[1])])
def test_wrap_up_ends_as_planned_whatever_line_comes_next(lines: tuple[str, ...]) -> None:
    late = read(*lines, "5000|NONE|NONE|NONE|DID|")
    early = flush(read(*lines).state, OPTIONS, None)
    assert states(late.events)[-2:] == [(70, "Anna", "wrapup"), (90, "Anna", "available")]
    assert states(early.events) == [(90, "Anna", "available")]
    assert late.events[-1] == early.events[-1]
    assert not flush(read(*lines).state, OPTIONS, (EPOCH + 89) * 1000).events


def test_a_pause_in_wrap_up_is_told_at_its_end_and_a_call_ends_it() -> None:
    paused = read(*WRAP, "80|NONE|NONE|Anna|PAUSEALL|", "100|NONE|NONE|NONE|DID|")
    assert states(paused.events)[-1] == (90, "Anna", "break")
    called = read(*WRAP, "80|c2|sales|Anna|CONNECT|1|b2|1", "100|NONE|NONE|NONE|DID|")
    assert states(called.events)[-1] == (80, "Anna", "on_contact")
    gone = read(*WRAP, "80|M|sales|Anna|REMOVEMEMBER|", "100|NONE|NONE|NONE|DID|")
    assert states(gone.events)[-1] == (80, "Anna", "offline")


def test_a_wrap_up_without_a_callid_is_of_the_last_contact() -> None:
    events = read(*WRAP[:2], "70|NONE|sales|Anna|WRAPUPSTART|20").events
    assert [said["contact_id"] for _, kind, said in told(events) if kind == "wrapup.started"] == [
        "c1"
    ]


def test_a_completion_without_its_connect_tells_when_the_call_began() -> None:
    events = read("70|c1|sales|Anna|COMPLETEAGENT|5|60|1").events
    assert states(events) == [(10, "Anna", "on_contact"), (70, "Anna", "available")]


def test_a_restart_closes_nothing_and_a_lost_completion_ends_with_the_next_call() -> None:
    kept = read(WRAP[0], "20|NONE|NONE|NONE|QUEUESTART|", WRAP[1])
    assert states(kept.events) == [(10, "Anna", "on_contact"), (70, "Anna", "available")]
    lost = read(
        WRAP[0],
        "20|NONE|NONE|NONE|QUEUESTART|",
        "30|c2|sales|Anna|CONNECT|1|b2|1",
        "40|c2|sales|Anna|COMPLETEAGENT|1|10|1",
    )
    assert states(lost.events)[-1] == (40, "Anna", "available")


def test_an_exit_that_is_told_twice_counts_once() -> None:
    folded = read(
        "0|c1|sales|NONE|ENTERQUEUE|",
        "9|c1|sales|Anna|ABANDON|1|1|9",
        "9|c1|sales|NONE|ABANDON|1|1|9",
    )
    assert [row[1] for row in told(folded.events)] == ["call.queued", "call.dequeued"]
    assert folded.ignored == {"ABANDON repeated": 1}
    again = read(
        "20|c1|sales|NONE|ENTERQUEUE|", "25|c1|sales|NONE|ABANDON|1|1|5", state=folded.state
    )
    assert len(again.events) == 2


CONSULT = (
    "0|c1|sales|NONE|ENTERQUEUE||1|1",
    "5|c1|sales|Anna|CONNECT|5|b1|3",
    "40|c2|support|NONE|ENTERQUEUE||100|1",
)
JOINED = [
    (0, "call.queued", "c1", "sales"),
    (5, "call.answered", "c1", "sales"),
    (40, "call.step", "c2", None),
    (40, "call.queued", "c1", "support"),
    (45, "call.transferred", "c1", "sales"),
    (52, "call.answered", "c1", "support"),
    (90, "call.ended", "c1", "support"),
]


def calls_at_last(events: Sequence[Event]) -> list[tuple[object, ...]]:
    """The call events that count: of one id, the highest revision."""
    last = {event.id: event for event in events if not isinstance(event, AGENT_EVENTS)}
    return [
        (at, kind, said["contact_id"], said.get("queue"))
        for at, kind, said in told(list(last.values()))
    ]


@pytest.mark.parametrize(
    "rest",
    [
        # The transfer comes under the second callid, the rest under the first one.
        (
            "45|c2|sales|Anna|ATTENDEDTRANSFER|APP|Queue|5|40|1",
            "52|c1|support|Bert|CONNECT|12|b3|4",
        ),
        # The same, and the rest under the second one.
        (
            "45|c2|sales|Anna|ATTENDEDTRANSFER|APP|Queue|5|40|1",
            "52|c2|support|Bert|CONNECT|12|b3|4",
        ),
        # Nothing names the second leg: the hold time of the CONNECT does.
        (
            "45|c1|sales|Anna|ATTENDEDTRANSFER|APP|Queue|5|40|1",
            "52|c1|support|Bert|CONNECT|12|b3|4",
        ),
    ],
)
def test_an_attended_transfer_into_a_queue_leaves_nobody_waiting(rest: tuple[str, ...]) -> None:
    folded = read(*CONSULT, *rest, "90|c1|support|Bert|COMPLETECALLER|12|38|1")
    assert calls_at_last(folded.events) == JOINED
    assert not any(call.places for call in folded.state.calls.values())
    assert states(folded.events) == [
        (5, "Anna", "on_contact"),
        (45, "Anna", "available"),
        (52, "Bert", "on_contact"),
        (90, "Bert", "available"),
    ]


def test_a_caller_who_waits_longer_is_not_taken_for_the_second_leg() -> None:
    folded = read(
        "20|c9|support|NONE|ENTERQUEUE||9|1",
        *CONSULT,
        "45|c1|sales|Anna|ATTENDEDTRANSFER|APP|Queue|5|40|1",
        "52|c1|support|Bert|CONNECT|12|b3|4",
    )
    assert [place.since_ms for place in folded.state.calls["c9"].places] == [(EPOCH + 20) * 1000]
    assert "c2" not in folded.state.calls


def test_an_answered_second_leg_keeps_its_own_callid() -> None:
    folded = read(
        *CONSULT,
        "44|c2|support|Bert|CONNECT|4|b3|2",
        "60|c2|sales|Anna|ATTENDEDTRANSFER|BRIDGE|b1|5|55|1",
        "90|c1|support|Bert|COMPLETECALLER|4|46|1",
    )
    assert calls_at_last(folded.events)[-2:] == [
        (60, "call.transferred", "c1", "sales"),
        (90, "call.ended", "c2", "support"),
    ]


def test_what_is_remembered_is_bounded() -> None:
    calls = [f"{n}|c{n}|sales|NONE|ENTERQUEUE|" for n in range(50)]
    gone = [f"{n + 100}|c{n}|sales|NONE|ABANDON|1|1|100" for n in range(40)]
    folded = read(*calls, *gone, "400|NONE|NONE|NONE|DID|")
    assert len(folded.state.calls) == 10
    later = read(f"{400 + 90_000}|NONE|NONE|NONE|DID|", state=folded.state)
    assert not later.state.calls


def test_the_source_is_listed() -> None:
    assert "asterisk-queue-log" in [source.name for source in SOURCES]

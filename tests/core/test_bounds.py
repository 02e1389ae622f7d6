"""What is kept of one contact and of one entity has an upper size."""

from datetime import timedelta

from cc_stream.admit import MAX_ENTRIES, MAX_LOG_BYTES, Admitted, Ledger, Limits, admit_call
from cc_stream.contact_log import Change, pack
from cc_stream.deltas import MAX_BATCH_BYTES, Batch, Deltas, encode, split
from cc_stream.events import EPOCH, CallHeld, CallQueued, Held, Queued, Reference, Refused
from cc_stream.facts import Answered
from cc_stream.reference import CHANGES_KEPT, ReferenceData

NOW_MS = 1_795_500_000_000


def moment(seconds: int) -> object:
    return EPOCH + timedelta(milliseconds=NOW_MS, seconds=seconds)


def test_one_contact_id_for_every_call_fills_its_log_and_no_more() -> None:
    ledger = Ledger(Limits())
    verdicts = [
        admit_call(
            ledger,
            CallHeld(id=str(n), source="/pbx", time=moment(n), data=Held("0", "ann")),  # type: ignore[arg-type]
        )
        for n in range(MAX_ENTRIES + 5)
    ]
    assert sum(isinstance(v, Admitted) for v in verdicts) == MAX_ENTRIES
    assert [v.rule for v in verdicts if isinstance(v, Refused)] == ["log_full"] * 5


def test_long_fields_fill_a_log_sooner() -> None:
    ledger = Ledger(Limits())
    skills = tuple("€" * 250 + str(n) for n in range(32))
    refused = 0
    for n in range(40):
        data = Queued("c", f"queue-{n}", segment_id=str(n), skills=skills)
        event = CallQueued(id=str(n), source="/pbx", time=moment(n), data=data)  # type: ignore[arg-type]
        refused += isinstance(admit_call(ledger, event), Refused)
    contact = ledger.opened(("default", "c"))
    assert contact is not None
    assert refused > 0
    assert len(pack(contact)) < 2 * MAX_LOG_BYTES


def test_the_history_of_an_entity_keeps_its_latest_changes() -> None:
    reference = ReferenceData()
    for n in range(CHANGES_KEPT + 10):
        data = Reference("ann", moment(n), {"team": f"team-{n}"})  # type: ignore[arg-type]
        reference.learn("RosterUpdated", "default", data, n, 0)
    assert len(reference.dump_one(("default", "agent", "ann"))) == CHANGES_KEPT
    assert reference.team("default", "ann", NOW_MS + 10**6) == f"team-{CHANGES_KEPT + 9}"


def test_a_lower_revision_of_reference_data_changes_nothing() -> None:
    reference = ReferenceData()
    for revision, team in ((1, "new"), (0, "old")):
        data = Reference("ann", moment(0), {"team": team})  # type: ignore[arg-type]
        reference.learn("RosterUpdated", "default", data, 7, revision)
    assert reference.team("default", "ann", NOW_MS + 1) == "new"


def test_every_record_of_deltas_is_below_half_a_mebibyte() -> None:
    deltas = Deltas()
    for n in range(9_000):
        agent, team = f"{n:060d}", "t" * 28
        at = NOW_MS + n * 10_000
        fact = Answered(at, at, None, None, agent, team, None, transferred=False)
        deltas.take(Change((), (fact,)), "x")
    parts = split(deltas, 1)[0]
    sizes = [
        len(encode(Batch("calls-0", 0, 1, {}, None, False, 0, vectors, times, [])))  # noqa: FBT003
        for vectors, times in parts
    ]
    assert len(sizes) > 1
    assert max(sizes) < 1.3 * MAX_BATCH_BYTES < 512 * 1024
    assert sum(len(vectors) for vectors, _ in parts) == 9_000

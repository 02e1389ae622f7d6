"""What a simulated floor sends is admitted: its faults are those that were asked for, no others."""

from collections import Counter
from itertools import chain

from cc_stream.admit import Admitted, Ledger, Limits, admit_agent, admit_call
from cc_stream.contracts import decode_one
from cc_stream.events import Refused
from cc_stream.partitioner import partition_of
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.plan import Faults, SimulationSettings
from cc_stream.simulate.reference import reference

HOUR = 3_600_000
MORNING = 1_764_547_200_000 + 8 * HOUR
PARTITIONS = 2


def test_only_repeats_and_bad_payloads_are_not_admitted() -> None:
    settings = SimulationSettings(
        seats=60, faults=Faults(disorder=0.1, duplicates=0.05, bad=0.01, restated=0.1)
    )
    calls = [Ledger(Limits(), (number, PARTITIONS)) for number in range(PARTITIONS)]
    agents = [Ledger(Limits(), (number, PARTITIONS)) for number in range(PARTITIONS)]
    facts = [(fact, decode_one(fact.value)[0]) for fact in reference(settings, MORNING)]
    for (fact, event), ledger in ((f, ledger) for f in facts for ledger in chain(calls, agents)):
        assert not isinstance(event, Refused)
        (admit_call if ledger in calls else admit_agent)(ledger, event, fact.key, fact.at_ms)
    verdicts: Counter[str] = Counter()
    for record in arrivals(settings, MORNING, MORNING + 4 * HOUR):
        decoded, _ = decode_one(record.value)
        if isinstance(decoded, Refused):
            assert record.fault == "bad"
            continue
        ledgers, admit = (calls, admit_call) if record.topic == "calls" else (agents, admit_agent)
        ledger = ledgers[partition_of(record.key, PARTITIONS)]
        verdict = admit(ledger, decoded, record.key, record.at_ms)
        verdicts[type(verdict).__name__] += 1
        if isinstance(verdict, Refused):
            assert (verdict.rule, record.fault) == ("future", "bad")
        if record.fault is None and b"snapshot" not in record.value and b"beat" not in record.value:
            assert isinstance(verdict, Admitted) or b"source.restarted" in record.value
    assert verdicts["Repeated"] > 0
    assert verdicts["Admitted"] > 10_000

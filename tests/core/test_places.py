"""Where a record may lie: a key's log is opened in the partition that Kafka gives to the key."""

import pytest

from cc_stream.admit import WRONG_PARTITION, Admitted, Ledger, Limits, admit_call
from cc_stream.events import EPOCH, QueueSnapshot, QueueSnapshotEvent
from cc_stream.partitioner import partition_of

PARTITIONS = 4


@pytest.mark.parametrize("index", range(PARTITIONS))
def test_a_queues_snapshot_counts_in_one_partition_only(index: int) -> None:
    ledger = Ledger(Limits(), (index, PARTITIONS))
    event = QueueSnapshotEvent(
        id="1", source="/pbx", time=EPOCH.replace(year=2026), data=QueueSnapshot("sales", ())
    )
    verdict = admit_call(ledger, event, b"sales")
    if index == partition_of(b"sales", PARTITIONS):
        assert isinstance(verdict, Admitted)
    else:
        assert verdict is WRONG_PARTITION
        assert not ledger.reported

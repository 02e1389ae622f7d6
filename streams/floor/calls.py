"""The floor stage of the calls topic: contacts."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, cast

from cc_stream import contact_log
from cc_stream.admit import Admitted, Verdict, admit_call
from cc_stream.contact_log import Contact, Head
from cc_stream.contact_record import contact_record, encode
from cc_stream.events import Event
from cc_stream.facts import Reported
from streams.floor.intake import LOG, REPORTED, Intake, Plan, key_of_state, pack
from streams.stage import Record, Write

AT_HAND: Final = 10_000
"""Contacts of a shard that stay decoded; the rest lies packed until it is touched."""
SWEEP_STEP_MS: Final = 60_000


class Calls(Intake):
    """Keeps contacts, and writes a record of each that has ended."""

    name = "calls"

    def __init__(self, plan: Plan, partition: int) -> None:
        topics = plan.topics
        super().__init__(plan, topics.calls, partition, topics.contacts_changelog.name)
        self.touched: dict[tuple[str, str], None] = {}
        self.reports: set[tuple[str, str]] = set()
        self.at_hand: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.expiring: dict[int, set[tuple[str, str]]] = {}
        self.swept_ms = 0

    @property
    def writes_to(self) -> Collection[str]:
        """See Stage."""
        return (*super().writes_to, self.plan.topics.contacts.name)

    def _admit(self, event: Event, record: Record) -> Verdict:
        return admit_call(self.ledger, event, record.key, record.timestamp)

    def _touched(self, verdict: Admitted) -> None:
        if verdict.change.added and type(verdict.change.added[0]) is Reported:
            self.reports.add(verdict.log)
        else:
            self.touched[verdict.log] = None

    def _reference_for_boards(self) -> list[Any]:
        """Every shard has the same reference data; the first tells it to the boards."""
        if self.partition != 0:
            return []
        reference = self.ledger.reference
        return [(*entity, reference.dump_one(entity)) for entity in sorted(self.learned)]

    def _cut_logs(self) -> list[Write]:
        writes = []
        for log in self.touched:
            contact = cast("Contact", self.ledger.contacts[log])
            packed = contact_log.pack(contact)
            writes.append(Write(self.changelog, self.partition, key_of_state(LOG, *log), packed))
            if contact.has_closed:
                writes.append(self._record(log, contact))
            if log in self.at_hand:
                self.at_hand.move_to_end(log)
            else:
                self.at_hand[log] = None
                self._expires(log, contact)
        self.touched.clear()
        for log in self.reports:
            packed = pack(self.ledger.reported[log])
            writes.append(
                Write(self.changelog, self.partition, key_of_state(REPORTED, *log), packed)
            )
        self.reports.clear()
        self._pack_the_rest()
        # After the touched ones: a contact may end and go in one flush of history.
        return writes + self._sweep()

    def _record(self, log: tuple[str, str], contact: Contact) -> Write:
        tenant, contact_id = log
        key = f"{tenant}/{contact_id}".encode()
        value = encode(contact_record(tenant, contact_id, contact))
        # The topic has a partition for each of calls: the hash of every key again is spared.
        return Write(self.plan.topics.contacts.name, self.partition, key, value)

    def _pack_the_rest(self) -> None:
        contacts = self.ledger.contacts
        while len(self.at_hand) > AT_HAND:
            log, _ = self.at_hand.popitem(last=False)
            contact = contacts.get(log)
            if type(contact) is Contact:
                contacts[log] = contact_log.pack(contact)

    def _expires(self, log: tuple[str, str], contact: Contact | Head, first: int = 0) -> None:
        """Look at the log in the step when it would be gone by what is known now, or in `first`."""
        keep_ms = self.ledger.keep_ms(contact.channel)
        if keep_ms is not None:
            step = max(first, (contact.last_ms + keep_ms) // SWEEP_STEP_MS + 1)
            self.expiring.setdefault(step, set()).add(log)

    def _sweep(self) -> list[Write]:
        """Let go of the logs that admission treats as gone; only memory depends on when."""
        ledger = self.ledger
        now = ledger.latest_ms // SWEEP_STEP_MS
        writes = []
        for step in [step for step in self.expiring if step <= now]:
            for log in self.expiring.pop(step):
                contact = ledger.contacts.get(log)
                if contact is None:
                    continue
                known = contact_log.head_of(contact) if isinstance(contact, bytes) else contact
                if ledger.is_gone(known):
                    del ledger.contacts[log]
                    self.at_hand.pop(log, None)
                    key = key_of_state(LOG, *log)
                    writes.append(Write(self.changelog, self.partition, key, None))
                else:
                    self._expires(log, known, now + 1)
        return writes

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """See Stage."""
        yield from super().restore(memory, items)
        now = self.ledger.latest_ms // SWEEP_STEP_MS
        # Looked at once within the next hour, and then kept where it belongs.
        soon: list[set[tuple[str, str]]] = [set() for _ in range(60)]
        for log in self.ledger.contacts:
            index = hash(log) % 60
            soon[index].add(log)
            if index == 0:
                yield
        self.expiring = {now + 1 + index: logs for index, logs in enumerate(soon) if logs}

    def _restore_log(self, names: list[Any], value: bytes) -> None:
        self.ledger.contacts[names[0], names[1]] = value

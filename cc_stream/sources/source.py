"""What a source is: a pure fold from payloads of a vendor to canonical events.

`fold(state, payloads) -> (state', events, …)` reads no clock and changes nothing that it was given,
so the same payloads from the same state give the same events, however they are cut into batches.
The state is saved together with the position, in one transaction with what was produced.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from cc_stream.errors import CcStreamError
from cc_stream.events import DEFAULT_TENANT, Event, Refused

State = TypeVar("State")


class Options(Struct, frozen=True):
    """What an installation says about a source; not part of its state.

    `source` is the CloudEvents source of the events. `caller_hash_key` keys the hash by which
    callers are told apart; without it callers are left out.
    """

    source: str
    tenant: str = DEFAULT_TENANT
    caller_hash_key: bytes = b""


class Refusal(Struct, frozen=True):
    """A payload that gave no event: its place in the batch, its original bytes, and why."""

    index: int
    payload: bytes
    why: Refused


class Folded(Struct, Generic[State], frozen=True):
    """The outcome of a batch. `ignored` counts by verb what is known to carry no event."""

    state: State
    events: Sequence[Event]
    refused: Sequence[Refusal] = ()
    ignored: Mapping[str, int] = {}


class MalformedError(CcStreamError):
    """A payload breaks a rule; raised inside a source only, and turned into a `Refusal`."""

    def __init__(self, rule: str, path: str, detail: str) -> None:
        super().__init__(f"{rule} {path}: {detail}")
        self.why = Refused(rule, path, detail)


class Source(Struct, Generic[State], frozen=True):
    """One kind of source. Its functions are pure; `state_type` can be written as msgpack."""

    name: str
    default_source: str
    """The CloudEvents source where the options name none."""
    state_type: type[State]
    start: Callable[[], State]
    """The state before the first payload."""
    fold: Callable[[State, Sequence[bytes], Options], Folded[State]]
    flush: Callable[[State, Options, int | None], Folded[State]]
    """What became due by a moment (ms; None: all that is pending), without a further payload."""

    def dump(self, state: State) -> bytes:
        """The state as msgpack."""
        return msgspec.msgpack.encode(state)

    def load(self, packed: bytes) -> State:
        """The state that `dump` wrote.

        Raises:
            msgspec.ValidationError: another version of the source wrote it.
        """
        return msgspec.msgpack.decode(packed, type=self.state_type)


AnySource = Source[Any]

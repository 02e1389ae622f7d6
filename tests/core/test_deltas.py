"""What a flush sends to which board."""

from cc_stream.contact_log import Change
from cc_stream.deltas import Deltas, split
from cc_stream.facts import Reported


def test_a_board_whose_numbers_are_all_zero_gets_nothing() -> None:
    # It was told to have an empty list of parts, and reference data for it found no part to go in.
    deltas = Deltas()
    reported = Reported(queue="sales", waiting=0, at=1_795_500_000_000)
    deltas.take(Change((), (reported,)), "default")
    assert split(deltas, boards=4) == {}

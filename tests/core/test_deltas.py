"""What a flush sends to which board."""

from cc_stream.deltas import Deltas, split
from cc_stream.facts import Reported


def test_a_board_whose_numbers_are_all_zero_gets_nothing() -> None:
    # It was told to have an empty list of parts, and reference data for it found no part to go in.
    deltas = Deltas()
    deltas.add(Reported(queue="sales", waiting=0, at=1_795_500_000_000), "default", 1)
    assert split(deltas, boards=4) == {}

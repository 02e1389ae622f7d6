"""The standings of a team, kept in order, are those that are ranked from all of them anew."""

from hypothesis import given
from hypothesis import strategies as st

from cc_stream.leaderboard import BY_NAME, Standing, ranked
from streams.board.show import Order

CONVERSION = BY_NAME["conversion"]

changes = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 4), st.integers(0, 3)), max_size=30
)


@given(changes, st.integers(0, 7))
def test_whatever_changed_the_first_are_the_first_of_all(
    drawn: list[tuple[str, int, int]], size: int
) -> None:
    order = Order()
    rows: dict[str, Standing] = {}
    for agent, score, sample in drawn:
        able = sample > 1
        row = Standing(agent, "t", None, score / 4, score / 4, sample, None, able)
        order.replace(rows.get(agent), row)
        rows[agent] = row
        assert order.best(CONVERSION, size) == ranked(CONVERSION, rows.values(), size)

"""How far a server's clock is ahead: never said to be more, so that what was given up does not take effect later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guardrails.caps.redis.node import Ahead

TRIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1)
"""Each a pause, the way there and the way back, in microseconds."""


def told(ahead: Ahead, server_ahead: int, now: int, there: int, back: int) -> int:
    """What follows from an answer of a server whose clock is so much ahead; returns when it was there."""
    answered_at = now + there + back
    ahead.learn(now + there + server_ahead, asked_at=now, answered_at=answered_at)
    return answered_at


@given(server_ahead=st.integers(-(10**12), 10**12), trips=TRIPS)
def test_it_is_as_much_as_the_quickest_way_back_leaves_room_for_and_never_more(server_ahead, trips):
    ahead, now = Ahead(), 0
    for pause, there, back in trips:
        now = told(ahead, server_ahead, now + pause, there, back)
    assert ahead.least == server_ahead - min(back for _, _, back in trips)


@given(steps=st.lists(st.tuples(st.integers(-(10**9), 10**9), TRIPS), min_size=1))
def test_a_clock_that_was_set_is_known_to_the_length_of_an_answer(steps):
    ahead, now, server_ahead = Ahead(), 0, 0
    for step, trips in steps:
        server_ahead += step
        for pause, there, back in trips:
            now = told(ahead, server_ahead, now + pause, there, back)
            assert server_ahead - back <= ahead.least <= server_ahead + there


@given(step=st.integers(1, 10**9), trips=TRIPS)
def test_a_clock_that_was_set_forward_is_never_said_to_be_more_ahead_than_it_is(step, trips):
    ahead = Ahead()
    now = told(ahead, 0, 0, 10, 10)
    for pause, there, back in trips:
        now = told(ahead, step, now + pause, there, back)
        assert ahead.least <= step

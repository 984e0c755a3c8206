"""Whatever happens to slots, both stores answer every question alike, and both as a list of slots would."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.ports import Reservation
from guardrails.storage.connections import Database
from guardrails.storage.memory import Journal
from guardrails.storage.tables import cap_slots
from stores import instant, memory_session, sql_session, sqlite_url

MINUTES = st.integers(0, 12).map(lambda minutes: instant(10) + timedelta(minutes=5 * minutes))
CAPS = st.sampled_from(["cap-1", "cap-2"])
KEYS = st.sampled_from(["k-1", "k-2"])
TAKES = st.builds(
    Take, CAPS, KEYS, st.sampled_from(["reserved", "sent", "delivered"]), st.sampled_from([None, 0, 300, 1800])
)
NUMBERS = st.integers(0, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.lists(TAKES, max_size=3), MINUTES, MINUTES),
        st.tuples(st.just("commit"), NUMBERS, st.sampled_from(["sent", "delivered"]), MINUTES),
        st.tuples(st.just("release"), NUMBERS),
    ),
    max_size=14,
)
QUERIES = st.lists(
    st.builds(UsageQuery, CAPS, KEYS, MINUTES, st.integers(0, 3), st.sampled_from(["counted_at", "until"])), max_size=8
)


def apply(session, steps) -> None:
    reserved = 0
    for verb, *details in steps:
        if verb == "reserve":
            takes, at, lease_until = details
            reservation = Reservation(decision_id=f"d-{reserved}", takes=tuple(takes), at=at, lease_until=lease_until)
            session.caps.reserve([reservation])
            reserved += 1
        elif verb == "commit":
            number, outcome, at = details
            session.caps.commit(f"d-{number}", outcome, at)
        else:
            session.caps.release(f"d-{details[0]}")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = Database(sqlite_url(tmp_path_factory.mktemp("slots") / "guardrails.db"))
    yield database
    database.close()


@settings(max_examples=300)
@given(steps=STEPS, queries=QUERIES, now=MINUTES)
def test_memory_and_sql_answer_alike(database, steps, queries, now):
    memory = memory_session(Journal())
    with database.unit() as connection:
        connection.execute(delete(cap_slots))
        sql = sql_session(connection)
        answers = [apply(session, steps) or dict(session.caps.read(queries, now)) for session in (memory, sql)]
    assert answers[0] == answers[1]
    assert set(answers[0]) == set(queries)

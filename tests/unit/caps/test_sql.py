"""What the SQL must hold beyond the contract: that its cost stays flat."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from guardrails.caps.sql import _COMMITS, _READINGS, _RELEASE
from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.ports import Reservation
from guardrails.storage.connections import Database
from guardrails.storage.transactors import sql_transactor
from stores import instant, open_stores, run, sql_session, sqlite_url

NOW = instant(12)


@pytest.fixture
def database(tmp_path):
    database = Database(sqlite_url(tmp_path / "guardrails.db"))
    with database.unit():
        pass
    yield database
    database.close()


def plan(database, statement) -> list[str]:
    text = re.sub(r"__\[POSTCOMPILE_\w+\]", "?", str(statement.compile(database.engine)))
    with database.unit() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("[]",) * text.count("?"))
        return [row.detail for row in rows]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (_READINGS["counted_at"].totals, "COVERING INDEX ix_cap_slots_counted_at (cap=? AND key=? AND counted_at>?)"),
        (_READINGS["counted_at"].instants, "COVERING INDEX ix_cap_slots_counted_at (cap=? AND key=? AND counted_at>?)"),
        (_READINGS["counted_at"].newest, "COVERING INDEX ix_cap_slots_counted_at (cap=? AND key=? AND counted_at>?)"),
        (_READINGS["until"].totals, "COVERING INDEX ix_cap_slots_until (cap=? AND key=? AND until>?)"),
        (_READINGS["until"].instants, "COVERING INDEX ix_cap_slots_until (cap=? AND key=? AND until>?)"),
        (_READINGS["until"].newest, "COVERING INDEX ix_cap_slots_until (cap=? AND key=? AND until>?)"),
        (_COMMITS["sent"], "INDEX ix_cap_slots_decision_id (decision_id=?)"),
        (_COMMITS["delivered"], "INDEX ix_cap_slots_decision_id (decision_id=?)"),
        (_RELEASE, "INDEX ix_cap_slots_decision_id (decision_id=?)"),
    ],
)
def test_slots_are_reached_by_an_index_alone(database, statement, expected):
    details = plan(database, statement)
    assert [detail.partition("USING ")[2] for detail in details if "cap_slots" in detail] == [expected]


def statements_of(database, work) -> list[str]:
    seen: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def see(connection, cursor, statement, parameters, context, executemany):
        seen.append(statement)

    transactor = sql_transactor(database, sql_session)
    run(transactor, work)
    transactor.close()
    event.remove(database.engine, "before_cursor_execute", see)
    return [statement.split()[0] for statement in seen if not statement.startswith("BEGIN")]


def reservations(count: int) -> list[Reservation]:
    return [
        Reservation(
            decision_id=f"d-{number}-{place}",
            takes=(Take("cap", f"k-{number}", "reserved", 60),),
            at=instant(10) + timedelta(minutes=place),
            lease_until=instant(13),
        )
        for number in range(count)
        for place in range(3)
    ]


@pytest.mark.parametrize(("newest", "expected"), [(0, 1), (1, 1), (3, 2)])
def test_statements_are_as_many_for_one_question_as_for_many(database, newest, expected):
    statements_of(database, lambda session: session.caps.reserve(reservations(100)))
    for count in (1, 100):
        queries = [UsageQuery("cap", f"k-{number}", instant(0), newest) for number in range(count)]
        assert statements_of(database, lambda session: session.caps.read(queries, NOW)) == ["SELECT"] * expected  # noqa: B023


def test_all_slots_are_taken_by_one_statement(database):
    assert statements_of(database, lambda session: session.caps.reserve(reservations(100))) == ["INSERT"]


def test_keys_used_beyond_what_is_listed_are_read_with_a_limit(tmp_path):
    transactor = open_stores(sqlite_url(tmp_path / "guardrails.db"))
    run(transactor, lambda session: session.caps.reserve(reservations(2)))
    query = UsageQuery("cap", "k-0", instant(0), 2)
    usage = run(transactor, lambda session: session.caps.read([query], NOW))[query]
    transactor.close()
    assert (usage.older, usage.times) == (1, (instant(10, 1), instant(10, 2)))

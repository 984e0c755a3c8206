"""What the SQL must hold beyond the contract: that its cost stays flat."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import event, insert

from guardrails.caps import sql
from guardrails.core.cap_rule import LISTED_TIMES
from guardrails.core.needs import Take, Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from guardrails.errors import DependencyError
from guardrails.storage.connections import Database
from guardrails.storage.tables import cap_epochs
from stores import instant, sqlite_url

NOW = instant(12)
OWNED = Take("cap", "k", owner="r-1")
SHARED = Take("cap", "k")
TALLIED = Take("tallied", "k", is_tallied=True)


@pytest.fixture
def database(tmp_path):
    database = Database(sqlite_url(tmp_path / "guardrails.db"))
    with database.unit():
        pass
    yield database
    database.close()


def plan(database, statement) -> list[str]:
    """How each of the cap tables is reached."""
    text = re.sub(r"__\[POSTCOMPILE_\w+\]", "?", str(statement.compile(database.engine)))
    with database.unit() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("[]",) * text.count("?"))
        return [row.detail.partition("USING ")[2] for row in rows if "cap_" in row.detail]


SLOTS = "PRIMARY KEY (owner=? AND cap=? AND key=? AND instant>?)"
EARLIER, LATER = (
    "PRIMARY KEY (cap=? AND key=? AND quarter>? AND quarter<?)",
    "PRIMARY KEY (cap=? AND key=? AND quarter>?)",
)
ENDED = "PRIMARY KEY (cap=? AND key=? AND lease_until<?)"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (sql._NEWEST, [SLOTS]),
        (sql._NUMBER, [SLOTS]),
        (sql._TALLIED, [EARLIER, ENDED, LATER, ENDED]),
        (sql._KEYS, ["PRIMARY KEY (owner=?)"]),
        (sql._DROP_SLOT, ["PRIMARY KEY (owner=? AND cap=? AND key=? AND instant=? AND decision_id=?)"]),
        (sql._DROP_LEASE, ["PRIMARY KEY (cap=? AND key=? AND lease_until=? AND decision_id=?)"]),
        (sql._KEEP_LEASES, []),
        (sql._COUNT, ["PRIMARY KEY (cap=? AND key=? AND quarter=?)"]),
    ],
)
def test_rows_are_reached_by_their_key_alone(database, statement, expected):
    assert expected == plan(database, statement)


def test_old_quarters_are_found_by_their_index(database):
    assert "COVERING INDEX ix_cap_tallies_keep_until (keep_until<?)" in plan(database, sql._SWEEP)


def statements_of(database, work) -> list[str]:
    """The statements of a unit, by their first word, but for its look at where the caps live."""
    seen: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def see(connection, cursor, statement, parameters, context, executemany):
        seen.append(statement)

    with database.unit() as connection:
        work(sql.SqlCaps(connection))
    event.remove(database.engine, "before_cursor_execute", see)
    looks = [statement for statement in seen if "cap_epochs" in statement]
    assert len(looks) <= 1
    return [each.split()[0] for each in seen if not each.startswith("BEGIN") and each not in looks]


def test_caps_that_live_in_redis_are_not_counted_here(database):
    with database.unit() as connection:
        assert sql.SqlCaps(connection).keys_of("r-1") == []
        connection.execute(insert(cap_epochs).values(only=0, home="h", epoch="e.1", servers="[]", keeps="{}"))
    with database.unit() as connection, pytest.raises(DependencyError, match="live in Redis") as caught:
        sql.SqlCaps(connection).keys_of("r-1")
    assert caught.value.dependency == "caps"


def holdings(count: int, *takes: Take) -> list[Holding]:
    return [
        Holding(
            decision_id=f"d-{number}",
            takes=takes or (replace(OWNED, owner=f"r-{number % 100}"), SHARED, TALLIED),
            at=instant(10) + timedelta(seconds=number),
            lease_until=instant(13),
        )
        for number in range(count)
    ]


def reserve(database, held: list[Holding]) -> list[str]:
    reservations = [Reservation(holding=each) for each in held]
    return statements_of(database, lambda caps: caps.reserve(reservations, NOW))


@pytest.mark.parametrize("count", [1, 300])
def test_slots_are_taken_and_settled_by_a_few_statements_however_many_they_are(database, count):
    held = holdings(count)
    gone = [Settlement(before=each, after=None) for each in held]
    assert reserve(database, held) == ["INSERT", "INSERT", "INSERT"]
    assert statements_of(database, lambda caps: caps.settle(gone)) == ["DELETE", "INSERT", "DELETE", "DELETE"]


def test_a_table_that_has_nothing_to_say_is_left_alone(database):
    (held,) = holdings(1, TALLIED)
    sent = replace(held, lease_until=None, sent_at=NOW)
    assert reserve(database, []) == []
    assert reserve(database, holdings(1, OWNED)) == ["INSERT"]
    reserve(database, [held])
    assert statements_of(database, lambda caps: caps.settle([Settlement(before=held, after=sent)])) == ["DELETE"]


@pytest.mark.parametrize("newest", [1, 3, LISTED_TIMES])
def test_one_statement_answers_one_question_or_many(database, newest):
    reserve(database, holdings(100))
    for count in (1, 100):
        queries = [UsageQuery("cap", "k", instant(10), newest, owner=f"r-{number}") for number in range(count)]
        assert statements_of(database, lambda caps: caps.read(queries, NOW)) == ["SELECT"]  # noqa: B023


def test_tallied_keys_take_one_statement_more(database):
    reserve(database, holdings(100))
    queries = [
        *(UsageQuery("cap", "k", instant(10), LISTED_TIMES, owner=f"r-{number}") for number in range(100)),
        UsageQuery("tallied", "k", instant(0), 0, split=instant(20)),
        *(UsageQuery("tallied", f"k-{number}", instant(0), 0, split=instant(20)) for number in range(100)),
    ]
    assert statements_of(database, lambda caps: caps.read(queries, NOW)) == ["SELECT", "SELECT"]


def test_only_keys_with_more_than_is_listed_are_counted(database):
    reserve(database, holdings(5, OWNED, SHARED))
    owned, shared = (UsageQuery("cap", "k", instant(10), 3, owner=owner) for owner in ("r-1", None))
    for queries, expected in (
        ([owned], ["SELECT", "SELECT"]),
        ([owned, shared], ["SELECT", "SELECT", "SELECT"]),
        ([owned, replace(owned, newest=4)], ["SELECT", "SELECT", "SELECT", "SELECT"]),
        ([replace(shared, newest=5)], ["SELECT"]),
    ):
        assert expected == statements_of(database, lambda caps: caps.read(queries, NOW))  # noqa: B023


def test_of_a_busy_shared_key_no_more_is_counted_than_any_limit_needs(database):
    reserve(database, holdings(2 * LISTED_TIMES + 5, SHARED, OWNED))
    shared, owned = (UsageQuery("cap", "k", instant(10), 2, owner=owner) for owner in (None, "r-1"))
    with database.unit() as connection:
        answers = sql.SqlCaps(connection).read([shared, owned], NOW)
    assert answers[shared].older == LISTED_TIMES
    assert answers[owned].older == 2 * LISTED_TIMES + 3


def test_a_tallied_key_has_a_row_a_quarter_however_many_sends(database):
    held = holdings(2_000, TALLIED)
    reserve(database, held)
    with database.unit() as connection:
        caps = sql.SqlCaps(connection)
        caps.settle([Settlement(before=each, after=replace(each, lease_until=None, sent_at=each.at)) for each in held])
        query = UsageQuery("tallied", "k", instant(0), 0, split=instant(20))
        assert {query: Usage(older=2_000, split=instant(20))} == caps.read([query], NOW)
        tables = ("cap_slots", "cap_tallies", "cap_tally_leases")
        rows = [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables]  # noqa: S608
    assert rows == [0, 3, 0]

"""From Redis back into the database: everything that committed decisions hold, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from guardrails.audit import SqlDecisions
from guardrails.caps import MemoryCaps, SqlCaps, moving
from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.holdings import Settlement, instant_of
from guardrails.decide.ports import StoredDecision
from guardrails.errors import DependencyError
from guardrails.storage.connections import Database
from guardrails.storage.memory import Journal
from guardrails.storage.tables import cap_epochs
from redis_stores import open_redis_stores, real_now
from stores import instant, sqlite_url, stored_decision
from unit.caps.redis.making import BUDGET, OWN, decision, reservation, used

NOW = instant(12)
STATES = ("reserved", "sent", "delivered", "complained", "expired", "failed", "cancelled", "bounced")
LIVES_IN_REDIS = insert(cap_epochs).values(only=0, home="h", epoch="e.1", servers="[]", keeps="{}")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    return (
        sqlite_url(tmp_path / "guardrails.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


def takes(number: int) -> tuple[Take, ...]:
    owner = f"r-{number % 7}"
    return (
        Take("own", f'["{owner}"]', owner=owner),
        Take("gap", f'["{owner}"]', "sent", 3600, owner),
        Take("shared", "[]", "delivered"),
        Take("budget", "[]", keep_seconds=86_400, is_tallied=True),
        Take("money", "[]", keep_seconds=86_400, is_tallied=True, amount_minor=number),
    )[: number % 6]


def row(number: int) -> StoredDecision:
    state = STATES[number % len(STATES)]
    at = instant(10) + timedelta(seconds=number)
    return stored_decision(
        number,
        state=state,
        evaluated_at=at,
        takes=takes(number),
        lease_until=at + timedelta(hours=number % 4),
        sent_at=at if state in {"sent", "delivered", "complained"} else None,
        delivered_at=at if state in {"delivered", "complained"} else None,
        is_caps_pending=number % 3 == 0,
    )


ROWS = [row(number) for number in range(1_700)]
QUERIES = [
    UsageQuery(cap, f'["r-{number}"]', instant(0), 10, by, f"r-{number}")
    for number in range(7)
    for cap, by in (("own", "counted_at"), ("gap", "until"))
] + [
    UsageQuery("shared", "[]", instant(0), 1000),
    UsageQuery("budget", "[]", instant(10, 15), 0, split=instant(11)),
    UsageQuery("money", "[]", instant(10, 15), 0, split=instant(11), sums=True),
]


def expected():
    """What a store says that was told of every row."""
    memory = MemoryCaps(Journal())
    memory.settle([Settlement(before=None, after=each.holding()) for each in ROWS])
    return memory.read(QUERIES, NOW)


def held() -> tuple[int, int]:
    """How many decisions hold something, and how many slots."""
    holdings = [holding for each in ROWS if (holding := each.holding()) is not None]
    slots = [take for holding in holdings for take in holding.takes if instant_of(take, holding) is not None]
    return len(holdings), len(slots)


def test_what_decisions_hold_is_back_and_nothing_of_before_is_left(database):
    with database.unit() as connection:
        decisions = SqlDecisions(connection)
        decisions.insert(ROWS)
        stale = [replace(row(number), decision_id=f"gone-{number}", state="sent") for number in range(50)]
        SqlCaps(connection).settle([Settlement(before=None, after=each.holding()) for each in stale])
        connection.execute(LIVES_IN_REDIS)
    with database.unit() as connection:
        filled = moving.take_back(connection, SqlDecisions(connection))
        assert filled == ("database", *held(), pytest.approx(0, abs=60))
    with database.unit() as connection:
        assert SqlCaps(connection).read(QUERIES, NOW) == expected()
        assert SqlDecisions(connection).caps_pending(10) == []
        assert not moving.take_back(connection, SqlDecisions(connection)), "they live here already"
        assert SqlCaps(connection).read(QUERIES, NOW) == expected()


def test_what_is_broken_off_leaves_the_caps_where_they_were(database):
    with database.unit() as connection:
        SqlDecisions(connection).insert(ROWS[:20])
        connection.execute(LIVES_IN_REDIS)

    def break_off() -> None:
        with database.unit() as connection:
            moving.take_back(connection, SqlDecisions(connection))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    with database.unit() as connection, pytest.raises(DependencyError, match="live in Redis"):
        SqlCaps(connection).keys_of("r-1")


def take_back(url) -> None:
    database = Database(url)
    with database.unit() as connection:
        moving.take_back(connection, SqlDecisions(connection))
    database.close()


def test_caps_may_move_to_redis_and_back_and_again(url, redis_server):
    redis_server.flush()
    at = real_now()
    with open_redis_stores(url, redis_server.url) as stores:
        for number in range(2):
            stores.mend()

            def decide(session, number=number):
                session.caps.reserve([reservation(number, at, OWN, BUDGET)], at)
                session.decisions.insert([decision(number, at, OWN, BUDGET)])

            stores.do(decide)
            assert used(stores, at, OWN, BUDGET) == [number + 1] * 2
            take_back(url)
            with pytest.raises(DependencyError, match="another process took the caps into the database"):
                used(stores, at, OWN)
            database = Database(url)
            queries = [OWN.query(at), BUDGET.query(at)]
            with database.unit() as connection:
                answers = SqlCaps(connection).read(queries, at)
            database.close()
            assert [len(answers[query].times) for query in queries] == [number + 1] * 2


def test_what_the_database_held_is_let_go_of_once_they_live_in_redis(url, redis_server):
    redis_server.flush()
    database = Database(url)
    with database.unit() as connection:
        SqlCaps(connection).settle([Settlement(before=None, after=each.holding()) for each in ROWS])
    with open_redis_stores(url, redis_server.url) as stores:
        stores.mend()
        removed = []
        while not removed or removed[-1]:
            removed.append(stores.do(lambda session: session.caps.sweep(NOW, 200)))
            assert removed[-1] <= 200
    with database.unit() as connection:
        assert moving.let_go(connection, 10) == 0
    database.close()
    assert sum(removed) > 1_000

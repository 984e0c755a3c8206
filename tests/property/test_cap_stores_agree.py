"""Whatever happens to what decisions hold, both stores answer alike, and both as a plain recount would."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import delete

from guardrails.caps import MemoryCaps, SqlCaps
from guardrails.core.needs import Take, Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from guardrails.storage.connections import Database
from guardrails.storage.memory import Journal
from guardrails.storage.tables import cap_slots, cap_tallies, cap_tally_leases
from stores import instant, sqlite_url

QUARTER = timedelta(minutes=15)
TICK = timedelta(microseconds=1)

# Few, so that what is asked for was mostly taken; on both sides of quarters of an hour.
INSTANTS = st.builds(
    lambda quarters, ticks: instant(10) + quarters * QUARTER + ticks * TICK,
    st.integers(0, 4),
    st.sampled_from([-1, 0, 0, 1, 300_000_001]),
)
ODD = """["ä\U0001f389","'; --\\"""
LISTED_KEYS = st.sampled_from(
    [("cap-1", "k-1", "r-1"), ("cap-1", ODD, "r-1"), ("cap-2", "k-1", "r-1"), ("cap-1", "k-1", None)]
)
TALLIED_KEYS = st.sampled_from([("cap-3", "k-1"), ("cap-3", ODD), ("cap-4", "k-1")])
MOMENTS = st.sampled_from(["reserved", "reserved", "sent", "delivered"])
LISTED = st.builds(
    lambda named, moment, countdown: Take(named[0], named[1], moment, countdown, named[2]),
    LISTED_KEYS,
    MOMENTS,
    st.sampled_from([None, None, 0, 300, 1800]),
)
TALLIED = st.builds(
    lambda named, moment, keep: Take(*named, moment, keep_seconds=keep, is_tallied=True),
    TALLIED_KEYS,
    MOMENTS,
    st.sampled_from([0, 600]),
)
SUMMED_KEYS = st.sampled_from([("spent", "k-1"), ("spent", ODD)])
SUMMED = st.builds(
    lambda named, moment, amount: Take(*named, moment, keep_seconds=600, is_tallied=True, amount_minor=amount),
    SUMMED_KEYS,
    MOMENTS,
    st.sampled_from([1, 250, 10**14 + 1]),
)
TAKES = st.lists(LISTED | TALLIED | SUMMED, max_size=4, unique_by=lambda take: (take.cap, take.key, take.owner)).map(
    tuple
)
HOLDINGS = st.builds(
    Holding,
    decision_id=st.just(""),
    takes=TAKES,
    at=INSTANTS,
    lease_until=INSTANTS,
    sent_at=st.none(),
    delivered_at=st.none(),
)
NUMBERS = st.integers(0, 20)
LATER_LIVES = st.one_of(
    st.none(),  # released, expired, removed
    st.fixed_dictionaries({"lease_until": st.none(), "sent_at": INSTANTS}),
    st.fixed_dictionaries({"lease_until": st.none(), "sent_at": INSTANTS, "delivered_at": INSTANTS}),
    st.fixed_dictionaries({"lease_until": INSTANTS}),  # reserved as before
)
RESERVE = st.tuples(st.just("reserve"), st.lists(HOLDINGS, max_size=3))
SETTLE = st.tuples(st.just("settle"), st.lists(st.tuples(NUMBERS, LATER_LIVES), max_size=4))
SWEEP = st.tuples(st.just("sweep"), INSTANTS, st.integers(0, 3))
IS_KEPT = st.sampled_from([True, True, True, False])
LISTING = st.builds(
    lambda named, since, newest: UsageQuery(named[0], named[1], since, newest, owner=named[2]),
    LISTED_KEYS,
    INSTANTS,
    st.integers(0, 4),
)
SPLIT = st.builds(
    lambda named, since, split: UsageQuery(*named, since, 0, split=split), TALLIED_KEYS, INSTANTS, INSTANTS
)
SUM = st.builds(
    lambda named, since, split: UsageQuery(*named, since, 0, split=split, sums=True), SUMMED_KEYS, INSTANTS, INSTANTS
)
QUERIES = st.lists(LISTING | SPLIT | SUM, max_size=10)


class Stores:
    """Both stores, and what every decision holds."""

    def __init__(self, connection) -> None:
        for table in (cap_slots, cap_tallies, cap_tally_leases):
            connection.execute(delete(table))
        self.connection = connection
        self.journal = Journal()
        self.stores = (MemoryCaps(self.journal), SqlCaps(connection))
        self.reserved: tuple[Holding, ...] = ()
        self.holdings: tuple[Holding | None, ...] = ()

    def work(self, steps) -> None:
        """One unit a step, kept or not."""
        for is_kept, (verb, *details) in steps:
            before = self.reserved, self.holdings
            savepoint = self.connection.begin_nested()
            getattr(self, verb)(*details)
            if is_kept:
                savepoint.commit()
                self.journal.keep()
            else:
                savepoint.rollback()
                self.journal.take_back()
                self.reserved, self.holdings = before

    def reserve(self, holdings) -> None:
        named = tuple(
            replace(holding, decision_id=f"d-{number}") for number, holding in enumerate(holdings, len(self.reserved))
        )
        for store in self.stores:
            store.reserve([Reservation(holding=holding) for holding in named], instant(0))
        self.reserved += named
        self.holdings += named

    def settle(self, moves) -> None:
        holdings = list(self.holdings)
        settlements = []
        for each, life in moves if holdings else ():
            number = each % len(holdings)
            after = None if life is None else replace(self.reserved[number], **life)
            settlements.append(Settlement(before=holdings[number], after=after))
            holdings[number] = after
        for store in self.stores:
            store.settle(settlements)
        self.holdings = tuple(holdings)

    def sweep(self, now, most) -> None:
        memory, sql = (store.sweep(now, most) for store in self.stores)
        assert memory == sql

    def answers(self, queries, now) -> dict[UsageQuery, Usage]:
        memory, sql = (dict(store.read(queries, now)) for store in self.stores)
        assert memory == sql
        assert set(memory) == set(queries)
        return memory


def counted_at(take, holding) -> datetime | None:
    start = {"reserved": holding.at, "sent": holding.sent_at, "delivered": holding.delivered_at}[take.count_on]
    return None if start is None else start + timedelta(seconds=take.countdown_seconds or 0)


def recount(holdings, query, now) -> Usage:
    """What every slot of every decision makes of the question."""
    counted = sorted(
        (at, take.amount)
        for holding in holdings
        if holding is not None and (holding.lease_until is None or holding.lease_until > now)
        for take in holding.takes
        if (take.cap, take.key, take.owner, take.is_tallied)
        == (query.cap, query.key, query.owner, query.split is not None)
        if (at := counted_at(take, holding)) is not None
    )
    if query.split is None:
        times = [at for at, _ in counted if at >= query.since]
        older = max(0, len(times) - query.newest)
        return Usage(older, tuple(times[older:]))
    quarters = [(at - (at - instant(0)) % QUARTER, amount) for at, amount in counted]  # each counts whole
    older = sum(amount for start, amount in quarters if query.since < start + QUARTER and start < query.split)
    later = sum(amount for start, amount in quarters if query.split < start + QUARTER)
    return Usage(older=older, later=later, split=query.split)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = Database(sqlite_url(tmp_path_factory.mktemp("slots") / "guardrails.db"))
    yield database
    database.close()


def histories(*steps):
    return st.lists(st.tuples(IS_KEPT, st.one_of(*steps)), max_size=10)


@settings(max_examples=300)
@given(steps=histories(RESERVE, SETTLE), queries=QUERIES, now=INSTANTS)
def test_both_stores_answer_as_a_recount_of_what_decisions_hold(database, steps, queries, now):
    with database.unit() as connection:
        stores = Stores(connection)
        stores.work(steps)
        assert {query: recount(stores.holdings, query, now) for query in queries} == stores.answers(queries, now)


@settings(max_examples=150)
@given(steps=histories(RESERVE, SETTLE, SWEEP), queries=QUERIES, now=INSTANTS)
def test_both_stores_remove_alike_what_nobody_asks_for_any_more(database, steps, queries, now):
    with database.unit() as connection:
        stores = Stores(connection)
        stores.work(steps)
        answers = stores.answers(queries, now)
        memory, sql = ([store.keys_of(owner) for owner in ("r-1", "")] for store in stores.stores)
    assert memory == sql
    for query, usage in answers.items():
        exact = recount(stores.holdings, query, now)
        assert (usage.older, usage.later) <= (exact.older, exact.later)
        assert usage.times == exact.times

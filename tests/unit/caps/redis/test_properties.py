"""Whatever became of decisions, units and Redis: once mended, Redis answers what the decisions' rows say."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import create_engine

from guardrails.caps import MemoryCaps
from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.holdings import Reservation, Settlement
from guardrails.decide.ports import StoredDecision
from guardrails.storage.memory import Journal
from guardrails.storage.tables import cap_epochs, decisions
from redis_stores import open_redis_stores
from servers import start_redis
from stores import instant, sqlite_url, stored_decision

NOW = instant(12)
WEEK = 7 * 86_400

INSTANTS = st.integers(0, 16).map(lambda quarters: instant(10) + quarters * timedelta(minutes=15))
OWN_KEYS = st.sampled_from([("cap-1", "k-1", "r-1"), ("cap-1", "k-2", "r-1"), ("cap-2", "ключ", "r-2")])
SHARED_KEYS = st.sampled_from([("budget", "k-1"), ("budget", "k-2")])
MOMENTS = st.sampled_from(["reserved", "reserved", "sent", "delivered"])
OWN = st.builds(
    lambda named, moment, countdown: Take(named[0], named[1], moment, countdown, named[2], WEEK),
    OWN_KEYS,
    MOMENTS,
    st.sampled_from([None, None, 900, 3600]),
)
SHARED = st.builds(lambda named, moment: Take(*named, moment, keep_seconds=WEEK, is_tallied=True), SHARED_KEYS, MOMENTS)
SUMMED_KEYS = st.sampled_from([("spent", "k-1", None), ("spent", "k-2", None), ("spent-own", '["r-1","c"]', "r-1")])
SUMMED = st.builds(
    lambda named, moment, amount: Take(
        named[0], named[1], moment, None, named[2], WEEK, is_tallied=True, amount_minor=amount
    ),
    SUMMED_KEYS,
    MOMENTS,
    st.sampled_from([1, 250, 10**14 + 1]),
)
TAKES = st.lists(OWN | SHARED | SUMMED, max_size=4, unique_by=lambda take: (take.cap, take.key)).map(tuple)
LIVES = st.one_of(
    st.just({"state": "reserved", "sent_at": None, "delivered_at": None}),
    st.sampled_from(["expired", "failed", "cancelled", "bounced"]).map(lambda state: {"state": state}),
    st.fixed_dictionaries({"state": st.just("sent"), "sent_at": INSTANTS, "delivered_at": st.none()}),
    st.fixed_dictionaries(
        {"state": st.sampled_from(["delivered", "complained"]), "sent_at": INSTANTS, "delivered_at": INSTANTS}
    ),
)
ROWS = st.builds(
    lambda takes, at, lease_until, life: stored_decision(
        0, takes=takes, evaluated_at=at, lease_until=lease_until, due_at=lease_until, **life
    ),
    TAKES,
    INSTANTS,
    INSTANTS,
    LIVES,
)
QUERIES = st.lists(
    st.one_of(
        st.builds(
            lambda named, since, newest: UsageQuery(named[0], named[1], since, newest, owner=named[2]),
            OWN_KEYS,
            INSTANTS,
            st.integers(0, 4),
        ),
        st.builds(
            lambda named, since, split: UsageQuery(*named, since, 0, split=split), SHARED_KEYS, INSTANTS, INSTANTS
        ),
        st.builds(
            lambda named, since, split: UsageQuery(
                named[0], named[1], since, 0, owner=named[2], split=split, sums=True
            ),
            SUMMED_KEYS,
            INSTANTS,
            INSTANTS,
        ),
    ),
    max_size=10,
)


@pytest.fixture(scope="module")
def server():
    with start_redis() as server:
        yield server


class World:
    """A database, a Redis, and what the rows that were committed say."""

    def __init__(self, directory, server) -> None:
        self.server = server
        self.url = sqlite_url(directory / f"{uuid.uuid4().hex}.db")
        self.rows: dict[str, StoredDecision] = {}

    def start(self) -> None:
        """Everything is empty again."""
        self.rows = {}
        self.server.flush()
        self.stores.do(lambda _session: None)  # which makes the tables
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(decisions.delete())
            connection.execute(cap_epochs.delete())
        engine.dispose()
        self.stores.gateway.needs_care = True

    def __enter__(self):
        self._opened = open_redis_stores(self.url, self.server.url, uses_server_time=False, clock=lambda: NOW)
        self.stores = self._opened.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._opened.__exit__(*error)

    def check(self, queries) -> None:
        """Redis answers as a store does that was told of every row."""
        memory = MemoryCaps(Journal())
        memory.settle([Settlement(before=None, after=row.holding()) for row in self.rows.values()])
        expected = memory.read(queries, NOW)
        assert self.stores.do(lambda session: session.caps.read(queries, NOW)) == expected


@pytest.fixture(scope="module")
def world(tmp_path_factory, server):
    with World(tmp_path_factory.mktemp("world"), server) as world:
        yield world


def named(rows, first: int = 0) -> list[StoredDecision]:
    return [
        replace(row, decision_id=f"d-{number}", candidate_id=f"c-{number}") for number, row in enumerate(rows, first)
    ]


@settings(max_examples=100)
@given(rows=st.lists(ROWS, min_size=1, max_size=12), pending=st.sets(st.integers(0, 11)), queries=QUERIES)
def test_a_rebuild_gives_exactly_what_the_rows_say(world, rows, pending, queries):
    world.start()
    kept = [replace(row, is_caps_pending=number in pending) for number, row in enumerate(named(rows))]
    world.stores.do(lambda session: session.decisions.insert(kept))
    world.rows = {row.decision_id: row for row in kept}
    world.stores.mend_patiently()
    world.check(queries)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([True, True, True, False]),
        st.one_of(
            st.tuples(st.just("reserve"), st.lists(ROWS, min_size=1, max_size=3)),
            st.tuples(st.just("report"), st.lists(st.tuples(st.integers(0, 9), LIVES), min_size=1, max_size=3)),
            st.tuples(st.just("lose"), st.none()),
            st.tuples(st.just("read"), QUERIES),
        ),
    ),
    max_size=12,
)


class UnkeptError(Exception):
    """Makes a unit fail."""


@settings(max_examples=200)
@given(steps=STEPS, queries=QUERIES)
def test_redis_answers_what_committed_rows_say_whatever_failed_on_the_way(world, steps, queries):
    world.start()
    world.stores.mend_patiently()
    for is_kept, (verb, details) in steps:
        if verb == "lose":
            world.server.flush()
            world.stores.gateway.needs_care = True
            world.stores.mend_patiently()
            continue
        rows = dict(world.rows)

        def work(session, verb=verb, details=details, rows=rows, is_kept=is_kept):
            {"reserve": reserve, "report": report, "read": read}[verb](session, rows, details)
            if not is_kept:
                raise UnkeptError

        if is_kept:
            world.stores.do(work)
            world.rows = rows
        else:
            with pytest.raises(UnkeptError):
                world.stores.do(work)
    world.check(queries)


def reserve(session, rows, new) -> None:
    asked = [replace(row, state="reserved", sent_at=None, delivered_at=None) for row in named(new, len(rows))]
    session.caps.reserve([Reservation(holding=row.holding()) for row in asked if row.takes], NOW)
    session.decisions.insert(asked)
    rows.update({row.decision_id: row for row in asked})


def report(session, rows, lives) -> None:
    before = dict(rows)
    for number, life in lives:
        decision_id = f"d-{number}"
        if decision_id in rows:
            rows[decision_id] = replace(rows[decision_id], **life)
    changed = [row for decision_id, row in rows.items() if row != before[decision_id]]
    settlements = [Settlement(before=before[row.decision_id].holding(), after=row.holding()) for row in changed]
    session.caps.settle(settlements)
    if changed:
        session.decisions.update(changed)


def read(session, _rows, queries) -> None:
    session.caps.read(queries, NOW)

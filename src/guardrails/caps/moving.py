"""Moving the caps between the database and Redis, as far as the database's own tables are concerned.

Once they live in Redis, these tables are not asked any more (`sql`), and are emptied in small steps. Back they are
filled again from the decisions, in one transaction.

INVARIANT: with the commit that says that the caps live here, the tables hold what every committed decision holds. A
service that still has Redis finds it out in its next unit: no epoch of before counts any more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, delete, select, tuple_

from guardrails.caps.slot import instant_micros
from guardrails.caps.sql import SqlCaps
from guardrails.decide.holdings import Settlement
from guardrails.decide.ports import DecisionStore, StoredDecision
from guardrails.storage.tables import cap_epochs, cap_slots, cap_tallies, cap_tally_leases

__all__ = ["Filled", "let_go", "slots_of", "take_back"]

PAGE_DECISIONS = 500
PAGE_ROWS = 10_000
_TABLES = (cap_slots, cap_tallies, cap_tally_leases)


class Filled(NamedTuple):
    """Where the caps were filled from the decisions that hold something, with how much, and how long it took."""

    into: Literal["database", "redis"]
    decisions: int
    slots: int
    seconds: float


def slots_of(row: StoredDecision) -> int:
    """How many slots count, or will, for a decision."""
    holding = row.holding()
    return 0 if holding is None else sum(instant_micros(take, holding) is not None for take in holding.takes)


def take_back(connection: Connection, decisions: DecisionStore) -> Filled | None:
    """Have the caps live in the database from this transaction's commit on; None where they do already.

    It may take long: some ten thousand decisions a second, and nobody else gets at the database meanwhile.
    """
    if connection.execute(select(cap_epochs.c.only)).first() is None:
        return None
    began = time.monotonic()
    while let_go(connection, PAGE_ROWS):
        pass
    connection.execute(delete(cap_epochs))
    caps = SqlCaps(connection)
    filled_decisions = filled_slots = 0

    def fill(rows: Sequence[StoredDecision]) -> None:
        nonlocal filled_decisions, filled_slots
        caps.settle([Settlement(before=None, after=row.holding()) for row in rows])
        filled_decisions += sum(row.holding() is not None for row in rows)
        filled_slots += sum(map(slots_of, rows))

    after = ""
    while rows := decisions.holding(after, PAGE_DECISIONS):
        fill(rows)
        after = rows[-1].decision_id
    while rows := decisions.caps_pending(PAGE_DECISIONS):
        fill(rows)
        decisions.update([msgspec.structs.replace(row, is_caps_pending=False) for row in rows])
    return Filled("database", filled_decisions, filled_slots, round(time.monotonic() - began, 3))


def let_go(connection: Connection, most: int) -> int:
    """Remove at most `most` rows of tables that are not asked any more; returns how many."""
    return next(filter(None, (_remove(connection, table, most) for table in _TABLES)), 0)


def _remove(connection: Connection, table: Table, most: int) -> int:
    some = select(*table.primary_key).limit(most)
    return connection.execute(delete(table).where(tuple_(*table.primary_key).in_(some))).rowcount

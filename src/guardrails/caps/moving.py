"""Moving the caps between the database and Redis, as far as the database's own tables are concerned.

Once they live in Redis, these tables are not asked any more (`sql`), and are emptied in small steps. Back they are
filled again from the decisions, in one transaction.

INVARIANT: with the commit that says that the caps live here, the tables hold what every committed decision holds. A
service that still has Redis finds it out in its next unit: no epoch of before counts any more.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, Table, delete, select, tuple_

from guardrails.caps.sql import SqlCaps
from guardrails.decide.holdings import Settlement
from guardrails.decide.ports import DecisionStore
from guardrails.storage.tables import cap_epochs, cap_slots, cap_tallies, cap_tally_leases

__all__ = ["let_go", "take_back"]

PAGE_DECISIONS = 500
PAGE_ROWS = 10_000
_TABLES = (cap_slots, cap_tallies, cap_tally_leases)


def take_back(connection: Connection, decisions: DecisionStore) -> bool:
    """Have the caps live in the database from this transaction's commit on; False where they do already.

    It may take long: some ten thousand decisions a second, and nobody else gets at the database meanwhile.
    """
    if connection.execute(select(cap_epochs.c.only)).first() is None:
        return False
    while let_go(connection, PAGE_ROWS):
        pass
    connection.execute(delete(cap_epochs))
    caps = SqlCaps(connection)
    after = ""
    while rows := decisions.holding(after, PAGE_DECISIONS):
        caps.settle([Settlement(before=None, after=row.holding()) for row in rows])
        after = rows[-1].decision_id
    while rows := decisions.caps_pending(PAGE_DECISIONS):
        caps.settle([Settlement(before=None, after=row.holding()) for row in rows])
        decisions.update([msgspec.structs.replace(row, is_caps_pending=False) for row in rows])
    return True


def let_go(connection: Connection, most: int) -> int:
    """Remove at most `most` rows of tables that are not asked any more; returns how many."""
    return next(filter(None, (_remove(connection, table, most) for table in _TABLES)), 0)


def _remove(connection: Connection, table: Table, most: int) -> int:
    some = select(*table.primary_key).limit(most)
    return connection.execute(delete(table).where(tuple_(*table.primary_key).in_(some))).rowcount

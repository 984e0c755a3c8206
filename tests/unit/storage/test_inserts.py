"""New rows as the driver takes them."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from guardrails.storage.connections import Database
from guardrails.storage.inserts import insert_rows
from guardrails.storage.tables import audit_entries, cap_slots
from stores import sqlite_url

SLOT = ("r-1", "cap", "key", 7, "d-1")


@pytest.fixture
def database(tmp_path):
    database = Database(sqlite_url(tmp_path / "guardrails.db"))
    yield database
    database.close()


def test_values_go_into_the_columns_in_their_order(database):
    with database.unit() as connection:
        insert_rows(connection, cap_slots, [(*SLOT, None), (*SLOT[:4], "d-2", 9)])
        (first, second) = connection.execute(select(cap_slots).order_by(cap_slots.c.decision_id))
    assert first._asdict() == dict(zip(cap_slots.c.keys(), (*SLOT, None), strict=True))
    assert second.lease_until == 9


def test_bytes_stay_what_they_are(database):
    with database.unit() as connection:
        insert_rows(connection, audit_entries, [(0, b"\x00\xff'")])
        assert connection.execute(select(audit_entries)).all() == [(0, b"\x00\xff'")]


def test_a_row_that_is_there_is_an_error_unless_it_is_said_what_is_done_then(database):
    with database.unit() as connection:
        insert_rows(connection, cap_slots, [(*SLOT, 9)])
        insert_rows(
            connection, cap_slots, [(*SLOT, None)], on_conflict="DO UPDATE SET lease_until = excluded.lease_until"
        )
        assert connection.execute(select(cap_slots.c.lease_until)).all() == [(None,)]
        with pytest.raises(IntegrityError):
            insert_rows(connection, cap_slots, [(*SLOT, 9)])

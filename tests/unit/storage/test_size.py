"""What a decision and a slot take on SQLite with the shipped policies: bounds for what docs/operations.md says."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from benchmarks.state.application import application
from benchmarks.state.workload import Traffic, record_consents

DECISIONS, RECIPIENTS = 2_000, 500


def freed_by(connection: sqlite3.Connection, table: str) -> int:
    """The bytes of the pages that a table and its indexes fill, by what is free once it is gone."""
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    (before,) = connection.execute("PRAGMA freelist_count").fetchone()
    connection.execute(f"DROP TABLE {table}")
    (after,) = connection.execute("PRAGMA freelist_count").fetchone()
    return (after - before) * page_bytes


def test_a_decision_takes_about_four_kilobytes_and_a_slot_an_eighth_of_one_at_most(tmp_path):
    path = tmp_path / "guardrails.db"
    with application(tmp_path, f"sqlite:///{path}") as opened:
        record_consents(opened, RECIPIENTS)
        for batch in Traffic(RECIPIENTS, name="size").batches(DECISIONS // 100, 100):
            opened.decider.decide(batch.candidates, now=batch.now)
    with closing(sqlite3.connect(path)) as connection:
        (slots,) = connection.execute("SELECT count(*) FROM cap_slots").fetchone()
        assert slots > DECISIONS
        assert freed_by(connection, "cap_slots") / slots < 128
        assert freed_by(connection, "decisions") / DECISIONS < 1_600
        assert freed_by(connection, "audit_entries") / DECISIONS < 2_600

"""A database as the first release left it, with the log of its decisions: for whatever a later one makes of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from stores import sqlite_url

__all__ = ["DECISIONS", "old_database"]

DECISIONS = 6


def old_database(path: Path) -> str:
    """Make it at `path`; returns its URL."""
    statements = Path(__file__).with_name("old_database.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # as every release has it
        connection.executescript(statements)
    return sqlite_url(path)

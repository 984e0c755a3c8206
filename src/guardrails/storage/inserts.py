"""Many new rows in one statement, handed to the driver as they are.

SQLAlchemy looks up and converts each value of each row by its name, which costs as much as SQLite's own work. Texts,
whole numbers, truths and bytes need none of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Table

__all__ = ["insert_rows"]


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[tuple[object, ...]], *, on_conflict: str = ""
) -> None:
    """Insert rows, at least one, each with a value for every column of the table, in their order.

    `on_conflict` says, as both databases spell it, what is done where there is a row of that primary key; without it,
    IntegrityError is raised there.
    """
    connection.exec_driver_sql(_statement(table, connection.dialect, on_conflict), list(rows))


@lru_cache(maxsize=100)
def _statement(table: Table, dialect: Dialect, on_conflict: str) -> str:
    quoted = dialect.identifier_preparer
    columns = ", ".join(quoted.format_column(column) for column in table.columns)
    marks = ", ".join(["?" if dialect.paramstyle == "qmark" else "%s"] * len(table.columns))
    insert = f"INSERT INTO {quoted.format_table(table)} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
    if not on_conflict:
        return insert
    key = ", ".join(quoted.format_column(column) for column in table.primary_key)
    return f"{insert} ON CONFLICT ({key}) {on_conflict}"

"""Many new rows in one statement, handed to the driver as they are.

SQLAlchemy looks up and converts each value of each row by its name, which costs as much as SQLite's own work. Texts,
whole numbers, truths and bytes need none of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Table

__all__ = ["insert_rows"]


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows, at least one, each with a value for every column of the table, in their order.

    Raises IntegrityError where the table has a row already.
    """
    connection.exec_driver_sql(_statement(table, connection.dialect), list(rows))


@lru_cache(maxsize=100)
def _statement(table: Table, dialect: Dialect) -> str:
    quoted = dialect.identifier_preparer
    columns = ", ".join(quoted.format_column(column) for column in table.columns)
    marks = ", ".join(["?" if dialect.paramstyle == "qmark" else "%s"] * len(table.columns))
    return f"INSERT INTO {quoted.format_table(table)} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names

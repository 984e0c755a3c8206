"""Tables to which rows are only ever added: the database itself refuses to change or remove one.

SQLite and PostgreSQL each have a spelling of their own; both refuse with an IntegrityError that names the table.
"""

from __future__ import annotations

__all__ = ["append_only_statements"]


def append_only_statements(table: str, dialect: str) -> tuple[str, ...]:
    """The statements, in order, that make `table` append-only in `dialect`: `sqlite` or `postgresql`."""
    return _sqlite(table) if dialect == "sqlite" else _postgresql(table)


def _sqlite(table: str) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    )


def _postgresql(table: str) -> tuple[str, ...]:
    function = (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    # Of each statement, not of each row: TRUNCATE, which removes all rows at once, knows no other.
    trigger = (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    return function, trigger

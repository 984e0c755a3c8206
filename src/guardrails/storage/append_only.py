"""Tables to which rows are only ever added: the database itself refuses to change or remove one.

This is SQLite's spelling; another database spells the same in its own way here.
"""

from __future__ import annotations

__all__ = ["append_only_triggers"]


def append_only_triggers(table: str) -> dict[str, str]:
    """The triggers that make `table` append-only: name to the statement that creates it."""
    return {
        f"{table}_no_{verb.lower()}": (
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        for verb in ("UPDATE", "DELETE")
    }

"""Many questions in one statement: rows that travel as one JSON parameter.

    asked = json_rows("asked", recipient=Text(), purpose=Text())
    statement = select(...).join_from(asked, table, table.c.recipient == asked.c.recipient)
    connection.execute(statement, {"asked": encode_rows([("r-1", "news")])})

One parameter, whatever the number of rows: the statement is compiled once, and no limit on parameters is met. This is
SQLite's spelling; another database spells the same in its own way here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Subquery, Text, bindparam, func, select
from sqlalchemy.types import TypeEngine

from guardrails.errors import CandidateError

__all__ = ["encode_rows", "json_rows"]


def json_rows(parameter: str, **columns: TypeEngine[Any]) -> Subquery:
    """The rows of the JSON array in `parameter`, as a table with `columns`, in their order within each row."""
    each = func.json_each(bindparam(parameter, type_=Text)).table_valued("value", name=f"{parameter}_json")
    return select(
        *(
            func.json_extract(each.c.value, f"$[{place}]", type_=column_type).label(name)
            for place, (name, column_type) in enumerate(columns.items())
        )
    ).subquery(parameter)


def encode_rows(rows: Sequence[tuple[str | int | None, ...]]) -> str:
    """Rows as the JSON array that `json_rows` reads.

    Raises CandidateError where a text holds the character NUL: SQLite's JSON ends a text there, so that one
    recipient's id would read as another's.
    """
    text = msgspec.json.encode(rows).decode()
    if r"\u0000" in text and any("\0" in value for row in rows for value in row if isinstance(value, str)):
        raise CandidateError("a text holds the character NUL, which no id or name may")
    return text

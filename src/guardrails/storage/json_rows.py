"""Many questions in one statement: rows that travel as one JSON parameter.

    asked = json_rows("asked", recipient=Text(), purpose=Text())
    statement = select(...).join_from(asked, table, table.c.recipient == asked.c.recipient)
    connection.execute(statement, {"asked": encode_rows([("r-1", "news")])})

One parameter, whatever the number of rows: the statement is compiled once, and no limit on parameters is met. SQLite
and PostgreSQL each have a spelling of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Subquery, Text, bindparam, cast, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from guardrails.errors import CandidateError

__all__ = ["encode_rows", "json_rows"]


def json_rows(parameter: str, **columns: TypeEngine[Any]) -> Subquery:
    """The rows of the JSON array in `parameter`, as a table with `columns`, in their order within each row."""
    each = _Elements(bindparam(parameter, type_=Text)).table_valued("value", name=f"{parameter}_json")
    return select(
        *(
            cast(_Cell(each.c.value, literal_column(str(place))), column_type).label(name)
            for place, (name, column_type) in enumerate(columns.items())
        )
    ).subquery(parameter)


def encode_rows(rows: Sequence[tuple[str | int | None, ...]]) -> str:
    """Rows as the JSON array that `json_rows` reads.

    Raises CandidateError where a text is none (it holds half of a surrogate pair), or holds the character NUL:
    SQLite's JSON ends a text there, so that one recipient's id would read as another's, and PostgreSQL has no place
    for it.
    """
    try:
        text = msgspec.json.encode(rows).decode()
    except UnicodeEncodeError as error:
        raise CandidateError("a text holds half of a surrogate pair, which no id or name may") from error
    if r"\u0000" in text and any("\0" in value for row in rows for value in row if isinstance(value, str)):
        raise CandidateError("a text holds the character NUL, which no id or name may")
    return text


class _Elements(FunctionElement[Any]):
    """The elements of a JSON array, as a table of one column: `value`."""

    name = "json_elements"
    inherit_cache = True


class _Cell(FunctionElement[Any]):
    """The element at a place of a JSON array; of PostgreSQL's, its text."""

    name = "json_cell"
    inherit_cache = True


@compiles(_Elements, "sqlite")
def _sqlite_elements(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Elements, "postgresql")
def _postgresql_elements(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


@compiles(_Cell, "sqlite")
def _sqlite_cell(cell: _Cell, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    value, place = (compiler.process(each, **options) for each in cell.clauses)
    return f"json_extract({value}, '$[{place}]')"


@compiles(_Cell, "postgresql")
def _postgresql_cell(cell: _Cell, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    value, place = (compiler.process(each, **options) for each in cell.clauses)
    return f"({value} ->> {place})"

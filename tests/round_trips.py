"""What is said to a database, counted: for tests of what many items cost together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is said to the database meanwhile."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    yield said
    sqlalchemy_event.remove(engine, "before_cursor_execute", note)

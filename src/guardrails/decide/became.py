"""What became of decisions that were found in the log: looked up in the store, so many together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from guardrails.decide.ports import Session, StoredDecision, Transactor

__all__ = ["TOGETHER", "with_stored"]

TOGETHER = 500
"""Of so many decisions it is looked up together what became of them."""

Found = TypeVar("Found")


def with_stored(
    found: Iterable[Found], id_of: Callable[[Found], str], transactor: Transactor
) -> Iterator[tuple[Found, StoredDecision | None]]:
    """Each with its decision as it is stored by now, None where that is no longer kept. Raises DependencyError."""
    waiting = iter(found)
    while group := list(itertools.islice(waiting, TOGETHER)):
        kept = transactor.call(_read_kept, [id_of(each) for each in group])
        yield from ((each, kept.get(id_of(each))) for each in group)


def _read_kept(session: Session, groups: list[list[str]]) -> list[Mapping[str, StoredDecision]]:
    return [session.decisions.by_id(ids) for ids in groups]

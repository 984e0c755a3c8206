"""Globs: `*` stands for any run of characters, `?` for any one, everything else for itself.

A glob matches a whole string, line breaks included, and cares about case. Each `*` takes the first place where what
follows fits and never gives it up again, so the time is at most length times length of the pattern: no pattern that
an author can write is slow.

    glob("cmp-*-??")("cmp-spring-de")  ->  True
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

__all__ = ["glob"]


@lru_cache(maxsize=4096)
def glob(pattern: str) -> Callable[[str], bool]:
    """A function that says whether a string matches `pattern`."""
    head, *rest = (_literal(run) for run in pattern.split("*"))
    if not rest:
        fits = re.compile(f"(?s:{head})").fullmatch
    else:
        # Atomic groups: the first fit is as good as any later one, for only a `*` or the end can follow.
        middle = "".join(f"(?>.*?{run})" for run in rest[:-1] if run)
        fits = re.compile(f"(?s:{head}{middle}.*{rest[-1]})").fullmatch
    return lambda text: fits(text) is not None


def _literal(run: str) -> str:
    return ".".join(re.escape(part) for part in run.split("?"))

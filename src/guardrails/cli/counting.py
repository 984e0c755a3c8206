"""Counts in words: `1 policy`, `2 policies`, `1,200 candidates`."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, one: str, several: str = "") -> str:
    """`count` with its noun; `several` is needed only where it is not `one` and an s."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"

"""Telling the caps what became of decisions, where they can be told.

The caps may live in a store of their own, which may be out of reach while the decisions are not. What became of a
decision is recorded all the same, marked `is_caps_pending`, and whoever brings the caps up to date later settles it.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardrails.decide.holdings import Settlement
from guardrails.decide.ports import CapStore
from guardrails.errors import DependencyError

__all__ = ["try_settle"]


def try_settle(caps: CapStore, settlements: Sequence[Settlement]) -> bool:
    """Settle them all in one call; False where the caps' own store is out of reach. Raises what else is."""
    if not settlements:
        return True
    try:
        caps.settle(settlements)
    except DependencyError as error:
        if error.dependency != "caps":
            raise
        return False
    return True

"""Versions of notices, in an order: by the numbers in them, whatever stands between these.

`3` is before `10`, `2026-03` before `2026-11`, `1.2` before `1.10`. A number that is left out is zero: `1` and `1.0`
are one version. A version without any number has no place in the order, and is below every other.
"""

from __future__ import annotations

import re
from itertools import zip_longest

__all__ = ["is_at_least", "numbers_of"]

_NUMBER = re.compile("[0-9]+")


def numbers_of(version: str) -> tuple[int, ...]:
    """The numbers in a version, from left to right."""
    return tuple(int(digits) for digits in _NUMBER.findall(version))


def is_at_least(version: str | None, minimum: str) -> bool:
    """Whether `version` is `minimum` or comes after it. One that is not known, or has no number, never is."""
    numbers = () if version is None else numbers_of(version)
    pairs = zip_longest(numbers, numbers_of(minimum), fillvalue=0)
    return bool(numbers) and next((one > other for one, other in pairs if one != other), True)

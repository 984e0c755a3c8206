"""Defaults and overrides: mappings merge key by key, everything else is replaced as a whole.

   merged({"content": {"class": "sponsored", "steps": 2}}, {"content": {"steps": 9}})
== {"content": {"class": "sponsored", "steps": 9}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["merged"]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` on top; a null on top takes away what is below."""
    return {**base, **{key: _member(base.get(key), value) for key, value in over.items()}}


def _member(base: object, over: object) -> object:
    return merged(base, over) if isinstance(base, Mapping) and isinstance(over, Mapping) else over

"""The names that policies share with the rooms: purposes, toggles, badges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["WORD"]

WORD: Mapping[str, Any] = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$",
    "patternErrorMessage": "1 to 64 lower-case letters, digits, hyphens and underscores",
}
"""JSON Schema of such a name. Policy ids are narrower: an underscore in them would look like a second word."""

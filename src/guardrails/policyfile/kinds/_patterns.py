"""What the kinds that look at a candidate's words have in common: one pattern or a list of which one must fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.conditions import AnyOf, Condition, Matches

__all__ = ["fits", "form_words", "patterns_of", "patterns_schema"]

_PATTERN = {"type": "string", "minLength": 1, "maxLength": 500}


def patterns_schema(description: str) -> Mapping[str, Any]:
    """The schema of a property that holds patterns."""
    several = {"type": "array", "items": _PATTERN, "minItems": 1, "maxItems": 100, "uniqueItems": True}
    fitting = "One pattern or a list of which one must fit. `*` stands for any run of characters, `?` for any one; "
    return {"anyOf": [_PATTERN, several], "description": f"{description} {fitting}capitals matter."}


def patterns_of(spec: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The patterns written under `name`; none where nothing is."""
    written = spec.get(name, ())
    return (written,) if isinstance(written, str) else tuple(written)


def fits(field: str, patterns: tuple[str, ...]) -> Condition:
    """The text in `field` matches one of the patterns."""
    return AnyOf(tuple(Matches(field, pattern) for pattern in patterns))


def form_words(patterns: tuple[str, ...]) -> str:
    """The patterns as a message says them, such as ` of the form `Ad: *``; nothing where there are none."""
    return f" of the form {' or '.join(f'`{pattern}`' for pattern in patterns)}" if patterns else ""

"""JSON Schema (2020-12) as this project means it: 3.0 is no integer, and `$` is the very end of a text.

The only importer of jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

__all__ = ["FormatChecker", "ValidationError", "Validator", "schema_validator"]


def schema_validator(schema: Mapping[str, Any], *, formats: FormatChecker | None = None) -> Validator:
    """What finds everything that is wrong with a value by `schema`. Formats other than `formats` are not checked."""
    validator: Validator = _Validator(schema, format_checker=formats)
    return validator


def _is_integer(_checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _ecma_pattern(_validator: object, pattern: str, instance: object, _schema: object) -> Iterator[ValidationError]:
    """`$` in JSON Schema means the very end; in Python it would let a line feed follow."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={"pattern": _ecma_pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)

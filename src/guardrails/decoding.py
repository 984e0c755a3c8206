"""JSON from callers -> typed values, decoded and validated at once by msgspec, or every error by JSON pointer.

    CANDIDATE = Decoder(Candidate)
    candidate = CANDIDATE.decode(b'{"id": "c-1001", "lane": "monetized", ...}')

msgspec stops at the first error, which is quick and enough to refuse. Only what is refused is looked at a second time,
against the JSON Schema of the same type, to tell its sender all that is wrong with it in one go.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
from msgspec import Meta

from guardrails.core.candidate import CURRENCY_FORM, CURRENCY_FORMAT, BoundsError
from guardrails.errors import CandidateError, MalformedError
from guardrails.policyfile.currencies import currency_problem, currency_words
from guardrails.policyfile.json_schema import FormatChecker, ValidationError, Validator, schema_validator
from guardrails.policyfile.problems import did_you_mean, quote

__all__ = ["MAX_ERRORS", "Decoder", "in_place", "invalid", "malformed_words"]

T = TypeVar("T")
R = TypeVar("R")

MAX_ERRORS = 20
CHOICES_TOLD = 4
"""So many errors of one value are told; who has more has sent something else altogether."""

_AT = re.compile(r" - at `([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_HALF_PAIR = re.compile(rb"\\u[dD][89abAB]")

Schema = dict[str, Any]
Error = tuple[str, str]
"""Where, by JSON pointer (RFC 6901; empty for the whole value), and what is wrong there."""


class Decoder(Generic[T]):
    """Decodes values of one type."""

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._decoder = msgspec.json.Decoder(type_)
        self._validator = _validator(type_)

    def decode(self, text: bytes | msgspec.Raw) -> T:
        """The value in `text`.

        Raises MalformedError where it is not JSON, CandidateError with every error where it is not a `T`.
        """
        try:
            return self._decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._refusal(text, error) from None

    def try_decode(self, text: bytes | msgspec.Raw) -> T | CandidateError:
        """As `decode`, with the error as a value: one item of a batch does not fail its neighbours."""
        try:
            return self.decode(text)
        except CandidateError as error:
            return error

    def convert(self, value: object) -> T:
        """The value that plain JSON values say. Raises CandidateError with every error where it is not a `T`."""
        try:
            return msgspec.convert(value, self._type)
        except msgspec.ValidationError as error:
            raise self._invalid(value, error) from None

    def _refusal(self, text: bytes | msgspec.Raw, error: Exception) -> CandidateError:
        """Why `text` was refused: first whether it is JSON at all, then everything that is wrong with it."""
        try:
            value = msgspec.json.decode(text)
        except msgspec.ValidationError:  # JSON, with a number that no type can hold
            return invalid(_from_msgspec(error))
        except msgspec.DecodeError as malformed:
            return MalformedError(malformed_words(text, malformed))
        except UnicodeDecodeError:
            return MalformedError(_where_not_utf8(bytes(text)))
        except RecursionError:
            return MalformedError("the JSON is nested too deep")
        return self._invalid(value, error)

    def _invalid(self, value: object, error: Exception) -> CandidateError:
        found = _schema_errors(self._validator, value)
        if not found or isinstance(error.__cause__, BoundsError):
            found = tuple(dict.fromkeys((*found, *_from_msgspec(error))))[:MAX_ERRORS]
        return invalid(found)


def in_place(
    items: Sequence[T | CandidateError], handle: Callable[[tuple[T, ...]], Sequence[R]]
) -> list[R | CandidateError]:
    """One result an item: what `handle` gives for all that are right together, and each error where it stands."""
    results = iter(handle(tuple([item for item in items if not isinstance(item, CandidateError)])))
    return [item if isinstance(item, CandidateError) else next(results) for item in items]


def invalid(errors: tuple[Error, ...], code: str | None = None) -> CandidateError:
    """The error that tells of these, at least one; with a `code` where programs are to tell it from others."""
    return CandidateError(_summary(errors), problems=errors, code=code)


def _where_not_utf8(text: bytes) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return f"the JSON is not UTF-8 (byte {error.start})"
    return "a text in the JSON is not UTF-8"


def malformed_words(text: bytes | msgspec.Raw, error: Exception) -> str:
    """Why `text` is no JSON, which msgspec gave as `error`: what ends too soon, and what is empty, in our words."""
    if "truncated" not in str(error):
        return _lower(str(error))
    if not bytes(text).strip():
        return "there is nothing where JSON should be"
    if _HALF_PAIR.search(bytes(text)):
        return "the JSON is cut short, or holds one half of a surrogate pair (`\\ud800`), which is no character"
    return "the JSON is cut short: it ends within a value"


def _lower(message: str) -> str:
    return message if message.startswith("JSON") else message[:1].lower() + message[1:]


def _summary(errors: tuple[Error, ...]) -> str:
    if len(errors) == MAX_ERRORS:
        return f"{MAX_ERRORS} errors, and perhaps more"
    if len(errors) > 1:
        return f"{len(errors)} errors"
    ((pointer, message),) = errors
    return f"`{pointer}`: {message}" if pointer else message


def _from_msgspec(error: Exception) -> tuple[Error, ...]:
    """The error that msgspec names, its path `$.content.tags[1]` as the pointer `/content/tags/1`.

    It is one, but where a type finds several bounds of its own broken.
    """
    message = str(error)
    at = _AT.search(message)
    steps = [name or place for name, place in _STEP.findall(at[1])] if at else []
    if isinstance(error.__cause__, BoundsError):
        broken = ((error.__cause__.field, error.__cause__.message), *error.__cause__.also)
        return tuple((_pointer((*steps, *field.split("."))), told) for field, told in broken)
    return ((_pointer(tuple(steps)), _lower(message[: at.start()] if at else message)),)


def _pointer(path: tuple[str | int, ...]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


# --- all errors, by schema --------------------------------------------------------------------------------------


def _schema_errors(validator: Validator, value: Any) -> tuple[Error, ...]:  # noqa: ANN401 - any JSON value
    """What the schema finds wrong with `value`, in document order, each once, at most `MAX_ERRORS`."""
    found = (error for violation in validator.iter_errors(value) for error in _told(violation))
    return tuple(dict.fromkeys(itertools.islice(found, MAX_ERRORS)))


def _validator(type_: type) -> Validator:
    return schema_validator(_lazy_nulls(msgspec.json.schema(type_)), formats=_FORMATS)


def _lazy_nulls(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """The schema with `anyOf: [X, null]` as `if null else X`: the same, but errors are X's own, found one by one."""
    if isinstance(schema, list):
        return [_lazy_nulls(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    nullable = schema.get("anyOf")
    if isinstance(nullable, list) and len(nullable) == 2 and nullable[1] == {"type": "null"}:  # noqa: PLR2004 - X, null
        return {"if": {"type": "null"}, "else": _lazy_nulls(nullable[0])}
    return {key: _lazy_nulls(part) for key, part in schema.items()}


_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=msgspec.ValidationError)
def _is_instant(value: object) -> bool:
    if isinstance(value, str):
        msgspec.convert(value, Annotated[datetime, Meta(tz=True)])
    return True


@_FORMATS.checks(CURRENCY_FORMAT)
def _is_currency(value: object) -> bool:
    return not isinstance(value, str) or not value or currency_problem(value) is None


_PATTERNS: Mapping[str, str] = {
    r"^[^\x00-\x1f\x7f]*(?!\n)$": "holds a control character",
    r"^[A-Z]{2}(?!\n)$": "is not two capital letters, such as `DE`",
    r"^[A-Z]{2}-[A-Z0-9]{1,3}(?!\n)$": "is not a country and a part of it, such as `US-NY`",
    r"^[A-Z]{2}(-[A-Z0-9]{1,3})?(?!\n)$": "is not a country, such as `DE`, nor a part of one, such as `US-NY`",
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*(?!\n)$": "is not the tag of a language, such as `de` or `pt-BR`",
    r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}(?!\n)$": (
        "is not 1 to 64 letters, digits and `.`, `_`, `~`, `-`, of which the first is a letter or digit"
    ),
    r"^[a-z][a-z0-9_-]{0,31}(?!\n)$": (
        "is not 1 to 32 lower-case letters, digits and `_`, `-`, of which the first is a letter"
    ),
    r"^([1-9][0-9]?|[1-4][0-9][0-9]|500)$": "is not a number from 1 to 500",
    r"\S": "is blank",
}
"""The patterns of what callers send, in words."""

_FORMAT_WORDS: Mapping[str, Callable[[str], str]] = {
    "date-time": lambda value: (
        f"{quote(value)} is not an RFC 3339 date and time with a zone, such as `2026-12-01T12:00:00Z`"
    ),
    CURRENCY_FORMAT: currency_words,
}


def _pattern_words(pattern: str, value: str) -> str:
    if not value:
        return "is empty"
    if pattern == CURRENCY_FORM:
        return currency_words(value)
    return f"{quote(value)} {_PATTERNS.get(pattern) or f'does not match `{pattern}`'}"


_TYPE_NAMES: Mapping[type, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object", type(None): "null",
}  # fmt: skip

_MESSAGES: Mapping[str, Callable[[Any, Any], str]] = {
    "type": lambda limit, value: f"expected {_a(limit)}, got {_a(_TYPE_NAMES[type(value)])}",
    "enum": lambda limit, value: f"{quote(value)} is not one of {', '.join(map(quote, limit))}{_unknown(value, limit)}",
    "const": lambda limit, value: f"{quote(value)} is not {quote(limit)}",
    "pattern": _pattern_words,
    "format": lambda limit, value: _FORMAT_WORDS[limit](value),
    "minimum": lambda limit, value: f"{quote(value)} is less than {limit}",
    "maximum": lambda limit, value: f"{quote(value)} is more than {limit}",
    "minLength": lambda limit, value: f"is shorter than {limit} characters" if value else "is empty",
    "maxLength": lambda limit, value: f"is {len(value)} characters long; at most {limit} are taken",
    "minItems": lambda limit, value: f"has {len(value)} items; at least {limit} are needed" if value else "is empty",
    "maxItems": lambda limit, value: f"has {len(value)} items; at most {limit} are taken",
}


def _told(error: ValidationError) -> Iterator[Error]:
    """One schema violation in our words; an object with several unknown or missing fields is several errors."""
    path = tuple(error.absolute_path)
    rule, limit, value = str(error.validator), error.validator_value, error.instance
    if rule == "required":
        # jsonschema reports each missing name by itself and tells which only in its message
        name = _missing(error)
        yield _pointer((*path, name)), f"is required{_choices(error, name)}"
    elif rule == "additionalProperties":
        known = tuple(cast("Schema", error.schema).get("properties", ()))
        for name in cast("Schema", value):
            if name not in known:
                yield _pointer((*path, name)), f"unknown field {quote(name)}{_unknown(name, known)}"
    elif rule in _MESSAGES:
        yield _pointer(path), _MESSAGES[rule](limit, value) + _in_units(rule, path)
    else:
        yield _pointer(path), _lower(error.message)[:200]


def _in_units(rule: str, path: tuple[str | int, ...]) -> str:
    """In which units a number is told, where it is one of another type or too great; its name says so."""
    unit = str(path[-1]).rpartition("_")[2] if path and rule in {"type", "maximum"} else ""
    return f"; it is in {_UNITS[unit]}" if unit in _UNITS else ""


_UNITS: Mapping[str, str] = {
    "minor": "whole minor units: 1900 are 19.00 EUR",
    "bps": "whole basis points: 500 are 5 %",
    "seconds": "whole seconds",
}


def _missing(error: ValidationError) -> str:
    wanted, given = cast("list[str]", error.validator_value), cast("Schema", error.instance)
    absent = [name for name in wanted if name not in given]
    return next((name for name in absent if error.message.startswith(repr(name))), absent[0])


def _choices(error: ValidationError, name: str) -> str:
    """What a missing field may be, where that is one of a few words."""
    allowed = cast("Schema", error.schema).get("properties", {}).get(name, {}).get("enum", ())
    return f": one of {', '.join(map(quote, allowed))}" if 0 < len(allowed) <= CHOICES_TOLD else ""


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}" if name != "null" else name


def _unknown(word: object, known: Iterable[object]) -> str:
    hint = did_you_mean(word, [name for name in known if isinstance(name, str)])
    return f"; {hint}" if hint else ""

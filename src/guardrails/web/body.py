"""JSON bodies: decoded and validated at once by msgspec, and where that fails, every error by JSON pointer.

    CANDIDATE = Body(Candidate, limit=262_144)
    candidate = CANDIDATE.decode(exchange.read_body(limit=CANDIDATE.limit))

msgspec stops at the first error, which is quick and enough to refuse. Only a body that is refused is looked at a
second time, against the JSON Schema of the same type, to tell its sender all that is wrong with it in one go.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar, cast

import jsonschema
import msgspec
from jsonschema.protocols import Validator
from msgspec import Meta

from guardrails.policyfile.problems import did_you_mean, quote
from guardrails.web.exchange import Exchange
from guardrails.web.problems import FieldError, Refusal

__all__ = ["MAX_ERRORS", "Body"]

T = TypeVar("T")

MAX_ERRORS = 20
"""So many errors of one body are told; who has more has sent something else altogether."""

_AT = re.compile(r" - at `([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")

Schema = dict[str, Any]


class Body(Generic[T]):
    """What a route takes: a type, and how many bytes of it at most."""

    def __init__(self, type_: type[T], *, limit: int) -> None:
        self.type = type_
        self.limit = limit
        self._decoder = msgspec.json.Decoder(type_)
        self._validator = _validator(type_)

    def read(self, exchange: Exchange) -> T:
        """The exchange's body as a value. Raises Refusal: 400, 413, 415 or 422."""
        return self.decode(exchange.read_body(limit=self.limit))

    def decode(self, body: bytes | msgspec.Raw) -> T:
        """The value in `body`. Raises Refusal: 400 where it is not JSON, 422 with every error where it is not a `T`."""
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._refusal(body, error) from None

    def _refusal(self, body: bytes | msgspec.Raw, error: Exception) -> Refusal:
        """Why `body` was refused: first whether it is JSON at all, then everything that is wrong with it."""
        try:
            value = msgspec.json.decode(body)
        except msgspec.ValidationError:  # JSON, with a number that no type can hold
            errors: tuple[FieldError, ...] = ()
        except msgspec.DecodeError as malformed:
            return Refusal("malformed", _lower(str(malformed)))
        except UnicodeDecodeError:
            return Refusal("malformed", _where_not_utf8(bytes(body)))
        except RecursionError:
            return Refusal("malformed", "the JSON is nested too deep")
        else:
            errors = _schema_errors(self._validator, value)
        errors = errors or (_from_msgspec(error),)
        return Refusal("invalid", _summary(errors), errors=errors)

    def try_decode(self, body: bytes | msgspec.Raw) -> T | Refusal:
        """As `decode`, with the refusal as a value: one item of a batch does not fail its neighbours."""
        try:
            return self.decode(body)
        except Refusal as refusal:
            return refusal


def _where_not_utf8(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"the body is not UTF-8 (byte {error.start})"
    return "a text in the body is not UTF-8"


def _lower(message: str) -> str:
    return message if message.startswith("JSON") else message[:1].lower() + message[1:]


def _summary(errors: tuple[FieldError, ...]) -> str:
    if len(errors) == MAX_ERRORS:
        return f"{MAX_ERRORS} errors, and perhaps more"
    if len(errors) > 1:
        return f"{len(errors)} errors"
    where = f"`{errors[0].pointer}`: " if errors[0].pointer else ""
    return f"{where}{errors[0].detail}"


def _from_msgspec(error: Exception) -> FieldError:
    """The one error that msgspec names; its path `$.content.tags[1]` as the pointer `/content/tags/1`."""
    message = str(error)
    at = _AT.search(message)
    if at is None:
        return FieldError("", _lower(message))
    steps = (name or place for name, place in _STEP.findall(at[1]))
    return FieldError(_pointer(tuple(steps)), _lower(message[: at.start()]))


def _pointer(path: tuple[str | int, ...]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


# --- all errors, by schema --------------------------------------------------------------------------------------


def _schema_errors(validator: Validator, value: Any) -> tuple[FieldError, ...]:  # noqa: ANN401 - any JSON value
    """What the schema finds wrong with `value`, in document order, each once, at most `MAX_ERRORS`."""
    found = (error for violation in validator.iter_errors(value) for error in _told(violation))
    return tuple(dict.fromkeys(itertools.islice(found, MAX_ERRORS)))


def _validator(type_: type) -> Validator:
    schema = _lazy_nulls(msgspec.json.schema(type_))
    validator: Validator = _Validator(schema, format_checker=_FORMATS)
    return validator


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


def _is_integer(_: object, value: object) -> bool:
    """As msgspec sees it: 3.0 is none."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=msgspec.ValidationError)
def _is_instant(value: object) -> bool:
    if isinstance(value, str):
        msgspec.convert(value, Annotated[datetime, Meta(tz=True)])
    return True


_TYPE_NAMES: Mapping[type, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object", type(None): "null",
}  # fmt: skip

_MESSAGES: Mapping[str, Callable[[Any, Any], str]] = {
    "type": lambda limit, value: f"expected {_a(limit)}, got {_a(_TYPE_NAMES[type(value)])}",
    "enum": lambda limit, value: f"{quote(value)} is not one of {', '.join(map(quote, limit))}{_unknown(value, limit)}",
    "const": lambda limit, value: f"{quote(value)} is not {quote(limit)}",
    "pattern": lambda limit, value: f"{quote(value)} does not match `{limit}`",
    "format": lambda _, value: f"{quote(value)} is not an RFC 3339 date and time with a zone",
    "minimum": lambda limit, value: f"{quote(value)} is less than {limit}",
    "maximum": lambda limit, value: f"{quote(value)} is more than {limit}",
    "minLength": lambda limit, _: f"is shorter than {limit} characters",
    "maxLength": lambda limit, value: f"is {len(value)} characters long; at most {limit} are taken",
    "minItems": lambda limit, value: f"has {len(value)} items; at least {limit} are needed",
    "maxItems": lambda limit, value: f"has {len(value)} items; at most {limit} are taken",
}


def _told(error: jsonschema.ValidationError) -> Iterator[FieldError]:
    """One schema violation in our words; an object with several unknown or missing fields is several errors."""
    path = tuple(error.absolute_path)
    rule, limit, value = str(error.validator), error.validator_value, error.instance
    if rule == "required":
        # jsonschema reports each missing name by itself and tells which only in its message
        yield FieldError(_pointer((*path, _missing(error))), "is required")
    elif rule == "additionalProperties":
        known = tuple(cast("Schema", error.schema).get("properties", ()))
        for name in cast("Schema", value):
            if name not in known:
                yield FieldError(_pointer((*path, name)), f"unknown field {quote(name)}{_unknown(name, known)}")
    elif rule in _MESSAGES:
        yield FieldError(_pointer(path), _MESSAGES[rule](limit, value))
    else:
        yield FieldError(_pointer(path), _lower(error.message)[:200])


def _missing(error: jsonschema.ValidationError) -> str:
    wanted, given = cast("list[str]", error.validator_value), cast("Schema", error.instance)
    absent = [name for name in wanted if name not in given]
    return next((name for name in absent if error.message.startswith(repr(name))), absent[0])


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}" if name != "null" else name


def _unknown(word: object, known: Iterable[object]) -> str:
    hint = did_you_mean(word, [name for name in known if isinstance(name, str)])
    return f"; {hint}" if hint else ""

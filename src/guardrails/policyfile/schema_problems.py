"""What JSON Schema finds wrong, said so that an author can mend it: each error as problems of ours, at their places.

Where a schema offers alternatives (`anyOf`, `oneOf`), only what is wrong with the nearest one is reported.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from guardrails.policyfile.currencies import currency_problem
from guardrails.policyfile.document import Path, Reporter
from guardrails.policyfile.json_schema import Validator, schema_validator
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.kinds._kind import Kind
from guardrails.policyfile.problems import did_you_mean, quote
from guardrails.policyfile.schema import file_schema, kind_schema, purpose_schema

__all__ = ["kind_accepts", "validate_by", "validate_file", "validate_policy", "validate_purpose"]


def validate_file(value: Mapping[str, Any], report: Reporter) -> bool:
    """Report what is wrong with a file outside its policies and purposes; return whether nothing is."""
    return _validate(_file_validator(), value, (), report)


def validate_policy(policy: Mapping[str, Any], path: Path, report: Reporter) -> bool:
    """Report what the schema of the policy's kind finds wrong; return whether nothing is.

    A policy of no known kind is held against the common properties.
    """
    kind = policy.get("kind")
    is_known = isinstance(kind, str) and kind in all_kinds()
    if isinstance(kind, str) and not is_known:
        hint = did_you_mean(kind, all_kinds()) or f"it is one of {_listed(all_kinds())}"
        report.problem("unknown-kind", f"unknown kind {quote(kind)}", (*path, "kind"), hint)
    return _validate(_policy_validator(kind if is_known else None), policy, path, report) and is_known


def validate_purpose(purpose: object, path: Path, report: Reporter) -> bool:
    """Report what is wrong with one purpose; return whether nothing is."""
    return _validate(_purpose_validator(), purpose, path, report)


def kind_accepts(kind: Kind, policy: Mapping[str, Any]) -> bool:
    """Whether what the kind itself reads of the policy is as its schema demands, whatever is wrong with the rest."""
    own = {name: value for name, value in policy.items() if name in kind.properties}
    return not any(_policy_validator(kind.name).iter_errors({"id": "any", "kind": kind.name, **own}))


def validate_by(schema: Mapping[str, Any], value: object, report: Reporter) -> bool:
    """Report what any other schema finds wrong with a whole document; return whether nothing is."""
    return _validate(schema_validator(schema), value, (), report)


def _validate(validator: Validator, value: Any, path: Path, report: Reporter) -> bool:  # noqa: ANN401 - any JSON value
    errors = list(validator.iter_errors(value))
    mistyped = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    for error in errors:
        if error.validator == "type" or tuple(error.absolute_path) not in mistyped:
            _translate(error, path, report)
    return not errors


@functools.cache
def _file_validator() -> Validator:
    return schema_validator(file_schema())


@functools.cache
def _purpose_validator() -> Validator:
    return schema_validator(purpose_schema())


@functools.cache
def _policy_validator(kind: str | None) -> Validator:
    return schema_validator(kind_schema(None if kind is None else all_kinds()[kind]))


class _Error(Protocol):
    """The part of jsonschema's ValidationError that is read here; there, each of it might be unset."""

    validator: Any
    validator_value: Any
    instance: Any
    schema: Any
    context: Any

    @property
    def absolute_path(self) -> Any: ...  # noqa: ANN401
    @property
    def relative_path(self) -> Any: ...  # noqa: ANN401
    @property
    def relative_schema_path(self) -> Any: ...  # noqa: ANN401


def _translate(error: _Error, path: Path, report: Reporter) -> None:
    """Report one error; `path` leads to what was validated."""
    here = (*path, *error.absolute_path)
    _TRANSLATIONS.get(str(error.validator), _bad_value)(error, here, report)


_JSON_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


def _wrong_type(error: _Error, path: Path, report: Reporter) -> None:
    wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
    _report_type(" or ".join(_JSON_TYPES[name] for name in wanted), error, path, report)


def _report_type(wanted: str, error: _Error, path: Path, report: Reporter) -> None:
    value = error.instance
    hint = _type_hint(wanted, value, error.schema) or error.schema.get("errorMessage", "")
    report.problem("wrong-type", f"{_name(path)} must be {wanted}, not {quote(value)}", path, hint)


_YES_AND_NO = {"true", "false", "yes", "no", "on", "off", "y", "n"}


def _type_hint(wanted: str, value: object, schema: Mapping[str, Any]) -> str:
    """How a scalar of another type is probably meant; empty where it can't be told."""
    if wanted == "text" and isinstance(value, bool | int | float):
        has_form = re.search(schema.get("pattern", ""), quote(value).strip("`")) is not None
        return "put it into quotes" if has_form else _form_hint(schema)
    if wanted == "a list" and not isinstance(value, dict | None):
        return f"write {quote(f'[{value}]')}"
    if wanted == "a whole number" and isinstance(value, str) and value.isdecimal():
        return "leave the quotes away"
    if wanted == "true or false" and isinstance(value, str) and value.lower() in _YES_AND_NO:
        return "write `true` or `false`, without quotes"
    return ""


def _unknown_value(error: _Error, path: Path, report: Reporter) -> None:
    allowed = [error.validator_value] if error.validator == "const" else error.validator_value
    words = [each for each in allowed if isinstance(each, str)]
    hint = did_you_mean(error.instance, words) or f"it is {'one of ' if len(allowed) > 1 else ''}{_listed(allowed)}"
    report.problem("unknown-value", f"{_name(path)} can't be {quote(error.instance)}", path, hint)


def _missing_property(error: _Error, path: Path, report: Reporter) -> None:
    """Every missing one: an error names one of them, and only in its text."""
    for name in _required_by(error):
        if name not in error.instance:
            report.problem("missing-property", f"{quote(name)} is missing", path)


def _required_by(error: _Error) -> Sequence[str]:
    if error.validator == "required":
        return list(error.validator_value)
    return [name for given, names in error.validator_value.items() if given in error.instance for name in names]


def _unknown_property(error: _Error, path: Path, report: Reporter) -> None:
    known = error.schema["properties"]
    for name in error.instance:
        if name not in known:
            unused = [other for other in known if other not in error.instance]
            hint = did_you_mean(name, unused) or f"there are {_listed(known)}"
            report.key_problem("unknown-property", f"unknown property {quote(name)}", (*path, name), hint)


def _out_of_bounds(error: _Error, path: Path, report: Reporter) -> None:
    size, bound = error.instance, error.validator_value
    keyword = str(error.validator)
    limit = f"{'at least' if keyword.startswith('min') else 'at most'} {bound:,}"
    if keyword in _SIZES:
        message = f"{_name(path)} has {len(size):,} {_SIZES[keyword]}, it must have {limit}"
    else:
        message = f"{_name(path)} is {quote(size)}, it must be {limit}"
    report.problem("out-of-bounds", message, path, error.schema.get("errorMessage", ""))


_SIZES = {
    "minLength": "characters",
    "maxLength": "characters",
    "minItems": "items",
    "maxItems": "items",
    "minProperties": "properties",
    "maxProperties": "properties",
}

_FORM_CODES = {"id": "bad-id", "policy id": "bad-id", "duration": "bad-duration", "timestamp": "bad-timestamp"}


def _bad_form(error: _Error, path: Path, report: Reporter) -> None:
    schema = error.schema
    unknown = currency_problem(error.instance) if schema.get("title") == "currency" else None
    if unknown is not None:
        report.problem("unknown-currency", unknown[0], path, unknown[1])
        return
    form = schema.get("title")
    message = (
        f"{quote(error.instance)} is not a {form}" if form else f"{quote(error.instance)} does not have the right form"
    )
    report.problem(_FORM_CODES.get(form, "bad-format"), message, path, _form_hint(schema))


def _form_hint(schema: Mapping[str, Any]) -> str:
    """What the form is that a text must have."""
    hint: str = schema.get("patternErrorMessage") or schema.get("description", "").rstrip(".")
    return hint[:1].lower() + hint[1:]


def _duplicate_item(error: _Error, path: Path, report: Reporter) -> None:
    items = error.instance
    for place, item in enumerate(items):
        if item in items[:place]:
            report.problem("duplicate-item", f"{quote(item)} stands in the list already", (*path, place))


def _no_alternative(error: _Error, path: Path, report: Reporter) -> None:
    """None of several alternatives fits, or more than one of those of which only one may."""
    branches: dict[int, list[_Error]] = defaultdict(list)
    for cause in error.context:
        branches[int(cause.relative_schema_path[0])].append(cause)
    if not branches and isinstance(error.instance, dict):
        _conflict(error, path, report)
    elif not branches:
        _bad_value(error, path, report)
    elif all(_lacks_property(branch) for branch in branches.values()):
        names = [name for branch in branches.values() for name in branch[0].validator_value]
        report.problem("missing-property", f"one of {_listed(names)} is missing", path)
    elif all(_is_of_wrong_type(branch) for branch in branches.values()):
        wanted = " or ".join(_JSON_TYPES[branch[0].validator_value] for branch in branches.values())
        _report_type(wanted, error, path, report)
    else:
        nearest = min(branches.values(), key=lambda branch: (_is_of_wrong_type(branch), len(branch)))
        for cause in nearest:
            _translate(cause, path[: len(path) - len(error.absolute_path)], report)  # whose path is absolute, too


def _conflict(error: _Error, path: Path, report: Reporter) -> None:
    named = [name for branch in error.validator_value for name in branch.get("required", ()) if name in error.instance]
    report.problem("conflicting-properties", f"{_listed(named)} exclude each other", path, "keep one of them")


def _lacks_property(branch: Sequence[_Error]) -> bool:
    return len(branch) == 1 and branch[0].validator == "required" and not branch[0].relative_path


def _is_of_wrong_type(branch: Sequence[_Error]) -> bool:
    return branch[0].validator == "type" and not branch[0].relative_path


def _bad_value(error: _Error, path: Path, report: Reporter) -> None:
    """What no kind of ours asks for so far; a new kind's schema may."""
    report.problem("bad-value", f"{_name(path)} can't be {quote(error.instance)}: it breaks `{error.validator}`", path)


def _name(path: Path) -> str:
    """What a message calls the value at `path`: its key, or its place in a list."""
    return quote(path[-1]) if isinstance(path[-1], str) else f"item {path[-1] + 1}"


def _listed(names: object) -> str:
    return ", ".join(quote(name) for name in names)  # type: ignore[attr-defined]


_TRANSLATIONS: Mapping[str, Callable[[_Error, Path, Reporter], None]] = {
    "type": _wrong_type,
    "enum": _unknown_value,
    "const": _unknown_value,
    "required": _missing_property,
    "dependentRequired": _missing_property,
    "additionalProperties": _unknown_property,
    "pattern": _bad_form,
    "uniqueItems": _duplicate_item,
    "anyOf": _no_alternative,
    "oneOf": _no_alternative,
    **dict.fromkeys(("minimum", "maximum", *_SIZES), _out_of_bounds),
}

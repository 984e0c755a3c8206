"""One policy: from the mapping an author wrote to a lowered `Policy`, or its problems.

The schema is asked first, then every condition, zone, duration, purpose and context in it and its validity, then the
kind. Each step runs even where an earlier one found problems, as far as it still can, so that an author sees them all:
what a kind itself checks waits only for what that kind reads to be well formed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from guardrails.core.conditions import TRUE, Condition
from guardrails.core.policy import Policy
from guardrails.core.purposes import Purpose
from guardrails.core.timing import Zone
from guardrails.core.zones import zone_named, zone_names
from guardrails.policyfile.condition_parser import parse_condition
from guardrails.policyfile.document import Path, Reporter
from guardrails.policyfile.durations import read_duration
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.problems import did_you_mean, quote
from guardrails.policyfile.purpose_reader import NOTHING_DECLARED, Declared
from guardrails.policyfile.schema import COMMON_PROPERTIES, Schema
from guardrails.policyfile.schema_problems import kind_accepts, validate_policy
from guardrails.policyfile.timestamps import DATE_PATTERN, TIMESTAMP_PATTERN, parse_date, parse_timestamp

__all__ = ["check_zone_name", "read_policy"]


def read_policy(
    written: Mapping[str, Any],
    path: Path,
    report: Reporter,
    *,
    ordinal: int,
    project_zone: ZoneInfo,
    declared: Declared = NOTHING_DECLARED,
) -> Policy | None:
    """The policy written at `path`; None where its problems, which go to `report`, leave nothing to lower."""
    is_valid = validate_policy(written, path, report)
    kind = all_kinds().get(str(written.get("kind")))
    properties = {**COMMON_PROPERTIES, **(kind.properties if kind else {})}
    lowering = PolicyLowering(written, path, report, project_zone=project_zone, declared=declared)
    lowering.read_parts(properties)
    valid_from, valid_until = lowering.validity()
    if kind is None or not (is_valid or kind_accepts(kind, written)):
        return None
    lowered = kind.lower(written, lowering)
    if not is_valid:  # lowered for its problems alone
        return None
    reason = lowered.reason
    if "message" in written:
        reason = msgspec.structs.replace(reason, message=written["message"])
    return Policy(
        ordinal=ordinal,
        id=written["id"],
        kind=kind.name,
        mode=written.get("mode", "enforce"),
        applies_to=lowering.condition(("applies_to",)),
        violated=lowered.violated,
        satisfied=lowered.satisfied,
        reason=reason,
        needs=lowered.needs,
        caps=lowered.caps,
        obligations=lowered.obligations,
        retry=lowered.retry,
        on_missing=written.get("on_missing", kind.on_missing),
        overrides=tuple(written.get("overrides", ())),
        valid_from=valid_from,
        valid_until=valid_until,
        title=written.get("title", ""),
        owner=written.get("owner", ""),
        tags=tuple(written.get("tags", ())),
    )


def check_zone_name(name: object, path: Path, report: Reporter, *, words: tuple[str, ...] = ()) -> None:
    """Report a text that is neither an IANA zone nor one of `words`; what is no text the schema has reported."""
    if isinstance(name, str) and name not in words and zone_named(name) is None:
        hint = did_you_mean(name, (*words, *sorted(zone_names())))
        report.problem("unknown-zone", f"unknown time zone {quote(name)}", path, hint)


class PolicyLowering:
    """What a kind asks while it lowers one policy: `kinds._kind.Lowering`. Paths begin at the policy."""

    def __init__(
        self,
        written: Mapping[str, Any],
        path: Path,
        report: Reporter,
        *,
        project_zone: ZoneInfo,
        declared: Declared = NOTHING_DECLARED,
    ) -> None:
        self.policy_id = str(written.get("id", ""))
        self._written = written
        self._path = path
        self._report = report
        self._project_zone = project_zone
        self._declared = declared
        self._conditions: dict[Path, Condition] = {}
        self._seconds: dict[Path, int] = {}

    def read_parts(self, properties: Mapping[str, Schema]) -> None:
        """Read every condition, zone, duration, purpose's id and context, whether or not the kind will ask for it."""
        for definition, value, path in _references({"properties": properties}, self._written, ()):
            here = (*self._path, *path)
            if definition == "condition":
                self._conditions[path] = parse_condition(value, here, self._report)
            elif definition == "timezone":
                check_zone_name(value, here, self._report, words=("recipient", "project"))
            elif definition == "fallback":
                check_zone_name(value, here, self._report, words=("strictest", "deny", "project"))
            elif definition == "duration":
                self._seconds[path] = read_duration(value, here, self._report)
            elif definition == "purpose_id":
                self._check_purpose(value, here)
            elif definition == "context_kind":
                self._check_context(value, here)

    def condition(self, path: Path) -> Condition:
        """The condition written at `path` (TRUE where nothing is). Its problems are already reported."""
        return self._conditions.get(path, TRUE)

    def duration_seconds(self, path: Path) -> int:
        """The duration written at `path`, in seconds; 1 where it is not one, which is already reported."""
        return self._seconds[path]

    def purpose(self, path: Path) -> Purpose | None:
        """The purpose that the set declares by the id at `path`; None where it declares none, or a broken one."""
        return self._declared.purposes.get(self._value(path))

    def zone(self, path: Path) -> Zone:
        """The zone of the mapping at `path`: its `timezone` and `fallback`, with `project` already replaced."""
        written = self._value(path)
        names = (written.get(name, default) for name, default in (("timezone", "recipient"), ("fallback", "deny")))
        return Zone(*(self._project_zone.key if name == "project" else name for name in names))

    def validity(self) -> tuple[datetime | None, datetime | None]:
        """When the policy begins and ends to be in force."""
        valid = self._written.get("valid", {})
        if not isinstance(valid, Mapping):  # the schema has reported it
            return None, None
        begin, end = (self._instant(valid.get(name), ("valid", name)) for name in ("from", "until"))
        if begin is not None and end is not None and begin >= end:
            message = f"the policy is never in force: `until` {quote(valid['until'])} is not after `from`"
            self.problem("contradiction", message, ("valid", "until"))
        return begin, end

    def problem(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """Report that what stands at `path` is wrong."""
        self._report.problem(code, message, (*self._path, *path), hint)

    def _value(self, path: Path) -> Any:  # noqa: ANN401 - what the schema says of this path
        value: Any = self._written
        for step in path:
            value = value[step]
        return value

    def _check_purpose(self, purpose_id: object, path: Path) -> None:
        """Report an id that no purpose has; what is no text the schema has reported."""
        if isinstance(purpose_id, str) and self._declared.lacks(purpose_id):
            hint = did_you_mean(purpose_id, self._declared.entries) or "declare it under `purposes`"
            self._report.problem("unknown-purpose", f"no purpose is called {quote(purpose_id)}", path, hint)

    def _check_context(self, kind: object, path: Path) -> None:
        """Report a kind of context that the project does not declare; what is no text the schema has reported."""
        contexts = self._declared.contexts
        if not isinstance(kind, str) or contexts is None or kind in contexts:
            return
        if contexts:
            message = f"no kind of context is called {quote(kind)}"
            hint = did_you_mean(kind, contexts) or "declare it under `contexts` of the `project`"
        else:
            message = f"{quote(kind)} is no kind of context: the set declares none"
            hint = f"write `contexts: [{kind}]` under `project`, in one file of the set"
        self._report.problem("unknown-context", message, path, hint)

    def _instant(self, text: object, path: Path) -> datetime | None:
        """A timestamp, or a date: midnight in the project's zone."""
        if not isinstance(text, str) or not re.fullmatch(f"{DATE_PATTERN}|{TIMESTAMP_PATTERN}", text):
            return None  # the schema has reported what is there
        try:
            return parse_date(text, self._project_zone) if len(text) == len("2026-12-31") else parse_timestamp(text)
        except ValueError:  # such as the 31st of June, which its form lets through
            self.problem("bad-timestamp", f"{quote(text)} is no day of the calendar", path)
            return None


def _references(schema: object, value: object, path: Path) -> Iterator[tuple[str, object, Path]]:
    """Each value whose schema is a definition, with that definition's name and the value's path."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield schema["$ref"].removeprefix("#/$defs/"), value, path
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from _references(inner, value[name], (*path, name))
    elif isinstance(value, list) and "items" in schema:
        for place, item in enumerate(value):
            yield from _references(schema["items"], item, (*path, place))
    for alternative in schema.get("anyOf", ()):
        yield from _references(alternative, value, path)

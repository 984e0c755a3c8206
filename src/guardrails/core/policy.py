"""A policy as the engines see it: lowered to two formulas, whatever its kind.

A kind (`policyfile.kinds`) turns the author's few lines into `violated` and `satisfied`, the needs whose facts these
formulas read, and the words for the outcome. Neither formula true makes the verdict `undetermined`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Literal

import msgspec

from guardrails.core.cap_rule import CapRule
from guardrails.core.conditions import TRUE, Condition
from guardrails.core.needs import PREFERENCES, Need

__all__ = ["Mode", "ObligationRule", "Policy", "Reason", "Retry", "Verdict"]

Mode = Literal["enforce", "monitor", "off"]
OnMissing = Literal["deny", "allow"]

CONSENT = "consent."
"""What the name of a fact begins with that is made of consents."""


class Verdict(enum.Enum):
    """One policy's answer on one candidate. The values are the words that go out."""

    NOT_APPLICABLE = "not_applicable"
    SATISFIED = "satisfied"
    VIOLATED = "violated"
    UNDETERMINED = "undetermined"

    __hash__ = object.__hash__  # one object each, and hashed by the dozen: what they come to is remembered by them


class Reason(msgspec.Struct, frozen=True):
    """How a violation is named: by the code of the first of `cases` whose condition is true, else by `code`."""

    code: str
    message: str
    cases: tuple[tuple[Condition, str], ...] = ()


class ObligationRule(msgspec.Struct, frozen=True):
    """A duty that an allow carries where this policy is satisfied.

    `values` are literals; `fields` are names of facts whose values go in under the given key.
    """

    type: str
    values: Mapping[str, object] = {}
    fields: Mapping[str, str] = {}


class Retry(msgspec.Struct, frozen=True):
    """Advice to the sender of a denied candidate: try every `every_seconds`, at most `attempts` times."""

    every_seconds: int
    attempts: int


class Policy(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One policy, ready to be evaluated. `ordinal` is its place in policy order."""

    ordinal: int
    id: str
    kind: str
    mode: Mode
    applies_to: Condition = TRUE
    violated: Condition
    satisfied: Condition
    reason: Reason
    needs: tuple[Need, ...] = ()
    caps: tuple[CapRule, ...] = ()
    obligations: tuple[ObligationRule, ...] = ()
    retry: Retry | None = None
    on_missing: OnMissing | None = None
    overrides: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    title: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    builtin: bool = False

    @cached_property
    def is_bounded(self) -> bool:
        """Whether it is in force for a time only."""
        return self.valid_from is not None or self.valid_until is not None

    @cached_property
    def consent_facts(self) -> tuple[str, ...]:
        """Of the facts that it needs, those that are made of consents; found once, as few policies need any."""
        return tuple(need.fact for need in self.needs if need.fact.startswith(CONSENT))

    @cached_property
    def shares_preferences(self) -> bool:
        """Whether what it needs is made of what the recipient chose."""
        return any(PREFERENCES in need.shares for need in self.needs)

    def is_valid_at(self, at: datetime) -> bool:
        """Whether `at` lies in the half-open interval in which the policy is in force."""
        begun = self.valid_from is None or at >= self.valid_from
        return begun and (self.valid_until is None or at < self.valid_until)

    def bounds_after(self, at: datetime) -> list[datetime]:
        """The ends of that interval that lie after `at`."""
        return [bound for bound in (self.valid_from, self.valid_until) if bound is not None and bound > at]

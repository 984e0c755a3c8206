"""What a policy test says, once read: plain values, with the lines that a report points to.

A case is a timeline of steps; one that only has an `expect` is a timeline of one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from guardrails.consent.values import State
from guardrails.decide.outcomes import Outcome

__all__ = [
    "METHOD",
    "Expectation",
    "GivenConsent",
    "GivenPreferences",
    "GivenSend",
    "PolicyTestCase",
    "PolicyTestFile",
    "Step",
    "Terms",
]

Overrides = Mapping[str, Any]
"""A candidate, or a part of one, as JSON values; not yet decoded."""


Terms = Mapping[str, Any]
"""The terms of an offer, as JSON values; not yet decoded."""


METHOD = "policy_test"
"""How a given consent was recorded, where the case doesn't say."""


class GivenConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent record as it stands, made at `at`.

    `recipient` is None where it is the candidate's, `channels` where it is about all.
    """

    purpose: str
    state: State
    at: datetime
    method: str = METHOD
    channels: tuple[str, ...] | None = None
    notice_id: str | None = None
    notice_version: str | None = None
    jurisdiction: str | None = None
    expires_at: datetime | None = None
    recipient: str | None = None


class GivenPreferences(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate's recipient chooses: toggles by name, and what else is said; null takes a choice back."""

    toggles: Mapping[str, bool] = {}
    paused_until: datetime | UnsetType | None = UNSET
    limits: Mapping[str, int | None] = {}
    timezone: str | UnsetType | None = UNSET


class GivenSend(msgspec.Struct, frozen=True, kw_only=True):
    """A send of the past, of the whole candidate given, and how far it came."""

    at: datetime
    outcome: Literal["reserved", "sent", "delivered"]
    candidate: Overrides
    line: int


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision must say: the expected values by name, instants as datetimes, and the line of each name."""

    line: int
    wanted: Mapping[str, Any]
    lines: Mapping[str, int]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a timeline. What is set takes place in the order of the fields."""

    line: int
    at: datetime
    consent: GivenConsent | None = None
    preferences: GivenPreferences | None = None
    candidate: Overrides | None = None
    expect: Expectation | None = None
    outcome: Outcome | None = None


class PolicyTestCase(msgspec.Struct, frozen=True, kw_only=True):
    """One case: what is on record when it begins, and what takes place then.

    `at` is the clock it begins with; `candidate` is whole, as far as the file says.
    """

    path: Path
    line: int
    name: str
    at: datetime
    candidate: Overrides
    consents: tuple[GivenConsent, ...] = ()
    preferences: GivenPreferences | None = None
    sent: tuple[GivenSend, ...] = ()
    offers: tuple[Terms, ...] = ()
    steps: tuple[Step, ...]


class PolicyTestFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of cases; `policies` is the path that it names, made absolute, or None."""

    path: Path
    policies: Path | None
    cases: tuple[PolicyTestCase, ...]

"""Recorded decisions, read back: what was answered, what became of it, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from guardrails.core.candidate import Candidate, Instant
from guardrails.core.decision import Decision
from guardrails.core.policy import Policy
from guardrails.core.purposes import Purpose
from guardrails.core.reference import PolicyTrace
from guardrails.decide.case import Case, Compiled
from guardrails.decide.entry import DecisionEntry, decode_entry
from guardrails.decide.explain import traces_of
from guardrails.decide.holdings import ReservationState, state_at
from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.decide.reliance import relied_on
from guardrails.decide.replay import case_of
from guardrails.errors import NotFoundError, PolicyError

__all__ = ["AllowedRecord", "DecisionRecord", "Records", "RestsOn"]

COMPILED_MOST = 12
"""Policy sets that are kept compiled: mostly the active one is asked for, and for a recipient's page as many as there
are notifications on it, lest each visit compile them all anew."""


class DecisionRecord(msgspec.Struct, frozen=True):
    """A decision with its reservation's state and its trace, computed from the audit entry.

    `traces` is empty where the decision was made without its facts (`fault` says why).
    """

    decision: Decision
    state: ReservationState
    lease_until: Instant | None
    traces: tuple[PolicyTrace, ...]
    not_applicable: tuple[str, ...]
    fault: str | None


class RestsOn(msgspec.Struct, frozen=True):
    """A consent that an allow rests on: the record, and the purpose as it was declared then, if it was."""

    purpose: str
    declared: Purpose | None
    record: str | None


class AllowedRecord(msgspec.Struct, frozen=True):
    """An allow, for the recipient who asks why they got it: what spoke for it, and the consents that it rests on.

    `candidate` is as policies saw it: with what was registered of its offer. Where the decision was made without its
    facts, or by policies that don't load any more, it is as it was sent, `policies` is empty and `consents` None: which
    those were can't be told.
    """

    decision_id: str
    candidate: Candidate
    at: datetime
    state: ReservationState
    policies: tuple[Policy, ...]
    consents: tuple[RestsOn, ...] | None


class Records:
    """Reads decisions back."""

    def __init__(
        self,
        transactor: Transactor,
        *,
        compile_files: Callable[[Mapping[str, str]], Compiled],
        clock: Callable[[], datetime],
    ) -> None:
        self._transactor = transactor
        self._compile_files = compile_files
        self._clock = clock
        self._compiled: dict[str, Compiled] = {}

    def read(self, decision_id: str) -> DecisionRecord:
        """The record of `decision_id`. Raises NotFoundError, or DependencyError where the stores are out of reach."""
        found = self._transactor.call(_read_group, decision_id)
        if found is None:
            raise NotFoundError(f"there is no decision `{decision_id}`")
        state, lease_until = self._state(found.stored), found.stored.lease_until
        entry, files = found.entry, found.files
        if entry.fault is not None:
            return DecisionRecord(entry.decision, state, lease_until, (), (), entry.fault)
        case = case_of(entry, self._compiled_for(entry.decision.policy_revision, files))
        return DecisionRecord(entry.decision, state, lease_until, *traces_of(case), fault=None)

    def allowed(self, recipient: str, most: int) -> tuple[AllowedRecord, ...]:
        """At most `most` allows for a recipient of those that are kept, the newest first.

        Raises DependencyError where the stores are out of reach.
        """
        found = self._transactor.call(_read_allows, (recipient, most))
        return tuple(self._allowed(each) for each in found)

    def _allowed(self, found: _Found) -> AllowedRecord:
        stored, entry = found.stored, found.entry
        case = self._case(found)
        return AllowedRecord(
            decision_id=stored.decision_id,
            candidate=entry.candidate if case is None else case.candidate,
            at=stored.sent_at or stored.evaluated_at,
            state=self._state(stored),
            policies=() if case is None else case.combined_at(case.at).satisfied,
            consents=None if case is None else _rests_on(case),
        )

    def _case(self, found: _Found) -> Case | None:
        """The case as it was decided; None where it wasn't, or where its policies don't load any more."""
        if found.entry.fault is not None:
            return None
        try:
            return case_of(found.entry, self._compiled_for(found.entry.decision.policy_revision, found.files))
        except PolicyError:
            return None

    def _state(self, stored: StoredDecision) -> ReservationState:
        return state_at(stored.state, stored.lease_until, self._clock())

    def _compiled_for(self, revision: str, files: Mapping[str, str]) -> Compiled:
        compiled = self._compiled.get(revision)
        if compiled is None:
            compiled = self._compile_files(files)
            newest = [*self._compiled.items(), (revision, compiled)]
            self._compiled = dict(newest[-COMPILED_MOST:])
        return compiled


def _rests_on(case: Case) -> tuple[RestsOn, ...]:
    """Each purpose once, in policy order."""
    declared = case.compiled.policy_set.purposes
    found: dict[str, RestsOn] = {}
    for each in relied_on(case, case.combined_at(case.at).satisfied):
        found.setdefault(each.purpose, RestsOn(each.purpose, declared.get(each.purpose), each.consent.record))
    return tuple(found.values())


class _Found(msgspec.Struct, frozen=True):
    stored: StoredDecision
    entry: DecisionEntry
    files: Mapping[str, str]


def _read_group(session: Session, decision_ids: list[str]) -> list[_Found | None]:
    kept = session.decisions.by_id(decision_ids)
    archive = _Archive(session)
    return [archive.found(kept[each]) if each in kept else None for each in decision_ids]


def _read_allows(session: Session, asked: list[tuple[str, int]]) -> list[list[_Found]]:
    archive = _Archive(session)
    return [[archive.found(each) for each in session.decisions.of_recipient(*one)] for one in asked]


class _Archive:
    """What else is kept of decisions; the files of a revision are read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files: dict[str, Mapping[str, str]] = {}

    def found(self, stored: StoredDecision) -> _Found:
        ((_, data),) = self._session.audit.read(stored.audit_index, stored.audit_index + 1)
        entry = decode_entry(data)
        assert isinstance(entry, DecisionEntry)  # noqa: S101 - the index was stored with the decision, in one unit
        revision = entry.decision.policy_revision
        if revision not in self._files:
            self._files[revision] = self._session.policies.read(revision) or {}
        return _Found(stored, entry, self._files[revision])

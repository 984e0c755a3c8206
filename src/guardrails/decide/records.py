"""Recorded decisions, read back: what was answered, what became of it, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from guardrails.core.candidate import Instant
from guardrails.core.decision import Decision
from guardrails.core.reference import PolicyTrace
from guardrails.decide.case import Compiled
from guardrails.decide.entry import DecisionEntry, decode_entry
from guardrails.decide.explain import traces_of
from guardrails.decide.holdings import ReservationState
from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.decide.replay import case_of
from guardrails.errors import NotFoundError

__all__ = ["DecisionRecord", "Records"]


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
        state, lease_until = found.stored.state, found.stored.lease_until
        entry, files = found.entry, found.files
        if state == "reserved" and lease_until is not None and lease_until <= self._clock():
            state = "expired"
        if entry.fault is not None:
            return DecisionRecord(entry.decision, state, lease_until, (), (), entry.fault)
        case = case_of(entry, self._compiled_for(entry.decision.policy_revision, files))
        return DecisionRecord(entry.decision, state, lease_until, *traces_of(case), fault=None)

    def _compiled_for(self, revision: str, files: Mapping[str, str]) -> Compiled:
        compiled = self._compiled.get(revision)
        if compiled is None:
            compiled = self._compile_files(files)
            self._compiled = {revision: compiled}  # one: mostly it is the active one
        return compiled


class _Found(msgspec.Struct, frozen=True):
    stored: StoredDecision
    entry: DecisionEntry
    files: Mapping[str, str]


def _read_group(session: Session, decision_ids: list[str]) -> list[_Found | None]:
    kept = session.decisions.by_id(decision_ids)
    return [_read(session, kept.get(decision_id)) for decision_id in decision_ids]


def _read(session: Session, stored: StoredDecision | None) -> _Found | None:
    if stored is None:
        return None
    ((_, data),) = session.audit.read(stored.audit_index, stored.audit_index + 1)
    entry = decode_entry(data)
    assert isinstance(entry, DecisionEntry)  # noqa: S101 - the index was stored with the decision, in one unit
    return _Found(stored, entry, session.policies.read(entry.decision.policy_revision) or {})

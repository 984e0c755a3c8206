"""Outcomes: what became of an allowed decision, and with it of the slots that it holds.

    reserved, expired -> sent | delivered | failed | cancelled
    sent              -> delivered | failed

The same outcome again changes nothing, nor does `sent` after `delivered`: reports arrive in any order. Every other
move is refused. A send that is reported after its lease ran out did take place, so it counts: what is true is
recorded, even where it overshoots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

import msgspec

from guardrails.decide.entry import OutcomeEntry, encode_entry
from guardrails.decide.ports import ReservationState, Session, StoredDecision, Transactor
from guardrails.errors import CandidateError, ConflictError, NotFoundError

__all__ = ["Outcome", "OutcomeReport", "OutcomeResult", "Outcomes"]

Outcome = Literal["sent", "delivered", "failed", "cancelled"]

_MOVES: Mapping[str, frozenset[str]] = {
    "reserved": frozenset({"sent", "delivered", "failed", "cancelled"}),
    "expired": frozenset({"sent", "delivered", "failed", "cancelled"}),
    "sent": frozenset({"delivered", "failed"}),
}
_NOTHING_NEW = frozenset({*((state, state) for state in get_args(Outcome)), ("delivered", "sent")})


class OutcomeReport(msgspec.Struct, frozen=True):
    """The sender's word on one decision: `outcome` took place at `at`."""

    decision_id: str
    outcome: Outcome
    at: datetime


class OutcomeResult(msgspec.Struct, frozen=True):
    """The state that the decision's reservation is in now."""

    decision_id: str
    state: ReservationState


class Outcomes:
    """Takes reports and keeps reservations in step with them."""

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor

    def report(self, reports: Sequence[OutcomeReport]) -> list[OutcomeResult | CandidateError]:
        """Apply reports in order; one result or error a report. Raises DependencyError, and then applied none."""
        return self._transactor.call(_apply_group, tuple(reports))


def _apply_group(
    session: Session, groups: list[tuple[OutcomeReport, ...]]
) -> list[list[OutcomeResult | CandidateError]]:
    return [[_apply(session, report) for report in reports] for reports in groups]


def _apply(session: Session, report: OutcomeReport) -> OutcomeResult | CandidateError:
    stored = session.decisions.by_id(report.decision_id)
    if stored is None:
        return NotFoundError(f"there is no decision `{report.decision_id}`")
    state = _state_at(stored, report.at)
    if (state, report.outcome) in _NOTHING_NEW:
        return OutcomeResult(report.decision_id, state)
    if report.outcome not in _MOVES.get(state, ()):
        return ConflictError(f"decision `{report.decision_id}` is `{state}` and can't become `{report.outcome}`")
    if report.outcome == "sent" or report.outcome == "delivered":  # noqa: PLR1714 - this way the types are narrowed
        session.caps.commit(report.decision_id, report.outcome, report.at)
    else:
        session.caps.release(report.decision_id)
    session.decisions.move(report.decision_id, report.outcome)
    entry = OutcomeEntry(decision_id=report.decision_id, was=state, is_now=report.outcome, at=report.at)
    session.audit.append([encode_entry(entry)])
    return OutcomeResult(report.decision_id, report.outcome)


def _state_at(stored: StoredDecision, at: datetime) -> ReservationState:
    expired = stored.state == "reserved" and stored.lease_until is not None and stored.lease_until <= at
    return "expired" if expired else stored.state

"""Outcomes: what became of an allowed decision, and with it of the slots that it holds.

    reserved, expired -> sent | delivered | failed | cancelled
    sent              -> delivered | failed

The same outcome again changes nothing, nor does `sent` after `delivered`: reports arrive in any order. Every other
move is refused. A send that is reported after its lease ran out did take place, so it counts: what is true is
recorded, even where it overshoots.

The sender says when it took place, and the audit entry keeps that; what counts is kept between the instant that the
decision was for and the service's own now, so that no sender's clock moves a send out of a cap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    def __init__(self, transactor: Transactor, *, clock: Callable[[], datetime]) -> None:
        self._transactor = transactor
        self._clock = clock

    def report(
        self, reports: Sequence[OutcomeReport], *, now: datetime | None = None
    ) -> list[OutcomeResult | CandidateError]:
        """Apply reports in order; one result or error a report. Raises DependencyError, and then applied none."""
        return self._transactor.call(_apply_group, (tuple(reports), now or self._clock()))


def _apply_group(
    session: Session, groups: list[tuple[tuple[OutcomeReport, ...], datetime]]
) -> list[list[OutcomeResult | CandidateError]]:
    return [[_apply(session, report, now) for report in reports] for reports, now in groups]


def _apply(session: Session, report: OutcomeReport, now: datetime) -> OutcomeResult | CandidateError:
    stored = session.decisions.by_id(report.decision_id)
    if stored is None:
        return NotFoundError(f"there is no decision `{report.decision_id}`")
    state = _state_at(stored, now)
    if (state, report.outcome) in _NOTHING_NEW:
        return OutcomeResult(report.decision_id, state)
    if report.outcome not in _MOVES.get(state, ()):
        return ConflictError(f"decision `{report.decision_id}` is `{state}` and can't become `{report.outcome}`")
    if report.outcome == "sent" or report.outcome == "delivered":  # noqa: PLR1714 - this way the types are narrowed
        counted_at = max(min(report.at, now), stored.evaluated_at)
        session.caps.commit(report.decision_id, report.outcome, counted_at)
    else:
        session.caps.release(report.decision_id)
    session.decisions.move(report.decision_id, report.outcome)
    entry = OutcomeEntry(decision_id=report.decision_id, was=state, is_now=report.outcome, at=report.at)
    session.audit.append([encode_entry(entry)])
    return OutcomeResult(report.decision_id, report.outcome)


def _state_at(stored: StoredDecision, at: datetime) -> ReservationState:
    expired = stored.state == "reserved" and stored.lease_until is not None and stored.lease_until <= at
    return "expired" if expired else stored.state

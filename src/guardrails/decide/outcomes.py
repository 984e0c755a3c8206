"""Outcomes: what became of an allowed decision, and with it of the slots that it holds.

    reserved, expired -> any
    sent -> delivered -> complained     the slots count: a complaint says it was delivered, a delivery that it was sent
    sent -> failed                      the slots are freed: it did not reach the recipient,
    sent -> delivered -> bounced        nor did what was accepted first and came back
    cancelled                           the slots are freed: nothing was sent

Reports arrive in any order and more than once, and where they can all be true end in the same state whatever their
order was: what comes before the present state in this order changes no state, what comes after it does, and anything
else contradicts what is recorded (`ImpossibleOutcomeError`, which names both states), which then stands. A deny holds
nothing and refuses all. A send that is reported after its lease ran out did take place, so it counts: what is true is
recorded, even where it overshoots.

The sender says when it took place, and the audit entry keeps that. What counts is the earliest instant reported, kept
between the instant that the decision was for and the service's own now, so that no sender's clock moves a send out of
a cap. A report that says no instant, or one that is still to come, means now, unless an instant is known already. So
the same report again changes nothing, even after the service's clock was set back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from guardrails.decide.entry import OutcomeEntry, encode_entry
from guardrails.decide.holdings import ReservationState, Settlement, state_at
from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.decide.settling import try_settle
from guardrails.decide.spool import Spool
from guardrails.errors import CandidateError, CatchingUpError, ConflictError, NotFoundError

__all__ = ["ImpossibleOutcomeError", "Outcome", "OutcomeReport", "OutcomeResult", "Outcomes"]

Outcome = Literal["sent", "delivered", "failed", "cancelled", "bounced", "complained"]

_BEFORE: Mapping[str, frozenset[str]] = {
    "sent": frozenset(),
    "delivered": frozenset({"sent"}),
    "complained": frozenset({"sent", "delivered"}),
    "failed": frozenset({"sent"}),
    "bounced": frozenset({"sent", "delivered"}),
    "cancelled": frozenset(),
}
"""What may have taken place before each outcome: a strict partial order, so that a set of reports has one end."""

_OPEN: frozenset[ReservationState] = frozenset({"reserved", "expired"})
_SAYS_SENT: frozenset[Outcome] = frozenset({"sent", "delivered", "complained"})
_SAYS_DELIVERED: frozenset[Outcome] = frozenset({"delivered", "complained"})


class OutcomeReport(msgspec.Struct, frozen=True):
    """The sender's word on one decision: `outcome` took place at `at`; None: the sender does not say when."""

    decision_id: str
    outcome: Outcome
    at: datetime | None = None


class OutcomeResult(msgspec.Struct, frozen=True):
    """The state that the decision's reservation is in now."""

    decision_id: str
    state: ReservationState


class ImpossibleOutcomeError(ConflictError):
    """The outcome contradicts the state that the decision is in."""

    def __init__(self, decision_id: str, *, state: ReservationState, outcome: Outcome) -> None:
        why = ": it was a deny" if state == "none" else ""
        super().__init__(f"decision `{decision_id}` is `{state}` and can't become `{outcome}`{why}")
        self.decision_id = decision_id
        self.state = state
        self.outcome = outcome


class Outcomes:
    """Takes reports and keeps reservations in step with them."""

    def __init__(
        self,
        transactor: Transactor,
        *,
        clock: Callable[[], datetime],
        keep: timedelta,
        spool: Spool | None = None,
    ) -> None:
        """`keep` is how long a decision answers for its candidate after its last change.

        `spool` is where decisions of this machine wait that the stores don't know yet.
        """
        self._transactor = transactor
        self._clock = clock
        self._keep = keep
        self._spool = spool

    def report(
        self, reports: Sequence[OutcomeReport], *, now: datetime | None = None
    ) -> list[OutcomeResult | CandidateError]:
        """Apply reports in order; one result or error a report.

        Raises DependencyError where the stores are out of reach, CatchingUpError where a decision is unknown and may be
        one of those that still wait in the spool, and then applied none. The same reports can be made again.
        """
        if not reports:
            return []
        told = _Told(tuple(reports), now or self._clock())
        results = self._transactor.call(self._apply_group, told, size=len(told.reports))
        if results is None:
            message = "what was decided without the database is still being taken into it"
            raise CatchingUpError(message, dependency="database")
        return results

    def _apply_group(self, session: Session, group: list[_Told]) -> list[list[OutcomeResult | CandidateError] | None]:
        """The handler: all reports that arrived together, in order, with one read and one write a store.

        None, and nothing applied, where the decision of one may still be in the spool.
        """
        decision_ids = dict.fromkeys(report.decision_id for told in group for report in told.reports)
        kept = session.decisions.by_id(tuple(decision_ids))
        # Asked within the unit, after the read: what left the spool before is in the stores, and was found there.
        may_be_spooled = len(kept) < len(decision_ids) and self._holds_spooled()
        changes = _Changes(kept, self._keep)
        results = [
            None
            if may_be_spooled and any(report.decision_id not in kept for report in told.reports)
            else [changes.apply(report, told.now) for report in told.reports]
            for told in group
        ]
        changes.write(session)
        return results

    def _holds_spooled(self) -> bool:
        """Whether decisions may wait in the spool."""
        try:
            return self._spool is not None and not self._spool.is_empty
        except OSError:
            return True


class _Told(msgspec.Struct, frozen=True):
    """Reports of one caller, and when they arrived."""

    reports: tuple[OutcomeReport, ...]
    now: datetime


class _Changes:
    """Decisions as they are kept, and as they are after each report; each report sees those before it."""

    def __init__(self, kept: Mapping[str, StoredDecision], keep: timedelta) -> None:
        self._kept = kept
        self._keep = keep
        self._changed: dict[str, StoredDecision] = {}
        self._entries: list[bytes] = []

    def apply(self, report: OutcomeReport, now: datetime) -> OutcomeResult | CandidateError:
        decision_id = report.decision_id
        before = self._changed.get(decision_id) or self._kept.get(decision_id)
        if before is None:
            return NotFoundError(f"there is no decision `{decision_id}`")
        state = state_at(before.state, before.lease_until, now)
        reached = _state_after(state, report.outcome)
        if reached is None:
            return ImpossibleOutcomeError(decision_id, state=state, outcome=report.outcome)
        after = _after(before, report, reached, now)
        if after != before:
            self._changed[decision_id] = msgspec.structs.replace(after, due_at=after.due(now, self._keep))
            self._entries.append(encode_entry(_entry(report, state, after, now)))
        return OutcomeResult(decision_id, reached)

    def write(self, session: Session) -> None:
        """Bring caps, decisions and log up to date, one call each."""
        if not self._changed:
            return
        settlements = {
            decision_id: settlement
            for decision_id, after in self._changed.items()
            if (settlement := _settlement(self._kept[decision_id], after)) is not None
        }
        is_settled = try_settle(session.caps, tuple(settlements.values()))
        pending = () if is_settled else settlements
        session.decisions.update(
            [
                msgspec.structs.replace(after, is_caps_pending=True) if decision_id in pending else after
                for decision_id, after in self._changed.items()
            ]
        )
        session.audit.append(self._entries)


def _entry(report: OutcomeReport, was: ReservationState, after: StoredDecision, now: datetime) -> OutcomeEntry:
    return OutcomeEntry(
        decision_id=after.decision_id,
        outcome=report.outcome,
        was=was,
        is_now=after.state,
        at=report.at or now,
        now=now,
        sent_at=after.sent_at,
        delivered_at=after.delivered_at,
    )


def _state_after(state: ReservationState, outcome: Outcome) -> ReservationState | None:
    """The later of both; None where neither may have come before the other."""
    if state in _OPEN or state in _BEFORE[outcome]:
        return outcome
    return state if outcome == state or outcome in _BEFORE.get(state, ()) else None


def _after(before: StoredDecision, report: OutcomeReport, reached: ReservationState, now: datetime) -> StoredDecision:
    """The decision with what the report says; the very same value where that is nothing new."""
    sent_at, delivered_at = before.sent_at, before.delivered_at
    if report.outcome in _SAYS_SENT:
        sent_at = _earliest(sent_at, report, before, now)
    if report.outcome in _SAYS_DELIVERED:
        delivered_at = _earliest(delivered_at, report, before, now)
    return msgspec.structs.replace(before, state=reached, sent_at=sent_at, delivered_at=delivered_at)


def _earliest(known: datetime | None, report: OutcomeReport, stored: StoredDecision, now: datetime) -> datetime:
    if report.at is None or report.at > now:
        return known or max(now, stored.evaluated_at)
    told = max(report.at, stored.evaluated_at)
    return told if known is None else min(known, told)


def _settlement(kept: StoredDecision, after: StoredDecision) -> Settlement | None:
    """What changes in the caps; None where nothing does, or where they are to be brought up to date anyway."""
    # By the stored state: until housekeeping expires a reservation whose lease ended, its slots are still in the store.
    before, now_held = kept.holding(), after.holding()
    return None if kept.is_caps_pending or before == now_held else Settlement(before=before, after=now_held)

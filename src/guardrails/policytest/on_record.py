"""Puts on record what a case gives, in the stores themselves: nothing is asked, refused or decided.

So a case may hold what the service would refuse today, such as consent to a purpose that nobody declares, and a send
of the past takes exactly the slots that the decider would have taken then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from guardrails.consent.store import ConsentStore
from guardrails.consent.values import ConsentEvent
from guardrails.core.needs import Take
from guardrails.decide.holdings import Holding, Reservation
from guardrails.decide.ports import Session, Transactor
from guardrails.policytest.cases import GivenConsent, GivenSend

__all__ = ["PastSend", "record_consent", "record_sends"]


class PastSend(NamedTuple):
    """A send of the past and the slots that it took."""

    given: GivenSend
    takes: tuple[Take, ...]


def record_consent(
    transactor: Transactor, given: GivenConsent, *, recipient: str, record_id: str, now: datetime
) -> None:
    """Make the record, of `recipient`."""
    event = ConsentEvent(
        id=record_id,
        recipient=recipient,
        purpose=given.purpose,
        state=given.state,
        at=given.at,
        method=given.method,
        recorded_at=now,
        channels=given.channels,
        notice_id=given.notice_id,
        notice_version=given.notice_version,
        jurisdiction=given.jurisdiction,
        expires_at=given.expires_at,
    )
    transactor.call(_append_consents, event)


def record_sends(transactor: Transactor, sends: Sequence[PastSend], *, lease_until: datetime) -> None:
    """Take the slots of the sends, as far as each came; reservations that are still open are so until `lease_until`."""
    holdings = [_holding(f"sent-before-{number}", send, lease_until) for number, send in enumerate(sends)]
    if holdings:
        transactor.call(_hold, _History(holdings, lease_until))


class _History(NamedTuple):
    holdings: list[Holding]
    lease_until: datetime


class _Ledger(Protocol):
    consents: ConsentStore


def _append_consents(session: _Ledger, events: list[ConsentEvent]) -> list[None]:
    session.consents.append(events)
    return [None] * len(events)


def _hold(session: Session, histories: list[_History]) -> list[None]:
    for history in histories:
        session.caps.reserve([Reservation(holding=each) for each in history.holdings], history.lease_until)
    return [None] * len(histories)


def _holding(decision_id: str, send: PastSend, lease_until: datetime) -> Holding:
    at, outcome = send.given.at, send.given.outcome
    return Holding(
        decision_id=decision_id,
        takes=send.takes,
        at=at,
        lease_until=lease_until if outcome == "reserved" else None,
        sent_at=None if outcome == "reserved" else at,
        delivered_at=at if outcome == "delivered" else None,
    )

"""Open conversion sessions, take their steps, read them, and forget them some time after they ended.

What is refused leaves no trace in the stores: whoever asked counts and logs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from guardrails.core.claims import OfferClaims
from guardrails.decide.ports import AuditLog, DecisionStore, Transactor
from guardrails.errors import CandidateError, ConflictError, GoneError, NotFoundError
from guardrails.offers.conversion_store import ConversionStore
from guardrails.offers.conversion_unit import ConversionUnit
from guardrails.offers.conversions import (
    KEPT,
    ConversionRequest,
    ConversionSession,
    KeptConversion,
    StepReport,
    refuse_opening,
    take_step,
)
from guardrails.offers.offer_store import OfferStore
from guardrails.offers.redemption_store import RedemptionStore
from guardrails.offers.token_checks import OfferTokens, TokenChecked, check_token

__all__ = ["Changed", "Conversions"]

STEP_SESSIONS = 500
"""So many sessions are forgotten in one unit."""


class Changed(msgspec.Struct, frozen=True):
    """A session as it stands now. `is_new`: by this request, and not by the same one before."""

    conversion: ConversionSession
    is_new: bool


class Conversions:
    """All conversion sessions. `tokens` gives what reads offer tokens, when there is one to read."""

    def __init__(self, transactor: Transactor, *, tokens: Callable[[], OfferTokens], new_id: Callable[[], str]) -> None:
        self._transactor = transactor
        self._tokens = tokens
        self._new_id = new_id

    def open(self, request: ConversionRequest, *, now: datetime) -> Changed:
        """Open a session; the same request again, known by its `id`, returns the first one.

        Raises, with its code, why not: ConflictError where the token is another recipient's, is redeemed or has no room
        for another session, where its send was cancelled or is planned for long after `now`, or its offer has not
        begun; GoneError where it has expired or its offer was withdrawn; CandidateError where it is none of ours.
        """
        token = check_token(self._tokens(), request.token, recipient=request.recipient, now=now)
        return _changed(self._transactor.call(_open, _Opening(request.id or self._new_id(), request, token, now)))

    def step(self, conversion_id: str, report: StepReport, *, now: datetime) -> Changed:
        """Take a step. Raises NotFoundError, or with its code why it is not taken."""
        return _changed(self._transactor.call(_step, _Stepping(conversion_id, report, now)))

    def find(self, conversion_id: str, *, now: datetime) -> ConversionSession:
        """The session of this id. Raises NotFoundError."""
        kept = self._transactor.call(_find, conversion_id)
        if kept is None:
            raise _unknown(conversion_id)
        return kept.at(now)

    def forget(self, now: datetime) -> int:
        """Forget a few sessions that ended long enough before `now`; returns how many: at 0 none are left."""
        return self._transactor.call(_forget, now - KEPT, size=STEP_SESSIONS)


class _Session(Protocol):
    offers: OfferStore
    redemptions: RedemptionStore
    decisions: DecisionStore
    conversions: ConversionStore
    audit: AuditLog


class _Opening(msgspec.Struct, frozen=True):
    id: str
    request: ConversionRequest
    token: TokenChecked
    now: datetime

    @property
    def body_hash(self) -> bytes:
        return hashlib.sha256(msgspec.json.encode((self.request.token, self.request.recipient))).digest()


class _Stepping(msgspec.Struct, frozen=True):
    id: str
    report: StepReport
    now: datetime


def _changed(result: Changed | CandidateError) -> Changed:
    assert isinstance(result, Changed)  # noqa: S101 - the transactor raises what is an error
    return result


def _open(session: _Session, openings: list[_Opening]) -> list[Changed | CandidateError]:
    unit = ConversionUnit(session)
    told = [each.token.claims for each in openings if each.token.claims is not None]
    unit.read(
        (each.request.id for each in openings if each.request.id is not None),
        decision_ids={each.decision_id: None for each in told},
    )
    standing = _Standing(session, told)
    results = [_open_one(unit, each, standing) for each in openings]
    unit.write()
    return results


def _open_one(unit: ConversionUnit, opening: _Opening, standing: _Standing) -> Changed | CandidateError:
    first = unit.find(opening.id)
    if first is not None:
        return Changed(first.at(opening.now), is_new=False) if first.body_hash == opening.body_hash else _taken(first)
    claims, refusal = opening.token.claims, opening.token.refusal
    if claims is None or refusal is not None:
        assert refusal is not None  # noqa: S101 - a token without claims is refused
        return refusal
    offer = standing.offers.get(claims.offer)
    if offer is None:
        return NotFoundError(f"there is no offer `{claims.offer}`", code="offer.unregistered")
    refusal = (
        _refuse_early(claims, opening.now)
        or refuse_opening(unit.of_decision(claims.decision_id), opening.now)
        or standing.refusal(claims, opening.now)
    )
    if refusal is not None:
        return refusal
    kept = KeptConversion(
        id=opening.id,
        decision_id=claims.decision_id,
        offer=claims.offer,
        recipient=opening.request.recipient,
        body_hash=opening.body_hash,
        declared=offer.terms.steps,
        opened_at=opening.now,
        ends_at=min(opening.now + timedelta(seconds=offer.terms.session_seconds), claims.expires_at),
    )
    unit.add(kept)
    return Changed(kept.at(opening.now), is_new=True)


def _step(session: _Session, steppings: list[_Stepping]) -> list[Changed | CandidateError]:
    unit = ConversionUnit(session)
    unit.read({each.id: None for each in steppings})
    results = [_step_one(unit, each) for each in steppings]
    unit.write()
    return results


def _step_one(unit: ConversionUnit, stepping: _Stepping) -> Changed | CandidateError:
    kept = unit.find(stepping.id)
    if kept is None:
        return _unknown(stepping.id)
    after = take_step(kept, stepping.report, stepping.now)
    if isinstance(after, CandidateError):
        return after
    if after is kept:
        return Changed(kept.at(stepping.now), is_new=False)
    unit.step(after)
    return Changed(after.at(stepping.now), is_new=True)


class _Standing:
    """How the offers, sends and redemptions stand that tokens are of, one read each."""

    def __init__(self, session: _Session, told: Sequence[OfferClaims]) -> None:
        decision_ids = list(dict.fromkeys(each.decision_id for each in told))
        self.offers = session.offers.by_id(list(dict.fromkeys(each.offer for each in told))) if told else {}
        self._decisions = session.decisions.by_id(decision_ids) if told else {}
        self._holding = session.redemptions.holding(decision_ids) if told else {}

    def refusal(self, claims: OfferClaims, now: datetime) -> CandidateError | None:
        """Why nobody can have it now, if so: as a redemption says it."""
        offer = self.offers[claims.offer]
        holder = self._holding.get(claims.decision_id)
        decision = self._decisions.get(claims.decision_id)
        if holder is not None:
            message = f"the offer token is redeemed by redemption `{holder.id}`, which is {holder.state}"
            return ConflictError(message, code="redemption.held")
        if decision is not None and decision.state == "cancelled":
            message = f"the send of decision `{claims.decision_id}` was cancelled"
            return ConflictError(message, code="decision.cancelled")
        if offer.withdrawn_at is not None:
            return GoneError(f"offer `{offer.id}` was withdrawn", code="offer.withdrawn")
        begins_at = offer.terms.begins_at
        if begins_at is not None and now < begins_at:
            return ConflictError(f"offer `{offer.id}` begins at {begins_at.isoformat()}", code="offer.not_begun")
        return None


def _refuse_early(claims: OfferClaims, now: datetime) -> CandidateError | None:
    """A session is forgotten `KEPT` after its end: by then its token has to be over."""
    if claims.expires_at - now <= KEPT:
        return None
    opens_at = (claims.expires_at - KEPT).isoformat()
    return ConflictError(f"the offer token opens a session from {opens_at} on: its send is planned", code="token.early")


def _find(session: _Session, ids: list[str]) -> list[KeptConversion | None]:
    found = session.conversions.by_id(ids)
    return [found.get(each) for each in ids]


def _forget(session: _Session, ends: list[datetime]) -> list[int]:
    return [session.conversions.forget(before, STEP_SESSIONS) for before in ends]


def _taken(first: KeptConversion) -> ConflictError:
    message = f"conversion `{first.id}` was opened with another token, or for another recipient"
    return ConflictError(message, problems=(("/id", message),), code="conversion.id_taken")


def _unknown(id_: str) -> NotFoundError:
    return NotFoundError(f"no conversion `{id_}` is kept")

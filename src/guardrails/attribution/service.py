"""Report revenue, take it back, and read it: what was earned is attributed to the decisions that it is owed to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from guardrails.attribution.booking import Booked, Booking, Proof, Session, book
from guardrails.attribution.reversing import Reversing, reverse
from guardrails.attribution.values import Revenue, RevenueRequest, ReversalRequest
from guardrails.core.claims import AttributionClaims
from guardrails.core.policy_set import Attribution
from guardrails.core.timing import told_at
from guardrails.decide.ports import Transactor
from guardrails.decoding import in_place, invalid
from guardrails.errors import CandidateError, NotFoundError

__all__ = ["AttributionTokens", "RevenueService"]

_encoder = msgspec.json.Encoder(order="deterministic")


class AttributionTokens(Protocol):
    """Reads the tokens by which revenue comes back."""

    def read_attribution(self, token: str, /) -> AttributionClaims:
        """What a token says. Raises CandidateError that says why it is none of ours."""


class RevenueService:
    """All revenue. `terms` are how the active policies attribute it; `new_id` names reversals that have no other id."""

    def __init__(
        self,
        transactor: Transactor,
        *,
        tokens: Callable[[], AttributionTokens],
        terms: Callable[[], Attribution],
        new_id: Callable[[], str],
    ) -> None:
        self._transactor = transactor
        self._tokens = tokens
        self._terms = terms
        self._new_id = new_id

    def record(self, requests: Sequence[RevenueRequest], *, now: datetime) -> list[Booked | CandidateError]:
        """Book revenue in order, durably; one result a request: the record, or the error that it alone has.

        The same request again is answered with the first record. Errors are CandidateError where a token is none of
        ours, or the instant lies ahead; ConflictError where the id says something else, or the conversion has its
        revenue already. Raises DependencyError where the stores are out of reach.
        """
        return in_place([self._checked(each, now) for each in requests], self._book)

    def reverse(self, revenue_id: str, request: ReversalRequest, *, now: datetime) -> Booked:
        """Take a revenue back, durably, all that it caused; again, it returns the same reversal.

        Raises NotFoundError where there is none, ConflictError where another reversal took it back, or it is one.
        """
        asked = Reversing(
            revenue_id=revenue_id,
            id=request.id,
            new_id=self._new_id(),
            reason=request.reason,
            body_hash=_hash(("reverse", revenue_id, request)),
            now=now,
        )
        reversed_ = self._transactor.call(_reverse_group, asked)
        assert isinstance(reversed_, Booked)  # noqa: S101 - the transactor raises what is an error
        return reversed_

    def read(self, revenue_id: str) -> Revenue:
        """One record. Raises NotFoundError."""
        found = self._transactor.call(_read_group, revenue_id)
        if found is None:
            raise NotFoundError(f"no revenue `{revenue_id}` is booked")
        return found

    def _book(self, bookings: tuple[Booking, ...]) -> list[Booked | CandidateError]:
        if not bookings:
            return []
        return self._transactor.call(_book_groups, bookings, size=len(bookings))

    def _checked(self, request: RevenueRequest, now: datetime) -> Booking | CandidateError:
        at = told_at(request.at, now)
        if at > now:
            return invalid((("/at", f"{at.isoformat()} lies in the future"),))
        try:
            proof = self._proof(request)
        except CandidateError as error:
            return invalid((("/attribution", str(error)),), "token.invalid")
        return Booking(
            id=request.id,
            amount_minor=request.amount_minor,
            currency=request.currency,
            at=at.astimezone(UTC),
            now=now,
            terms=self._terms(),
            body_hash=_hash(request),
            proof=proof,
            recipient=request.recipient,
            sponsor=request.sponsor,
            campaign=request.campaign,
            offer=request.offer,
            conversion=request.conversion,
        )

    def _proof(self, request: RevenueRequest) -> Proof | None:
        if request.attribution is not None:
            claims = self._tokens().read_attribution(request.attribution)
            return Proof(claims.decision_id, claims.audit_index, is_proven=True)
        return None if request.decision_id is None else Proof(request.decision_id)


def _hash(said: object) -> bytes:
    return hashlib.sha256(_encoder.encode(said)).digest()


def _book_groups(session: Session, groups: list[tuple[Booking, ...]]) -> list[list[Booked | CandidateError]]:
    results = iter(book(session, [booking for group in groups for booking in group]))
    return [[next(results) for _ in group] for group in groups]


def _reverse_group(session: Session, asked: list[Reversing]) -> list[Booked | CandidateError]:
    return reverse(session, asked)


def _read_group(session: Session, ids: list[str]) -> list[Revenue | None]:
    found = session.revenues.by_id(ids)
    return [found[each].revenue if each in found else None for each in ids]

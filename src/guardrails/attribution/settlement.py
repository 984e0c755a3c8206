"""Settlement: the statements of a month in the project's zone, and whether they agree with the ledger.

    settlement = settlements.settle("2026-11", now=now)

A revenue is of the month in which it was booked, and so is a reversal: each stands in one month's statements, and a
month that is over does not change. Read page by page as of one instant, so that others go on meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple, Protocol

import msgspec

from guardrails.attribution.statements import (
    PAYMENTS,
    Difference,
    Statement,
    Totals,
    differences_of,
    statements_of,
    totals_of,
)
from guardrails.attribution.store import Place, RevenueStore
from guardrails.attribution.values import Revenue
from guardrails.core.bookkeeping import Transaction
from guardrails.core.timing import calendar_window
from guardrails.core.zones import zone_named
from guardrails.decide.ports import AuditLog, Transactor
from guardrails.decoding import invalid
from guardrails.errors import CandidateError

__all__ = ["Settlement", "Settlements", "TooLongError"]

PAGE = 1000
MIDDLE_OF_MONTH = timedelta(days=14, hours=12)


class TooLongError(CandidateError):
    """There is more in the month than was asked for at most."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A month: `starts_at <= booked < ends_at`, in `zone`. While it is not over it is told as of `until`.

    `differences` are empty where the statements agree with the ledger, as they must.
    """

    month: str
    zone: str
    starts_at: datetime
    ends_at: datetime
    until: datetime
    is_over: bool
    totals: tuple[Totals, ...]
    statements: tuple[Statement, ...]
    differences: tuple[Difference, ...]


class _Ledger(Protocol):
    def last_seq(self) -> int: ...

    def posted(
        self, since: datetime, until: datetime, /, *, after: int, most: int
    ) -> Sequence[tuple[int, Transaction]]: ...


class _Redemption(Protocol):
    @property
    def settled_index(self) -> int | None: ...
    @property
    def taken_back_index(self) -> int | None: ...


class _Redemptions(Protocol):
    def by_id(self, ids: Sequence[str], /) -> Mapping[str, _Redemption]: ...


class _Session(Protocol):
    audit: AuditLog
    redemptions: _Redemptions
    ledger: _Ledger
    revenues: RevenueStore


class Settlements:
    """Settles months in the project's `zone`, as the active policies have it."""

    def __init__(self, transactor: Transactor, *, zone: Callable[[], tzinfo]) -> None:
        self._transactor = transactor
        self._zone = zone

    def settle(self, month: str, *, now: datetime, most: int | None = None) -> Settlement:
        """The statements of a month such as `2026-11`.

        Raises CandidateError where it is no month or has not begun, TooLongError where more than `most` revenues and
        transactions are of it, DependencyError where the stores are out of reach.
        """
        zone = self._zone()
        starts_at, ends_at = window_of(month, zone)
        if starts_at > now:
            raise invalid((("/month", f"`{month}` has not begun"),))
        bounds = self._transactor.call(_read_bounds, None)
        revenues = self._revenues(starts_at, ends_at, bounds, most)
        transactions = self._transactions(starts_at, ends_at, bounds, most)
        statements = statements_of(revenues, transactions, self._proofs(transactions))
        return Settlement(
            month=month,
            zone=str(zone),
            starts_at=starts_at,
            ends_at=ends_at,
            until=min(now, ends_at),
            is_over=now >= ends_at,
            totals=totals_of(revenues, statements),
            statements=statements,
            differences=differences_of(revenues, statements, transactions),
        )

    def _revenues(self, since: datetime, until: datetime, bounds: _Bounds, most: int | None) -> list[Revenue]:
        found: list[Revenue] = []
        after = Place(since, -1)
        while page := self._transactor.call(_read_revenues, (after, until)):
            found += (each for each in page if each.audit_index < bounds.next_index)
            _check(len(found), most)
            after = Place(page[-1].recorded_at, page[-1].audit_index)
        return found

    def _transactions(self, since: datetime, until: datetime, bounds: _Bounds, most: int | None) -> list[Transaction]:
        found: list[Transaction] = []
        after = 0
        while page := self._transactor.call(_read_transactions, _Page(since, until, after)):
            found += (each for seq, each in page if seq <= bounds.last_seq)
            _check(len(found), most)
            after = page[-1][0]
        return found

    def _proofs(self, transactions: Sequence[Transaction]) -> dict[str, int]:
        """The audit index of what each payment is of, by the transaction's id."""
        payments = [each for each in transactions if each.kind in PAYMENTS and each.refers_to is not None]
        proofs: dict[str, int] = {}
        for start in range(0, len(payments), PAGE):
            found: Mapping[str, int] = self._transactor.call(_read_proofs, payments[start : start + PAGE])
            proofs.update(found)
        return proofs


def window_of(month: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Start and end of a month in a zone. Raises CandidateError where it is none."""
    match = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", month)
    if match is None or not 1970 <= int(match[1]) < 2200:  # noqa: PLR2004 - the years of `core.candidate.YEARS`
        raise invalid((("/month", f"`{month[:20]}` is no month such as `2026-11`"),))
    named = zone_named(str(zone))
    assert named is not None  # noqa: S101 - a project's zone is one of them
    middle = datetime(int(match[1]), int(match[2]), 1, tzinfo=named) + MIDDLE_OF_MONTH
    return calendar_window("month", named, middle)


class _Bounds(NamedTuple):
    """How far the log and the ledger went at one instant: what comes later is not looked at."""

    next_index: int
    last_seq: int


class _Page(NamedTuple):
    since: datetime
    until: datetime
    after: int


def _check(found: int, most: int | None) -> None:
    if most is not None and found > most:
        raise TooLongError(f"the month has more than {most} entries")


def _read_bounds(session: _Session, asked: list[None]) -> list[_Bounds]:
    bounds = _Bounds(session.audit.next_index(), session.ledger.last_seq())
    return [bounds] * len(asked)


def _read_revenues(session: _Session, asked: list[tuple[Place, datetime]]) -> list[Sequence[Revenue]]:
    return [session.revenues.booked(after, until, PAGE) for after, until in asked]


def _read_transactions(session: _Session, pages: list[_Page]) -> list[Sequence[tuple[int, Transaction]]]:
    return [session.ledger.posted(page.since, page.until, after=page.after, most=PAGE) for page in pages]


def _read_proofs(session: _Session, pages: list[list[Transaction]]) -> list[Mapping[str, int]]:
    return [_proofs_of(session, payments) for payments in pages]


def _proofs_of(session: _Session, payments: list[Transaction]) -> dict[str, int]:
    redemptions = session.redemptions.by_id(list(dict.fromkeys(each.refers_to or "" for each in payments)))
    proofs = {}
    for payment in payments:
        redemption = redemptions.get(payment.refers_to or "")
        if redemption is not None:
            index = redemption.settled_index if payment.kind == "payment" else redemption.taken_back_index
            if index is not None:
                proofs[payment.id] = index
    return proofs

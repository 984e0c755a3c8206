"""Settlement: the statements of a month in the project's zone, and whether they agree with the ledger.

    settlement = settlements.settle("2026-11", now=now)

A revenue is of the month in which it was booked, and so is a reversal: each stands in one month's statements, and a
month that is over does not change. Read page by page as of one instant, so that others go on meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple, Protocol

import msgspec

from guardrails.attribution.statements import (
    PAYMENTS,
    Difference,
    Known,
    Origin,
    Paid,
    Statement,
    Totals,
    differences_of,
    statements_of,
    totals_of,
)
from guardrails.attribution.store import Place, RevenueStore
from guardrails.attribution.touches import allow_of_entry
from guardrails.attribution.values import Revenue
from guardrails.core.bookkeeping import Transaction
from guardrails.core.timing import calendar_window
from guardrails.core.zones import zone_named
from guardrails.decide.entry import DecisionEntry, decode_entry
from guardrails.decide.ports import AuditLog, Transactor
from guardrails.decoding import invalid
from guardrails.errors import CandidateError

__all__ = ["Settlement", "Settlements", "TooLongError"]

PAGE = 1000
LOOKED_UP = 100
"""So many payments and reversals are looked up in one unit, by an entry of the log each: decisions wait for it."""

BOOKED_WITHIN = timedelta(minutes=5)
"""So long after its end a month is over: what is booked at its last instant, by the clock of another machine or in a
unit that takes long, is there by then. Clocks that differ by more are refused wherever signatures are checked
(`standard_webhooks`), and no unit is given so long.
"""

MIDDLE_OF_MONTH = timedelta(days=14, hours=12)


class TooLongError(CandidateError):
    """There is more in the month than was asked for at most."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A month: `starts_at <= booked < ends_at`, in `zone`. While it is not over it is told as of `until`.

    It `is_over` once nothing is booked in it any more: five minutes after `ends_at`.

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
    def id(self) -> str: ...
    @property
    def decision_id(self) -> str: ...
    @property
    def decision_index(self) -> int | None: ...
    @property
    def offer(self) -> str: ...
    @property
    def settled_at(self) -> datetime | None: ...
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
        statements = statements_of(revenues, transactions, self._known(revenues, transactions))
        return Settlement(
            month=month,
            zone=str(zone),
            starts_at=starts_at,
            ends_at=ends_at,
            until=min(now, ends_at),
            is_over=now >= ends_at + BOOKED_WITHIN,
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

    def _known(self, revenues: Sequence[Revenue], transactions: Sequence[Transaction]) -> Known:
        """What lines tell of payments and decisions, and of what they take back, be it another month's."""
        payments = [each for each in transactions if each.kind in PAYMENTS and each.refers_to is not None]
        reversals = [each.reverses for each in revenues if each.reverses is not None]
        return Known(
            payments=self._in_pages(_read_paid, payments), taken_back=self._in_pages(_read_taken_back, reversals)
        )

    def _in_pages(self, read: Callable[[_Session, list[Any]], Any], asked: list[Any]) -> dict[str, Any]:
        """What is read of all that is asked for, by id, a few a unit."""
        found: dict[str, Any] = {}
        for start in range(0, len(asked), LOOKED_UP):
            page: dict[str, Any] = self._transactor.call(read, asked[start : start + LOOKED_UP])
            found.update(page)
        return found


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


def _read_taken_back(session: _Session, pages: list[list[str]]) -> list[dict[str, Origin]]:
    return [
        {id_: Origin(each.revenue.audit_index, each.revenue.recorded_at) for id_, each in kept.items()}
        for kept in map(session.revenues.by_id, pages)
    ]


def _read_paid(session: _Session, pages: list[list[Transaction]]) -> list[dict[str, Paid]]:
    return [_paid(session, payments) for payments in pages]


def _paid(session: _Session, payments: list[Transaction]) -> dict[str, Paid]:
    redemptions = session.redemptions.by_id(list(dict.fromkeys(each.refers_to or "" for each in payments)))
    campaigns = {each.id: _campaign(session, each) for each in redemptions.values()}
    found = {}
    for payment in payments:
        redemption = redemptions.get(payment.refers_to or "")
        if redemption is not None:
            is_reversal = payment.reverses is not None
            found[payment.id] = Paid(
                audit_index=redemption.taken_back_index if is_reversal else redemption.settled_index,
                decision_id=redemption.decision_id,
                decision_audit_index=redemption.decision_index,
                campaign=campaigns[redemption.id],
                offer=redemption.offer,
                origin=Origin(redemption.settled_index, redemption.settled_at) if is_reversal else Origin(),
            )
    return found


def _campaign(session: _Session, redemption: _Redemption) -> str | None:
    """The campaign of its decision, by that one's entry, which stays when its row is kept no more."""
    if redemption.decision_index is None:
        return None
    for index, data in session.audit.read(redemption.decision_index, redemption.decision_index + 1):
        entry = decode_entry(data)
        if isinstance(entry, DecisionEntry) and entry.decision.decision_id == redemption.decision_id:
            allow = allow_of_entry(entry, index)
            return None if allow is None else allow.touch.campaign
    return None

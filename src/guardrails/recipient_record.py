"""A recipient's record: all that is recorded of one recipient, as one JSON document (GDPR Art. 15).

It is written field by field as it is read, so that no part of the log is held in memory. What the fields are is said
in docs/http-api.md; whoever is asked for it, the command or the service, gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from guardrails.attribution.store import RevenueStore
from guardrails.attribution.values import Revenue
from guardrails.bootstrap import Application
from guardrails.consent.fold import Standing
from guardrails.consent.notices import Notice
from guardrails.consent.values import ConsentEvent
from guardrails.core.candidate import Recipient
from guardrails.decide.recipient_log import LoggedDecision, LoggedEvent, LoggedOutcome, RecipientLog
from guardrails.decide.usage import RecipientUsage
from guardrails.ledger import LedgerService
from guardrails.ledger.values import Amount, WalletEntry
from guardrails.offers.conversion_store import ConversionStore
from guardrails.offers.conversions import ConversionSession, KeptConversion
from guardrails.offers.redemption_store import RedemptionStore
from guardrails.offers.redemptions import Redemption, RedemptionView
from guardrails.preferences.values import PreferenceEvent, RecipientPreferences

__all__ = ["RecipientRecord", "record_of"]

EVERY = 2**31 - 1
"""More redemptions than anybody has."""


class RecipientRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is recorded of a recipient by `as_of`; what was recorded one after the other, oldest first.

    `standings` are what holds of the `consents`, and `notices` the texts that they were given on. `balances` are what
    the `transactions` of their wallet come to. The `entry` of each decision, outcome and event is what the audit log
    holds, as it was written; `events` are what it holds of conversions, redemptions and revenue.
    """

    recipient: str
    as_of: datetime
    standings: tuple[Standing, ...]
    consents: tuple[ConsentEvent, ...]
    notices: tuple[Notice, ...]
    preferences: RecipientPreferences
    preference_events: tuple[PreferenceEvent, ...]
    usage: RecipientUsage
    balances: tuple[Amount, ...]
    transactions: tuple[WalletEntry, ...]
    conversions: tuple[ConversionSession, ...]
    redemptions: tuple[RedemptionView, ...]
    revenue: tuple[Revenue, ...]
    decisions: tuple[LoggedDecision, ...]
    outcomes: tuple[LoggedOutcome, ...]
    events: tuple[LoggedEvent, ...]


def record_of(
    application: Application, recipient: str, *, now: datetime, entries: Iterable[tuple[int, bytes]]
) -> Iterator[bytes]:
    """The JSON of a `RecipientRecord`, piece by piece; `entries` are those of the whole log, and read as it goes.

    Raises DependencyError where the stores are out of reach.
    """
    encode = msgspec.json.Encoder().encode
    for place, (name, value) in enumerate(_parts(application, recipient, now, entries)):
        yield (b",\n" if place else b"{") + encode(name) + b":"
        if isinstance(value, Iterator):
            yield b"["
            for number, item in enumerate(value):
                yield (b",\n" if number else b"\n") + encode(item)
            yield b"]"
        else:
            yield encode(value)
    yield b"}\n"


def _parts(
    application: Application, recipient: str, now: datetime, entries: Iterable[tuple[int, bytes]]
) -> Iterator[tuple[str, object]]:
    """The document's fields, in order; an iterator is an array whose items are written as they come."""
    yield "recipient", recipient
    yield "as_of", now
    consents = application.consents.history(recipient)
    yield "standings", application.consents.standings(recipient, now=now)
    yield "consents", consents
    yield "notices", _notices(application, consents)
    yield "preferences", RecipientPreferences.of(recipient, application.preferences.current(recipient))
    yield "preference_events", application.preferences.history(recipient)
    yield "usage", application.usage.read(Recipient(id=recipient), now=now)
    balances, transactions = _wallet(application.ledger, recipient)
    yield "balances", balances
    yield "transactions", transactions
    conversions, redemptions, revenue = application.transactor.call(_read_bought, recipient)
    yield "conversions", [each.at(now) for each in conversions]
    yield "redemptions", [each.view for each in redemptions]
    yield "revenue", revenue
    log = RecipientLog(application.transactor, recipient, now=now)
    yield "decisions", log.decisions(entries)
    yield "outcomes", log.outcomes
    yield "events", log.events


def _notices(application: Application, consents: Iterable[ConsentEvent]) -> list[Notice]:
    """The registered notices that they were shown, each once."""
    shown = dict.fromkeys(event.notice_hash for event in consents if event.notice_hash is not None)
    return [notice for each in shown if (notice := application.notices.by_hash(each)) is not None]


def _wallet(ledger: LedgerService, recipient: str) -> tuple[tuple[Amount, ...], list[WalletEntry]]:
    """The balances, and every transaction by then, oldest first."""
    page = ledger.wallet(recipient)
    balances, transactions = page.balances, list(page.transactions)
    while page.next is not None:
        page = ledger.wallet(recipient, after=page.next)
        transactions += page.transactions
    return balances, transactions[::-1]


class _Session(Protocol):
    conversions: ConversionStore
    redemptions: RedemptionStore
    revenues: RevenueStore


class _Bought(NamedTuple):
    """What offers came to, oldest first."""

    conversions: Sequence[KeptConversion]
    redemptions: Sequence[Redemption]
    revenue: Sequence[Revenue]


def _read_bought(session: _Session, recipients: list[str]) -> list[_Bought]:
    return [
        _Bought(
            session.conversions.of_recipient(each),
            session.redemptions.of_recipient(each, EVERY)[::-1],
            session.revenues.of_recipient(each),
        )
        for each in recipients
    ]

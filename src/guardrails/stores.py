"""Stores by URL: which implementation of each room stands behind a database and, for the caps, behind Redis.

transactor = open_stores("sqlite:///guardrails.db")
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from guardrails.attribution import MemoryRevenues, SqlRevenues
from guardrails.attribution.store import RevenueStore
from guardrails.audit import (
    MemoryAuditLog,
    MemoryDecisions,
    MemoryPolicyArchive,
    SqlAuditLog,
    SqlDecisions,
    SqlPolicyArchive,
)
from guardrails.caps import MemoryCaps, SqlCaps
from guardrails.caps.moving import Filled, take_back
from guardrails.consent import MemoryConsents, MemoryNotices, SqlConsents, SqlNotices
from guardrails.consent.notice_store import NoticeStore
from guardrails.core.policy_set import PolicySet
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.ports import (
    AuditLog,
    CapStore,
    ConsentReader,
    DecisionStore,
    PolicyArchive,
    PreferenceReader,
    Session,
    Transactor,
)
from guardrails.errors import DependencyError, SettingsError
from guardrails.ledger import LedgerStore, MemoryLedger, SqlLedger
from guardrails.offers import (
    MemoryConversions,
    MemoryOffers,
    MemoryRedemptions,
    SqlConversions,
    SqlOffers,
    SqlRedemptions,
)
from guardrails.offers.conversion_store import ConversionStore
from guardrails.offers.offer_store import OfferStore
from guardrails.offers.redemption_store import RedemptionStore
from guardrails.offers.values import Payment
from guardrails.payments.event_store import MemoryPaymentEvents, PaymentEventStore, SqlPaymentEvents
from guardrails.preferences import MemoryPreferences, SqlPreferences
from guardrails.settings import CAPS_IN_DATABASE, Settings
from guardrails.storage.connections import BUSY_SECONDS, Database
from guardrails.storage.memory import Journal
from guardrails.storage.migrate import migrate, refuse_to_migrate
from guardrails.storage.transactors import open_transactor
from guardrails.storage.unit_watch import HANG_SECONDS

if TYPE_CHECKING:
    from guardrails.caps.redis import CapsRebuild, RedisGateway

__all__ = ["DEADLINE", "migrate", "open_redis", "open_stores", "rebuild_of", "refuse_to_migrate", "take_caps_back"]

DEADLINE = timedelta(milliseconds=250)
HANGS_AFTER_DEADLINES = 4
"""A unit of work serves several decisions, and waits for other processes: so much longer than one it may take."""


@dataclass(kw_only=True, slots=True)
class _Session:
    """The stores of all rooms, over one unit of work."""

    consents: ConsentReader
    notices: NoticeStore
    preferences: PreferenceReader
    caps: CapStore
    decisions: DecisionStore
    audit: AuditLog
    policies: PolicyArchive
    offers: OfferStore
    conversions: ConversionStore
    redemptions: RedemptionStore
    payment_events: PaymentEventStore
    revenues: RevenueStore
    ledger: LedgerStore


def open_stores(
    url: str,
    *,
    redis: RedisGateway | None = None,
    deadline: timedelta = DEADLINE,
    on_old_schema: Callable[[Connection], None] = migrate,
    unpayable: AbstractSet[Payment] = frozenset(),
) -> Transactor:
    """The stores at `url`: `memory:`, `sqlite:///path` or `postgresql://...`, made and migrated with the first call.

    Whoever only reads says `refuse_to_migrate` for `on_old_schema`: the first call raises SettingsError then where the
    schema is an older release's, or there is none. The caps live in `redis`, where it is given; the rest does not.
    Offers that are paid for by what is `unpayable` are answered so to whoever asks for their terms.
    Neither a database that others hold nor one that hangs is given up before the `deadline` of a decision. Raises
    SettingsError where the URL is none of these.
    """
    seconds = deadline.total_seconds()
    return open_transactor(
        url,
        sql_session=partial(_sql_session, redis, unpayable),
        memory_session=partial(_memory_session, unpayable),
        busy_seconds=max(BUSY_SECONDS, seconds),
        hang_seconds=max(HANG_SECONDS, HANGS_AFTER_DEADLINES * seconds),
        on_old_schema=on_old_schema,
    )


def take_caps_back(settings: Settings) -> Filled | None:
    """Have the caps live in the database, where the settings say that they do and they have lived in Redis so far.

    Returns with what it was filled, if so. Raises what opening the database does.
    """
    if settings.caps_url != CAPS_IN_DATABASE or settings.database_url == "memory:":
        return None
    with closing(Database(settings.database_url)) as database, database.unit() as connection:
        return take_back(connection, SqlDecisions(connection))


def _sql_session(redis: RedisGateway | None, unpayable: AbstractSet[Payment], connection: Connection) -> Session:
    decisions = SqlDecisions(connection)
    return _Session(
        consents=SqlConsents(connection),
        notices=SqlNotices(connection),
        preferences=SqlPreferences(connection),
        caps=SqlCaps(connection) if redis is None else _redis_caps(redis, connection, decisions),
        decisions=decisions,
        audit=SqlAuditLog(connection),
        policies=SqlPolicyArchive(connection),
        offers=SqlOffers(connection, unpayable=unpayable),
        ledger=SqlLedger(connection),
        conversions=SqlConversions(connection),
        redemptions=SqlRedemptions(connection),
        payment_events=SqlPaymentEvents(connection),
        revenues=SqlRevenues(connection),
    )


# What needs the extra `redis` is not even loaded where nobody asked for it.


def open_redis(url: str, settings: Settings) -> RedisGateway:
    """Redis for the caps, whether or not it can be reached now.

    Raises SettingsError where there is no database beside it, its client isn't installed, or the URL is none.
    """
    if settings.database_url == "memory:":
        raise SettingsError("caps live in Redis beside a database that they can be filled from; `memory:` keeps none")
    try:
        from guardrails.caps.redis import RedisGateway  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"caps in Redis need its client: install `notification-guardrails[redis]` ({error})"
        ) from error
    gateway = RedisGateway(
        url, deadline_seconds=settings.deadline_ms / 1000, uses_server_time=not settings.replay_clock
    )
    with suppress(DependencyError):  # out of reach now: decisions say so until it is back
        gateway.check()
    return gateway


def _redis_caps(redis: RedisGateway, connection: Connection, decisions: DecisionStore) -> CapStore:
    from guardrails.caps.redis import RedisCaps  # noqa: PLC0415

    return RedisCaps(redis, connection, decisions=decisions)


def rebuild_of(
    transactor: Transactor,
    redis: RedisGateway,
    policies: ActivePolicies,
    *,
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
) -> CapsRebuild:
    """What fills the caps in Redis from the decisions, as far back as the active policies ask."""
    from guardrails.caps.redis import CapsRebuild  # noqa: PLC0415

    @lru_cache(maxsize=1)
    def needs(policy_set: PolicySet) -> dict[str, int]:
        return {cap.id: cap.window.keep_seconds for policy in policy_set.policies for cap in policy.caps}

    return CapsRebuild(transactor, redis, clock=clock, new_id=new_id, needs=lambda: needs(policies.snapshot.policy_set))


def _memory_session(unpayable: AbstractSet[Payment], journal: Journal) -> Session:
    return _Session(
        consents=MemoryConsents(journal),
        notices=MemoryNotices(journal),
        preferences=MemoryPreferences(journal),
        caps=MemoryCaps(journal),
        decisions=MemoryDecisions(journal),
        audit=MemoryAuditLog(journal),
        policies=MemoryPolicyArchive(journal),
        offers=MemoryOffers(journal, unpayable=unpayable),
        ledger=MemoryLedger(journal),
        conversions=MemoryConversions(journal),
        redemptions=MemoryRedemptions(journal),
        payment_events=MemoryPaymentEvents(journal),
        revenues=MemoryRevenues(journal),
    )

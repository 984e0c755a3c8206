"""Stores by URL: which implementation of each room stands behind a database and, for the caps, behind Redis.

transactor = open_stores("sqlite:///guardrails.db")
"""

from __future__ import annotations

from collections.abc import Callable
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
from guardrails.offers import MemoryOffers, SqlOffers
from guardrails.offers.offer_store import OfferStore
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
    revenues: RevenueStore

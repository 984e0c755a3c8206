"""Consent: append-only records of what a recipient agreed to, the notices they were shown, and what holds of it."""

from __future__ import annotations

from guardrails.consent.notice_service import NoticeService
from guardrails.consent.notice_store import MemoryNotices, SqlNotices
from guardrails.consent.notices import Notice, NoticeRequest
from guardrails.consent.service import ConsentService
from guardrails.consent.store import MemoryConsents, SqlConsents
from guardrails.consent.values import ConsentEvent, ConsentRequest
from guardrails.consent.withdrawals import Inbound, InboundRequest, Withdrawals

__all__ = [
    "ConsentEvent",
    "ConsentRequest",
    "ConsentService",
    "Inbound",
    "InboundRequest",
    "MemoryConsents",
    "MemoryNotices",
    "Notice",
    "NoticeRequest",
    "NoticeService",
    "SqlConsents",
    "SqlNotices",
    "Withdrawals",
]

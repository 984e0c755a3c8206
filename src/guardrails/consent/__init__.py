"""Consent: append-only records of what a recipient agreed to, and the answer to "what is the newest"."""

from __future__ import annotations

from guardrails.consent.service import ConsentService
from guardrails.consent.store import MemoryConsents, SqlConsents
from guardrails.consent.values import ConsentEvent, ConsentRequest

__all__ = ["ConsentEvent", "ConsentRequest", "ConsentService", "MemoryConsents", "SqlConsents"]

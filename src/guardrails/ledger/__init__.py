"""The room of the ledger: what recipients, sponsors and affiliates have, and every transaction that made it so.

What an account and a transaction are is said in `core.bookkeeping`. Other rooms post through the session's store.
"""

from guardrails.ledger.service import LedgerService
from guardrails.ledger.sql_store import SqlLedger
from guardrails.ledger.store import LedgerStore, MemoryLedger

__all__ = ["LedgerService", "LedgerStore", "MemoryLedger", "SqlLedger"]

"""What was decided, as it was decided: the log, the decisions as answered, the policy sets behind them, the spool."""

from __future__ import annotations

from guardrails.audit.decisions import MemoryDecisions, SqlDecisions
from guardrails.audit.log import MemoryAuditLog, SqlAuditLog
from guardrails.audit.memory_spool import MemorySpool
from guardrails.audit.policy_archive import MemoryPolicyArchive, SqlPolicyArchive
from guardrails.audit.service import AuditService
from guardrails.audit.spool import FileSpool

__all__ = [
    "AuditService",
    "FileSpool",
    "MemoryAuditLog",
    "MemoryDecisions",
    "MemoryPolicyArchive",
    "MemorySpool",
    "SqlAuditLog",
    "SqlDecisions",
    "SqlPolicyArchive",
]

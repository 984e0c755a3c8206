"""Attribution: what was earned, the decisions that it is owed to, and how it is shared, so that everything adds up."""

from __future__ import annotations

from guardrails.attribution.store import MemoryRevenues, SqlRevenues
from guardrails.attribution.values import Revenue, RevenueRequest, ReversalRequest

__all__ = ["MemoryRevenues", "Revenue", "RevenueRequest", "ReversalRequest", "SqlRevenues"]

"""Caps: slots that sends take under keys, counted exactly; a slot is promised by a reservation and kept by the send."""

from __future__ import annotations

from guardrails.caps.memory import MemoryCaps
from guardrails.caps.sql import SqlCaps

__all__ = ["MemoryCaps", "SqlCaps"]

"""Preferences: what a recipient chose, as append-only events; the newest of each choice holds."""

from __future__ import annotations

from guardrails.preferences.service import PreferenceService
from guardrails.preferences.store import MemoryPreferences, SqlPreferences
from guardrails.preferences.values import PreferenceEvent, PreferenceRequest, RecipientPreferences

__all__ = [
    "MemoryPreferences",
    "PreferenceEvent",
    "PreferenceRequest",
    "PreferenceService",
    "RecipientPreferences",
    "SqlPreferences",
]

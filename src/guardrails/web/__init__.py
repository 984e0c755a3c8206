"""The HTTP service: decode, call the room, encode. What a decision means is decided elsewhere."""

from __future__ import annotations

from guardrails.web.app import create_app

__all__ = ["create_app"]

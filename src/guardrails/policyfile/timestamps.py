"""Instants as authors write them: RFC 3339 with an offset, or a bare date where a policy's validity begins or ends.

Years run from 1970 to 2999, so that no arithmetic with an offset leaves what a datetime can hold.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from guardrails.core.timing import calendar_window

__all__ = ["DATE_PATTERN", "TIMESTAMP_PATTERN", "parse_date", "parse_timestamp"]

DATE_PATTERN = r"(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
TIMESTAMP_PATTERN = (
    DATE_PATTERN
    + r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
"""Regular expressions for the whole text, the same in the JSON Schema; what they let through may still be no day."""


def parse_timestamp(text: str) -> datetime:
    """The aware datetime that `text` writes by RFC 3339; raises ValueError where it writes none."""
    if not re.fullmatch(TIMESTAMP_PATTERN, text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper())


def parse_date(text: str, zone: ZoneInfo) -> datetime:
    """The start, in `zone`, of the day that `text` writes as 2026-12-31; raises ValueError where it writes none."""
    if not re.fullmatch(DATE_PATTERN, text):
        raise ValueError(text)
    noon = datetime.fromisoformat(text).replace(hour=12, tzinfo=zone)
    return calendar_window("day", zone, noon)[0]

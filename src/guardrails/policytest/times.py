"""Instants as a policy test writes them: RFC 3339, or local time and an IANA zone.

    2026-12-01T12:00:00Z · 2026-12-01T22:30+01:00 · 2026-12-01T22:30 Europe/Berlin

A local time that the zone's clocks skip or show twice is refused: a test must say which instant it means. What comes
out carries a fixed offset, because Python compares and adds datetimes of one zone by the wall clock.
"""

from __future__ import annotations

from datetime import UTC, datetime

from guardrails.core.candidate import YEARS
from guardrails.core.zones import zone_named

__all__ = ["parse_instant"]


def parse_instant(text: str) -> datetime:
    """The instant, in the offset it was written in or that its zone has then.

    Raises ValueError, its message ready for the author.
    """
    local_text, _, zone_name = text.partition(" ")
    try:
        instant = datetime.fromisoformat(local_text)
    except ValueError:
        raise ValueError(f"`{text}` is no time; write it like `2026-12-01T12:00:00Z`") from None
    if instant.year not in YEARS:
        raise ValueError(f"`{text}` lies outside the years {YEARS.start} to {YEARS.stop - 1}")
    if not zone_name:
        if instant.tzinfo is None:
            raise ValueError(f"`{text}` has no offset; add `Z`, `+01:00` or a zone such as ` Europe/Berlin`")
        return instant
    if instant.tzinfo is not None:
        raise ValueError(f"`{text}` has both an offset and a zone; leave one out")
    return _in_zone(instant, zone_name)


def _in_zone(local: datetime, zone_name: str) -> datetime:
    zone = zone_named(zone_name)
    if zone is None:
        raise ValueError(f"`{zone_name}` is no IANA time zone; write it like `Europe/Berlin`")
    earlier, later = local.replace(tzinfo=zone), local.replace(tzinfo=zone, fold=1)
    if earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise ValueError(f"`{local.isoformat()}` is skipped by the clocks of `{zone_name}`; choose a time around it")
    if earlier.utcoffset() != later.utcoffset():
        first, second = earlier.isoformat(), later.isoformat()
        raise ValueError(f"`{local.isoformat()}` comes twice in `{zone_name}`; write `{first}` or `{second}`")
    return datetime.fromisoformat(earlier.isoformat())

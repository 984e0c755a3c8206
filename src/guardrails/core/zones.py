"""Zones: the IANA names there are, what each one means, and which of them a country or region has.

All of it comes from the `tzdata` package, whose version is locked, and never from the machine's own zone files, so
that a decision is the same on every machine and can be recomputed later. Each file is read once, on first use.

Zones that have agreed since 2020 and will by the rules in force count as one: the United States come down from 29
zones to 8. For instants before that, the one that stands for the others decides.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo

from guardrails.core.zone_table import REGIONS_OF_ZONE

__all__ = ["AGREE_SINCE", "zone_named", "zone_names", "zones_in"]

AGREE_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
"""Zones that differ only before this instant count as one."""

_HEADER_SIZE = 44


class _PinnedZone(ZoneInfo):
    """A zone of the `tzdata` package. Unlike others read from a file it can be pickled and copied: by its name."""

    def __reduce__(self) -> tuple[Callable[[str], ZoneInfo | None], tuple[str]]:
        return zone_named, (self.key,)


@cache
def zone_names() -> frozenset[str]:
    """Every valid name. `Factory`, which means "no zone has been set", is none."""
    return frozenset(_root().joinpath("zones").read_text("ascii").split()) - {"Factory"}


def zone_named(name: str) -> ZoneInfo | None:
    """The zone called exactly `name`, or None: there is none. Always the same object for the same name."""
    return _load(name) if name in zone_names() else None


@lru_cache(maxsize=10_000)
def zones_in(country: str | None, region: str | None) -> tuple[ZoneInfo, ...] | None:
    """Every zone that the region (ISO 3166-2), or else the country (ISO 3166-1), allows, or None: neither is known.

    A region that is not in `zone_table` has all zones of its country. Where `region` lies in another country than
    `country` one of them is wrong, so the zones of both may hold.
    """
    names = [] if region is None else _names_in_region(region)
    if region is None or (country is not None and not region.startswith(country)):
        names = names + _names_by_country().get(country or "", [])
    one_of_each: dict[tuple[object, ...], str] = {}
    for name in names:
        one_of_each.setdefault(_behaviour(name), name)
    return tuple(_load(name) for name in one_of_each.values()) or None


@cache
def _load(name: str) -> ZoneInfo:
    with _file(name).open("rb") as file:
        return _PinnedZone.from_file(file, key=name)


def _root() -> Traversable:
    return resources.files("tzdata")


def _file(name: str) -> Traversable:
    return _root().joinpath("zoneinfo", *name.split("/"))


def _names_in_region(region: str) -> list[str]:
    return _names_by_region().get(region) or _names_by_country().get(region[:2], [])


@cache
def _names_by_region() -> Mapping[str, list[str]]:
    return _gather(
        (f"{country}-{region}", zone)
        for country, zones in REGIONS_OF_ZONE.items()
        for zone, regions in zones.items()
        for region in regions.split()
    )


@cache
def _names_by_country() -> Mapping[str, list[str]]:
    lines = _file("zone.tab").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return _gather((country, zone) for country, _coordinates, zone, *_comments in rows)


def _gather(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    gathered: defaultdict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        gathered[key].append(value)
    return dict(gathered)


@cache
def _behaviour(name: str) -> tuple[object, ...]:
    """What the zone does from `AGREE_SINCE` on: the offset then, the later changes, and the rule after the last.

    Reads the second block of the file, which has 64-bit times, and the footer (RFC 9636, sections 3.1 to 3.3).
    """
    data = _file(name).read_bytes()
    utc_flags, standard_flags, leaps, times, types, characters = struct.unpack_from(">20x6L", data)
    second = _HEADER_SIZE + times * 5 + types * 6 + characters + leaps * 8 + standard_flags + utc_flags
    _, _, _, times, *_ = struct.unpack_from(">20x6L", data, second)
    start = second + _HEADER_SIZE
    instants = struct.unpack_from(f">{times}q", data, start)
    type_numbers = data[start + times * 8 : start + times * 9]
    offsets = [struct.unpack_from(">l", data, start + times * 9 + number * 6)[0] for number in type_numbers]
    since = AGREE_SINCE.timestamp()
    later = tuple(change for change in zip(instants, offsets, strict=True) if change[0] > since)
    _, footer, _ = data.rsplit(b"\n", 2)
    return AGREE_SINCE.astimezone(_load(name)).utcoffset(), later, footer

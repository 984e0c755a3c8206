"""The audit trail read from outside: the entries as the database has them, and every cap counted anew from them.

Nothing of the package is used but the JSON that it wrote: the caps are counted here by a second, plain reading of what
a window is, one send after the other in the order of the log.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import create_engine, text

Within = Callable[[datetime, datetime], bool]
"""Whether a send that counts from the first instant on counts at the second one."""


@dataclass(frozen=True)
class Cap:
    """A cap of the test's policies: at most `limit` sends `within` a window, or minor units where it counts money."""

    limit: int
    within: Within


def rolling(seconds: int) -> Within:
    return lambda counted_at, at: abs(at - counted_at) < timedelta(seconds=seconds)


def day(counted_at: datetime, at: datetime) -> bool:
    """The calendar day in UTC."""
    return counted_at.astimezone(UTC).date() == at.astimezone(UTC).date()


def countdown(seconds: int) -> Within:
    return lambda counted_at, at: counted_at + timedelta(seconds=seconds) > at


def read_entries(url: str) -> list[dict[str, Any]]:
    """Every entry of the log behind a database URL, in order; the indexes are 0, 1, 2 ... without a gap."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        rows = connection.execute(text('SELECT "index", entry FROM audit_entries ORDER BY "index"')).all()
    engine.dispose()
    assert [index for index, _ in rows] == list(range(len(rows)))
    return [json.loads(bytes(entry)) for _, entry in rows]


@dataclass
class _Slot:
    cap: str
    key: str
    count_on: str
    counted_at: datetime | None
    lease_until: datetime | None
    amount: int


@dataclass
class Recount:
    """What the log says, counted anew."""

    granted: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """By cap and key, how many sends allows took in all, or how much money."""
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By cap, how many denies named it."""
    overshoots: list[str] = field(default_factory=list)
    """One line for each allow that a cap had no room for."""
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By decision id, the entry of each decision."""
    slots: dict[str, list[_Slot]] = field(default_factory=dict)
    """By decision id, the slots that it holds at the end of the log."""

    def used(self, cap: str, key: str, within: Within, at: datetime) -> int:
        """How many sends, or how much money, count under a key at `at`, which is later than everything in the log."""
        return sum(
            slot.amount
            for slots in self.slots.values()
            for slot in slots
            if slot.cap == cap and slot.key == key and _counts(slot, within, at, at)
        )


LATE = timedelta(seconds=1)
"""So much later than the entry's own `now` a store's clock may have read the leases."""


def recount(entries: Iterable[Mapping[str, Any]], caps: Mapping[str, Cap]) -> Recount:
    """Walk the log once. Degraded allows take what they take: nobody could look."""
    told = Recount()
    by_key: dict[tuple[str, str], list[_Slot]] = defaultdict(list)
    for entry in entries:
        if entry["type"] == "outcome":
            _settle(told.slots.get(entry["decision_id"], []), entry)
            continue
        decision = entry["decision"]
        if decision["decision_id"] in told.decisions:
            # Its commit was in doubt and held, so it was answered from the spool: what was answered takes its place.
            assert decision["audit"] == {"spooled": True}, f"{decision['decision_id']} stands in the log twice"
            _release(told.slots.pop(decision["decision_id"], []))
        told.decisions[decision["decision_id"]] = entry
        if decision["effect"] == "deny":
            for reason in decision["reasons"]:
                told.refused[reason["policy"]] += 1
            continue
        at, now = _instant(entry["at"]), _instant(entry["now"])
        new = [_slot(take, at, entry) for take in entry["takes"]]
        for slot in new:
            cap = caps[slot.cap]
            others = by_key[slot.cap, slot.key]
            used = sum(other.amount for other in others if _counts(other, cap.within, at, now + LATE))
            if used + slot.amount > cap.limit and not decision["degraded"]:
                told.overshoots.append(f"{decision['decision_id']}: {slot.cap} {slot.key} has {used} of {cap.limit}")
        for slot in new:
            by_key[slot.cap, slot.key].append(slot)
            told.granted[slot.cap, slot.key] += slot.amount
        told.slots[decision["decision_id"]] = new
    return told


def _slot(take: Mapping[str, Any], at: datetime, entry: Mapping[str, Any]) -> _Slot:
    count_on = take.get("count_on", "reserved")
    return _Slot(
        take["cap"],
        take["key"],
        count_on,
        at if count_on == "reserved" else None,
        _instant(entry["lease_until"]),
        take.get("amount_minor", 1),
    )


def _release(slots: list[_Slot]) -> None:
    for slot in slots:
        slot.counted_at, slot.count_on = None, "never"


def _settle(slots: list[_Slot], outcome: Mapping[str, Any]) -> None:
    if outcome["is_now"] not in ("sent", "delivered", "complained"):
        _release(slots)
        return
    for slot in slots:
        slot.lease_until = None
        if slot.count_on in ("sent", "delivered"):
            slot.counted_at = _instant(outcome[f"{slot.count_on}_at"])


def _counts(slot: _Slot, within: Within, at: datetime, leases_at: datetime) -> bool:
    if slot.counted_at is None or (slot.lease_until is not None and slot.lease_until <= leases_at):
        return False
    return within(slot.counted_at, at)


def _instant(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)

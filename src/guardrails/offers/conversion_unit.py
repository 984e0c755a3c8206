"""What one unit does to conversion sessions, gathered item by item and written at its end: one write a store.

    unit = ConversionUnit(session)
    unit.read(["k-1"], decision_ids=["d-1"])
    unit.step(take_step(unit.find("k-1"), StepReport("view"), now))
    unit.write()

Each change goes with its audit entry. `convert` is for the unit in which redemptions settle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from guardrails.decide.entry import EventEntry, encode_entry
from guardrails.decide.ports import AuditLog
from guardrails.offers.conversion_store import ConversionStore
from guardrails.offers.conversions import KeptConversion, settle

__all__ = ["ConversionEvent", "ConversionStores", "ConversionUnit", "convert"]

ConversionEvent = Literal["conversion.opened", "conversion.step", "conversion.converted"]


class ConversionStores(Protocol):
    """The stores that conversions are written to."""

    conversions: ConversionStore
    audit: AuditLog


class ConversionUnit:
    """The sessions that a unit has read, with its changes: each item sees those of the items before it."""

    def __init__(self, session: ConversionStores) -> None:
        self._session = session
        self._by_id: dict[str, KeptConversion] = {}
        self._of_decision: dict[str, dict[str, None]] = {}
        self._added: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._events: list[bytes] = []

    def read(self, ids: Iterable[str], *, decision_ids: Iterable[str] = ()) -> None:
        """Read the sessions of these ids and of these decisions, those that there are."""
        ids, decision_ids = list(ids), list(decision_ids)
        if ids:
            for each in self._session.conversions.by_id(ids).values():
                self._by_id[each.id] = each
        if decision_ids:
            for sessions in self._session.conversions.of_decisions(decision_ids).values():
                for each in sessions:
                    self._put(each)

    def find(self, id_: str) -> KeptConversion | None:
        """The session of this id, where it was read or added."""
        return self._by_id.get(id_)

    def of_decision(self, decision_id: str) -> tuple[KeptConversion, ...]:
        """The sessions of this decision, which was read."""
        return tuple(self._by_id[each] for each in self._of_decision.get(decision_id, ()))

    def add(self, kept: KeptConversion) -> None:
        """A session that was opened."""
        self._added[kept.id] = None
        self._put(kept)
        self._note(kept, kept.opened_at, "conversion.opened", steps=kept.declared, ends_at=kept.ends_at)

    def change(self, after: KeptConversion) -> None:
        """A session that is kept, as it is now."""
        self._changed[after.id] = None
        self._put(after)

    def step(self, after: KeptConversion) -> None:
        """A session in which a step was done just now."""
        self.change(after)
        done = after.done[-1]
        self._note(after, done.at, "conversion.step", step=done.step, number=len(after.done))

    def settle(self, kept: KeptConversion, at: datetime) -> KeptConversion:
        """Convert a session, whose redemption settles just now; it ends others that are open beside it."""
        for each in self.of_decision(kept.decision_id):
            if each.id != kept.id and each.ends_at > at:
                self.change(msgspec.structs.replace(each, ends_at=max(each.opened_at, at)))
        after = settle(kept, at)
        self.change(after)
        self._note(after, at, "conversion.converted", steps=len(after.done))
        return after

    def write(self) -> None:
        """Write everything."""
        if self._added:
            self._session.conversions.insert([self._by_id[each] for each in self._added])
        if self._changed:
            self._session.conversions.update([self._by_id[each] for each in self._changed])
        if self._events:
            self._session.audit.append(self._events)

    def _put(self, kept: KeptConversion) -> None:
        self._by_id[kept.id] = kept
        self._of_decision.setdefault(kept.decision_id, {})[kept.id] = None

    def _note(self, kept: KeptConversion, at: datetime, event: ConversionEvent, **told: Any) -> None:  # noqa: ANN401 - JSON
        body = {"id": kept.id, "offer": kept.offer, **told}
        self._events.append(encode_entry(EventEntry(event=event, at=at, decision_id=kept.decision_id, body=body)))


def convert(session: ConversionStores, settled_at: Mapping[str, datetime]) -> tuple[KeptConversion, ...]:
    """Convert the sessions, by id, in which redemptions settle in this very unit; returns those that did.

    A session that is open beside one of them ends then and there. Of a token that converted before, nothing changes.
    """
    unit = ConversionUnit(session)
    unit.read(settled_at)
    named = [kept for id_ in settled_at if (kept := unit.find(id_)) is not None]
    unit.read((), decision_ids=[each.decision_id for each in named])
    converted = tuple(
        unit.settle(kept, settled_at[kept.id])
        for kept in named
        if all(each.converted_at is None for each in unit.of_decision(kept.decision_id))
    )
    unit.write()
    return converted

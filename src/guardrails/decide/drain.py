"""The way back of the spool: what was answered while the log was out of reach, taken into it in order, exactly once.

A step takes the oldest entries into the log in one unit of work, with their decisions and the slots that these hold,
and only then lets go of them in the spool. Where it ends in between, the next step finds the decisions by their ids and
passes over them; so nothing is lost, and nothing is there twice for as long as a decision is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from guardrails.decide.holdings import ReservationState, Settlement
from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.decide.settling import try_settle
from guardrails.decide.spool import Spool, Spooled, Unreadable, read_spooled
from guardrails.decide.writes import Asked, body_hash, stored_decision
from guardrails.errors import DependencyError

__all__ = ["STEP_ENTRIES", "Drain", "Drained"]

STEP_ENTRIES = 200
"""So many entries at most are one step: no decision waits long for it. Fewer, where the database fails on it."""


class Drained(msgspec.Struct, frozen=True):
    """What a step took out of the spool: `entries`, of which `rejected` were none of decisions and are put aside."""

    entries: int
    rejected: int


class Drain:
    """Brings spooled decisions into the stores. Every process may have one: of one spool, one drains at a time."""

    def __init__(self, transactor: Transactor, spool: Spool, *, clock: Callable[[], datetime], keep: timedelta) -> None:
        """`keep` is how long a decision answers for its candidate after its last change."""
        self._transactor = transactor
        self._spool = spool
        self._clock = clock
        self._keep = keep
        self._most = STEP_ENTRIES

    def step(self) -> Drained:
        """Take the oldest entries out of the spool. Where it returns none, none wait, or another process is at it.

        Raises DependencyError where the database is out of reach, OSError where the spool's disk fails.
        """
        rejected: Collection[int] = ()

        def take(lines: Sequence[bytes]) -> Collection[int]:
            nonlocal rejected
            spooled, rejected = _read(lines)
            if spooled:
                self._store(spooled)
            return rejected

        entries = self._spool.hand_over(take, self._most)
        return Drained(entries, len(rejected))

    def _store(self, spooled: list[Spooled]) -> None:
        """Half as many the next time where it fails: what is too much for one unit would fail again for ever."""
        try:
            self._transactor.call(self._store_all, spooled, size=len(spooled))
        except DependencyError:
            self._most = max(1, len(spooled) // 2)
            raise
        self._most = min(STEP_ENTRIES, self._most * 2)

    def _store_all(self, session: Session, groups: list[list[Spooled]]) -> list[None]:
        """The handler: the log, the decisions and the caps, with one read and one write each."""
        spooled = [each for group in groups for each in group]
        rows = _Rows(session, spooled, now=self._clock(), keep=self._keep)
        for each in spooled:
            rows.add(each)
        rows.write()
        return [None] * len(groups)


class _Rows:
    """What spooled entries become in the stores, given what is there already."""

    def __init__(self, session: Session, spooled: Sequence[Spooled], *, now: datetime, keep: timedelta) -> None:
        decisions = [each.entry.decision for each in spooled]
        self._session = session
        self._due = now, keep
        self._stored = session.decisions.by_id([decision.decision_id for decision in decisions])
        owners = session.decisions.by_candidate([decision.candidate_id for decision in decisions])
        self._owners = {candidate_id: owner.decision_id for candidate_id, owner in owners.items()}
        self._index = session.audit.next_index()
        self._lines: list[bytes] = []
        self._rows: dict[str, StoredDecision] = {}

    def add(self, spooled: Spooled) -> None:
        """Add an entry, unless it is in the log already. A candidate that has its answer keeps it."""
        decision = spooled.entry.decision
        stored = self._rows.get(decision.decision_id) or self._stored.get(decision.decision_id)
        if stored is not None and stored.answer == spooled.answer:
            return
        owner = self._owners.setdefault(decision.candidate_id, decision.decision_id)
        row = stored_decision(
            decision,
            asked=Asked(spooled.entry.candidate, body_hash(spooled.entry.candidate), decision.decision_id),
            answer=spooled.answer,
            audit_index=self._index + len(self._lines),
            takes=spooled.entry.takes,
            due=self._due,
            owns_candidate=owner == decision.decision_id,
        )
        self._rows[row.decision_id] = row if stored is None else _instead(stored, row)
        self._lines.append(spooled.line)

    def write(self) -> None:
        """Write everything, one call a store."""
        if not self._rows:
            return
        settlements = {
            row.decision_id: settlement
            for row in self._rows.values()
            if (settlement := _settlement(self._stored.get(row.decision_id), row)) is not None
        }
        is_settled = try_settle(self._session.caps, tuple(settlements.values()))
        rows = [
            row if is_settled or row.decision_id not in settlements else _pending(row) for row in self._rows.values()
        ]
        replaced = [row.decision_id for row in rows if row.decision_id in self._stored]
        if replaced:
            self._session.decisions.remove(replaced)
        self._session.decisions.insert(rows)
        self._session.audit.append(self._lines)


def _read(lines: Sequence[bytes]) -> tuple[list[Spooled], list[int]]:
    """What the lines say, and the places of those that say nothing."""
    spooled: list[Spooled] = []
    rejected: list[int] = []
    for place, line in enumerate(lines):
        try:
            spooled.append(read_spooled(line))
        except Unreadable:
            rejected.append(place)
    return spooled, rejected


def _instead(stored: StoredDecision, answered: StoredDecision) -> StoredDecision:
    """The decision as it was answered, in place of the same one as it became durable while it was given up.

    Where that one is an allow and this one a deny, somebody else may have been given the allow meanwhile (another
    machine, which does not know this spool), and have sent. So it is held on, as it stands: what is reported of it
    counts, and where nothing is, its lease frees it. What was reported already stays true.
    """
    is_open = stored.state in _OPEN and answered.state != "none"
    if is_open or stored.state == "none":
        return msgspec.structs.replace(answered, is_caps_pending=stored.is_caps_pending)
    return msgspec.structs.replace(stored, answer=answered.answer, audit_index=answered.audit_index)


_OPEN: frozenset[ReservationState] = frozenset({"reserved", "expired"})


def _settlement(stored: StoredDecision | None, row: StoredDecision) -> Settlement | None:
    """What changes in the caps; None where nothing does."""
    before, after = None if stored is None else stored.holding(), row.holding()
    return None if before == after else Settlement(before=before, after=after)


def _pending(row: StoredDecision) -> StoredDecision:
    return msgspec.structs.replace(row, is_caps_pending=True)

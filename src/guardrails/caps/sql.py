"""Caps in SQL: slots one by one, tallied keys by quarters of an hour; the cost is flat with recipients and sends.

Reading is one statement for all questions about slots, which goes down from each key's newest slot and stops at as
many as are asked for, and one for all about tallied keys, which adds up quarters. Only for keys that hold more than is
listed, another statement counts the rest, as far as anybody needs to know. Units are serial (`decide.ports`), so
nothing has to be checked when slots are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Integer,
    Subquery,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
)

from guardrails.caps.slot import (
    Changes,
    LeaseKey,
    QuarterKey,
    SlotKey,
    TallySpan,
    most_older,
    tallied_from,
    tally_span,
)
from guardrails.core.needs import Usage, UsageQuery
from guardrails.decide.holdings import Reservation, Settlement
from guardrails.errors import DependencyError
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.tables import cap_epochs, cap_slots, cap_tallies, cap_tally_leases

__all__ = ["SqlCaps"]

# --- reading slots

_asked = json_rows("asked", place=Integer(), owner=Text(), cap=Text(), key=Text(), since=BigInteger())
_live = (
    select(cap_slots.c.instant)
    .where(
        cap_slots.c.owner == _asked.c.owner,
        cap_slots.c.cap == _asked.c.cap,
        cap_slots.c.key == _asked.c.key,
        cap_slots.c.instant >= _asked.c.since,
        or_(cap_slots.c.lease_until.is_(None), cap_slots.c.lease_until > bindparam("now")),
    )
    .limit(bindparam("most"))
    .correlate(_asked)
)
_newest = _live.order_by(cap_slots.c.instant.desc()).subquery("newest")
_NEWEST = select(
    _asked.c.place,
    select(func.aggregate_strings(cast(_newest.c.instant, Text), ",")).scalar_subquery(),
)
_NUMBER = select(_asked.c.place, select(func.count()).select_from(_live.subquery("counted")).scalar_subquery())

# --- reading tallies

_spans = json_rows(
    "spans", place=Integer(), cap=Text(), key=Text(), start=BigInteger(), end=BigInteger(), later=BigInteger()
)


def _sends(quarters: ColumnElement[bool], instants: ColumnElement[bool]) -> ColumnElement[int]:
    """What the quarters say, without the reservations whose lease ran out and that nobody has settled yet."""
    tallies, leases = cap_tallies.c, cap_tally_leases.c
    counted = (
        select(func.coalesce(func.sum(tallies.sends), 0))
        .where(tallies.cap == _spans.c.cap, tallies.key == _spans.c.key, quarters)
        .correlate(_spans)
    )
    ended = (
        select(func.coalesce(func.sum(leases.sends), 0))
        .where(leases.cap == _spans.c.cap, leases.key == _spans.c.key, leases.lease_until <= bindparam("now"), instants)
        .correlate(_spans)
    )
    return counted.scalar_subquery() - ended.scalar_subquery()


def _before_split(instant: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(instant >= _spans.c.start, instant < _spans.c.end)


def _from_split(instant: ColumnElement[int]) -> ColumnElement[bool]:
    return instant >= _spans.c.later


_TALLIED = select(
    _spans.c.place,
    _sends(_before_split(cap_tallies.c.quarter), _before_split(cap_tally_leases.c.instant)),
    _sends(_from_split(cap_tallies.c.quarter), _from_split(cap_tally_leases.c.instant)),
)

# --- writing


def _rows_of(table: Table) -> Subquery:
    return json_rows("rows", **{column.name: column.type for column in table.columns})


def _upsert(table: Table, rows: Subquery, change: str, *, where: ColumnElement[bool] | None = None) -> Insert:
    """Insert the rows, or make the `change` where there is one of that key: both databases spell it alike.

    The condition is never left out: without one, SQLite would read ON CONFLICT as the condition of a join.
    """
    key = ", ".join(column.name for column in table.primary_key)
    source = select(rows).where(true() if where is None else where)
    upsert = source.suffix_with(f"ON CONFLICT ({key}) DO UPDATE SET {change}")
    return insert(table).from_select(list(rows.c.keys()), upsert)


def _drop(table: Table) -> Delete:
    """Delete one row by its key."""
    return delete(table).where(and_(*(column == bindparam(f"its_{column.name}") for column in table.primary_key)))


_DROP_SLOT = _drop(cap_slots)

_LEASE_IS_NEW = "DO UPDATE SET lease_until = excluded.lease_until"

_leases = _rows_of(cap_tally_leases)
_KEEP_LEASES = _upsert(cap_tally_leases, _leases, "instant = excluded.instant, sends = excluded.sends")
_DROP_LEASE = _drop(cap_tally_leases)

_counts = _rows_of(cap_tallies)
_COUNT = _upsert(
    cap_tallies,
    _counts,
    # Never below zero, so that nothing that is counted later hides behind what was taken off too often.
    "sends = CASE WHEN cap_tallies.sends + excluded.sends > 0 THEN cap_tallies.sends + excluded.sends ELSE 0 END,"
    " keep_until = CASE WHEN cap_tallies.keep_until > excluded.keep_until THEN cap_tallies.keep_until"
    " ELSE excluded.keep_until END",
    # What is to be taken off of a quarter that was swept meanwhile is gone already.
    where=or_(
        _counts.c.sends > 0,
        exists().where(
            cap_tallies.c.cap == _counts.c.cap,
            cap_tallies.c.key == _counts.c.key,
            cap_tallies.c.quarter == _counts.c.quarter,
        ),
    ),
)
# Where nothing counts, no row is as good as one that says so.
_DROP_EMPTY = _drop(cap_tallies).where(cap_tallies.c.sends == 0)
_swept = (
    select(*cap_tallies.primary_key)
    .where(cap_tallies.c.keep_until <= bindparam("now"))
    .order_by(cap_tallies.c.keep_until)
    .limit(bindparam("most"))
)
_SWEEP = delete(cap_tallies).where(tuple_(*cap_tallies.primary_key).in_(_swept))

_KEYS = (
    select(cap_slots.c.cap, cap_slots.c.key)
    .where(cap_slots.c.owner == bindparam("owner"))
    .distinct()
    .order_by(cap_slots.c.cap, cap_slots.c.key)
)
_AFTER_COMMA = chr(ord(",") + 1)  # keys are compared byte by byte
_TALLIED_KEYS = (
    select(cap_tallies.c.key)
    .where(
        cap_tallies.c.cap == bindparam("of"),
        cap_tallies.c.key >= bindparam("start"),
        cap_tallies.c.key < bindparam("beyond"),
    )
    .distinct()
)
_EPOCH = select(cap_epochs.c.only).limit(1)


class SqlCaps:
    """The `CapStore` over the tables `cap_slots`, `cap_tallies` and `cap_tally_leases`.

    INVARIANT: the caps are counted in one place. Once they live in Redis, these tables are not asked any more, also by
    a process that was started before: every unit looks.
    """

    is_serial = True

    def __init__(self, unit: Connection) -> None:
        self._unit = unit
        self._is_here = False

    @property
    def _connection(self) -> Connection:
        if not self._is_here and self._unit.execute(_EPOCH).first() is not None:
            hint = "name it by --caps, or take them back by `guardrails serve --caps database`"
            raise DependencyError(f"the caps of this database live in Redis: {hint}", dependency="caps")
        self._is_here = True
        return self._unit

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question."""
        at = to_micros(now)
        usages = {query: Usage(split=query.split) for query in queries}
        listed: dict[int, list[UsageQuery]] = {}  # by how many: mostly all questions list alike
        tallied: list[tuple[UsageQuery, TallySpan]] = []
        for query in usages:
            span = tally_span(query)
            if span is None:
                listed.setdefault(query.newest, []).append(query)
            else:
                tallied.append((query, span))
        for newest, asked in listed.items():
            usages.update(self._listed(asked, newest, at))
        if tallied:
            usages.update(self._tallied(tallied, at))
        return usages

    def reserve(self, reservations: Sequence[Reservation], _now: datetime, /) -> None:
        """Take all slots of all reservations."""
        self._write(Changes(Settlement(before=None, after=each.holding) for each in reservations))

    def settle(self, settlements: Sequence[Settlement], /) -> None:
        """Bring slots up to date. `before` must be what the store has (`caps.slot.Changes`)."""
        self._write(Changes(settlements))

    def keys_of(self, owner: str, tallied: Collection[str] = (), /) -> Sequence[tuple[str, str]]:
        """Cap and key of everything that is kept for a recipient."""
        found = [(cap, key) for cap, key in self._connection.execute(_KEYS, {"owner": owner})]
        start = tallied_from(owner)
        for cap in tallied:
            asked = {"of": cap, "start": start, "beyond": f"{start[:-1]}{_AFTER_COMMA}"}
            found += [(cap, key) for (key,) in self._connection.execute(_TALLIED_KEYS, asked)]
        return sorted(found) if tallied else found

    def probe(self) -> None:
        """They are written with whatever else the unit writes, so it only matters that they are here."""
        self._connection  # noqa: B018 - looks

    def sweep(self, now: datetime, most: int, /) -> int:
        """Remove quarters that no question can ask for any more."""
        return self._connection.execute(_SWEEP, {"now": to_micros(now), "most": most}).rowcount

    def _listed(self, queries: Sequence[UsageQuery], newest: int, now: int) -> dict[UsageQuery, Usage]:
        """The usage for those questions whose key is used at all."""
        rows = [
            (place, query.owner or "", query.cap, query.key, to_micros(query.since))
            for place, query in enumerate(queries)
        ]
        parameters = {"asked": encode_rows(rows), "most": newest + 1, "now": now}
        usages = {}
        more: dict[int, list[int]] = {}  # the places of questions with more than is listed, by how far those count
        for place, instants in self._connection.execute(_NEWEST, parameters).all():
            if instants is None:
                continue
            times = sorted(map(int, instants.split(",")))
            if len(times) > newest:
                del times[0]
                more.setdefault(newest + most_older(queries[place]), []).append(place)
            usages[queries[place]] = Usage(0, tuple(map(from_micros, times)))
        for most, places in more.items():
            parameters = {"asked": encode_rows([rows[place] for place in places]), "most": most, "now": now}
            for place, number in self._connection.execute(_NUMBER, parameters):
                usages[queries[place]] = Usage(number - newest, usages[queries[place]].times)
        return usages

    def _tallied(self, asked: Sequence[tuple[UsageQuery, TallySpan]], now: int) -> dict[UsageQuery, Usage]:
        rows = [(place, query.cap, query.key, *span) for place, (query, span) in enumerate(asked)]
        usages = {}
        for place, older, later in self._connection.execute(_TALLIED, {"spans": encode_rows(rows), "now": now}):
            query, _ = asked[place]
            usages[query] = Usage(older=max(0, int(older)), later=max(0, int(later)), split=query.split)
        return usages

    def _write(self, changes: Changes) -> None:
        """Each table in one statement for what is kept, and one for what is dropped."""
        execute = self._connection.execute
        if changes.slots:
            slots = [(*slot, lease_until) for slot, lease_until in changes.slots.items()]
            insert_rows(self._connection, cap_slots, slots, on_conflict=_LEASE_IS_NEW)
        if changes.dropped_slots:
            execute(_DROP_SLOT, [_bound(slot) for slot in changes.dropped_slots])
        if changes.counts:
            counts = [(*quarter, sends, keep_until) for quarter, (sends, keep_until) in changes.counts.items()]
            execute(_COUNT, {"rows": encode_rows(counts)})
            fewer = [_bound(quarter) for quarter, (sends, _) in changes.counts.items() if sends < 0]
            if fewer:
                execute(_DROP_EMPTY, fewer)
        if changes.leases:
            leases = [(*lease, *counted) for lease, counted in changes.leases.items()]
            execute(_KEEP_LEASES, {"rows": encode_rows(leases)})
        if changes.dropped_leases:
            execute(_DROP_LEASE, [_bound(lease) for lease in changes.dropped_leases])


def _bound(row: SlotKey | QuarterKey | LeaseKey) -> dict[str, str | int]:
    """The parameters of `_drop`."""
    return {f"its_{name}": value for name, value in row._asdict().items()}

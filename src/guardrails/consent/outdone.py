"""Which records don't say what holds, though they are the last to have arrived: another one is newer by its time.

{"state": "withdrawn", "at": "2026-03-01T09:00:00Z"}     arrives now
{"state": "granted",   "at": "2026-03-02T18:00:00Z"}     is recorded already, and speaks
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from guardrails.consent.fold import CHANNELS, Standing, standings_of
from guardrails.consent.ledger import Session
from guardrails.consent.values import ConsentEvent
from guardrails.core.needs import ConsentQuery

__all__ = ["Recent", "outdone_by"]


class Recent(NamedTuple):
    """Records that were just told to whoever asked for them, `now`."""

    events: Sequence[ConsentEvent]
    now: datetime


def outdone_by(session: Session, groups: list[Recent]) -> list[list[tuple[Standing, ...]]]:
    """For each record what holds instead of it on the channels that it is about; nothing where it says what holds.

    Nor is anything told for one that speaks on no channel: a pending one, or a device's permission.
    """
    return [_of_group(session, group) for group in groups]


def _of_group(session: Session, group: Recent) -> list[tuple[Standing, ...]]:
    queries = [_queries(event) for event in group.events]
    states = session.consents.read(list(dict.fromkeys(query for each in queries for query in each)))
    speaking = session.consents.by_id(list({state.record for state in states.values() if state.record is not None}))
    results = []
    for event, asked in zip(group.events, queries, strict=True):
        speakers = [(query.channel, states[query].record) for query in asked]
        others = [(channel, speaking[record]) for channel, record in speakers if record not in {None, event.id}]
        results.append(standings_of(others, group.now))
    return results


def _queries(event: ConsentEvent) -> list[ConsentQuery]:
    if not event.speaks:
        return []
    return [ConsentQuery(event.recipient, event.purpose, channel) for channel in event.channels or CHANNELS]

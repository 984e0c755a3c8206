"""Audit entries: what is written before the answer leaves, and all that is needed to decide again.

A decision's entry holds the candidate, the instant, the revision and the rooms' answers. Everything else follows
from these by pure computation; `replay` does it and compares. Other rooms record what took place there as events.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.decision import Decision
from guardrails.core.needs import Answer, Take

__all__ = ["DecisionEntry", "Entry", "EventEntry", "OutcomeEntry", "decode_entry", "encode_entry"]


class DecisionEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="decision", tag_field="type"):
    """One decision. `answers` is by fact: null where the candidate lacked what the question needs.

    `now` is when it was asked for, `at` the instant it is for. `fault`, where set, says why it could not be decided
    as it should; such a decision is exempt from replay.
    """

    decision: Decision
    candidate: Candidate
    now: datetime
    at: datetime
    answers: Mapping[str, tuple[Answer, ...] | None] = {}
    takes: tuple[Take, ...] = ()
    lease_until: datetime | None = None
    trace_id: str | None = None
    fault: str | None = None


class OutcomeEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="outcome", tag_field="type"):
    """What became of an allowed decision: the states its reservation left and entered.

    `outcome` was reported at `now` to have taken place at `at`. `sent_at` and `delivered_at` are the instants that
    count from here on: the earliest reported. What is reported after an outcome that follows it changes these alone.
    """

    decision_id: str
    outcome: str | None = None
    was: str
    is_now: str
    at: datetime
    now: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None


class EventEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="event", tag_field="type"):
    """What took place in another room at `at`, such as a redemption: its name, dotted, and what it says of itself.

    `decision_id` is the decision that allowed what led to it, where one did. Whoever reads decisions passes it over.
    """

    event: str
    at: datetime
    decision_id: str | None = None
    body: dict[str, Any] = {}


Entry = DecisionEntry | OutcomeEntry | EventEntry

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """The entry as JSON, UTF-8, on one line."""
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> Entry:
    """The entry that `encode_entry` wrote. Raises msgspec.ValidationError where it is not one."""
    return _decoder.decode(data)

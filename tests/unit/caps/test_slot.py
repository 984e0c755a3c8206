"""What a holding writes down, and what settlements change of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from guardrails.caps.slot import (
    QUARTER_MICROS,
    Changes,
    LeaseKey,
    QuarterKey,
    SlotKey,
    TallySpan,
    most_older,
    quarter_of,
    tally_span,
)
from guardrails.core.cap_rule import LISTED_TIMES
from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.holdings import Holding, Settlement
from guardrails.storage.instants import LAST_MICROS, to_micros
from stores import instant

TEN, LEASE = instant(10), instant(10, 10)
OWNED = Take("cap", "k", owner="r-1")
SENT = Take("cap", "k-sent", "sent", owner="r-1")
COUNTDOWN = Take("cap", "k-countdown", "reserved", 3600)
TALLIED = Take("tallied", "k", keep_seconds=60, is_tallied=True)
HELD = Holding(decision_id="d-1", takes=(OWNED, SENT, COUNTDOWN, TALLIED), at=TEN, lease_until=LEASE)
GONE_OUT = replace(HELD, lease_until=None, sent_at=instant(10, 20))

OWNED_SLOT = SlotKey("r-1", "cap", "k", to_micros(TEN), "d-1")
SENT_SLOT = SlotKey("r-1", "cap", "k-sent", to_micros(instant(10, 20)), "d-1")
COUNTDOWN_SLOT = SlotKey("", "cap", "k-countdown", to_micros(instant(11)), "d-1")
QUARTER = QuarterKey("tallied", "k", to_micros(TEN))
KEEP_UNTIL = to_micros(instant(10, 16))
TALLY_LEASE = LeaseKey("tallied", "k", to_micros(LEASE), "d-1")


def changes(*moves: tuple[Holding | None, Holding | None]) -> Changes:
    return Changes(Settlement(before=before, after=after) for before, after in moves)


def test_a_new_holding_is_written_down_with_its_lease():
    new = changes((None, HELD))
    assert new.slots == {OWNED_SLOT: to_micros(LEASE), COUNTDOWN_SLOT: to_micros(LEASE)}
    assert new.leases == {TALLY_LEASE: (to_micros(TEN), 1)}
    assert new.counts == {QUARTER: (1, KEEP_UNTIL)}
    assert (new.dropped_slots, new.dropped_leases) == ({}, {})


def test_a_send_drops_the_lease_and_begins_what_counts_from_it_on():
    move = changes((HELD, GONE_OUT))
    assert move.slots == {OWNED_SLOT: None, SENT_SLOT: None, COUNTDOWN_SLOT: None}
    assert move.dropped_leases == {TALLY_LEASE: None}
    assert (move.counts, move.leases, move.dropped_slots) == ({}, {}, {})


def test_what_is_released_is_dropped():
    release = changes((GONE_OUT, None))
    assert release.dropped_slots == dict.fromkeys((OWNED_SLOT, SENT_SLOT, COUNTDOWN_SLOT))
    assert release.counts == {QUARTER: (-1, KEEP_UNTIL)}
    assert (release.slots, release.leases, release.dropped_leases) == ({}, {}, {})


def test_of_moves_to_and_fro_the_last_one_stands():
    gone = changes((None, HELD), (HELD, None))
    assert gone.dropped_slots == dict.fromkeys((OWNED_SLOT, COUNTDOWN_SLOT))
    assert gone.dropped_leases == {TALLY_LEASE: None}
    assert (gone.slots, gone.counts, gone.leases) == ({}, {}, {})
    back = changes((HELD, None), (None, HELD))
    assert back.slots == {OWNED_SLOT: to_micros(LEASE), COUNTDOWN_SLOT: to_micros(LEASE)}
    assert back.leases == {TALLY_LEASE: (to_micros(TEN), 1)}
    assert (back.dropped_slots, back.counts, back.dropped_leases) == ({}, {}, {})


def test_a_quarter_adds_up_and_is_kept_for_the_longest():
    longer = replace(TALLIED, keep_seconds=3600)
    held = [Holding(decision_id=f"d-{n}", takes=(TALLIED,), at=TEN, lease_until=LEASE) for n in range(3)]
    held[1] = replace(held[1], takes=(longer,))
    assert changes(*((None, each) for each in held)).counts == {QUARTER: (3, to_micros(instant(11, 15)))}


def test_of_a_key_that_sums_amounts_quarters_and_leases_hold_how_much():
    spent = replace(TALLIED, amount_minor=250)
    held = [Holding(decision_id=f"d-{n}", takes=(spent,), at=TEN, lease_until=LEASE) for n in range(2)]
    two = changes(*((None, each) for each in held))
    assert two.counts == {QUARTER: (500, KEEP_UNTIL)}
    assert set(two.leases.values()) == {(to_micros(TEN), 250)}
    assert changes((None, held[0]), (None, held[1]), (held[0], None)).counts == {QUARTER: (250, KEEP_UNTIL)}


def test_a_countdown_that_would_end_after_all_time_ends_with_it():
    last = datetime.max.replace(tzinfo=TEN.tzinfo)
    (slot,) = changes((None, replace(HELD, takes=(COUNTDOWN,), at=last, lease_until=last))).slots
    assert slot.instant == LAST_MICROS


@pytest.mark.parametrize(
    "at", [instant(0), datetime(1969, 7, 20, 20, 17, 40, tzinfo=TEN.tzinfo), datetime.min.replace(tzinfo=TEN.tzinfo)]
)
def test_a_quarter_holds_its_instant(at):
    micros = to_micros(at)
    assert quarter_of(micros) % QUARTER_MICROS == 0
    assert quarter_of(micros) <= micros < quarter_of(micros) + QUARTER_MICROS


def query(since: datetime, split: datetime | None, owner: str | None = None) -> UsageQuery:
    return UsageQuery("cap", "k", since, 10, owner=owner, split=split)


def test_a_span_of_whole_quarters_is_what_was_asked_for():
    start, split = to_micros(TEN), to_micros(instant(11))
    assert tally_span(query(TEN, instant(11))) == TallySpan(start, split, split)
    assert tally_span(query(TEN, None)) is None


def test_a_span_takes_in_the_quarters_that_are_asked_for_in_part():
    tick = timedelta(microseconds=1)
    quarters = [to_micros(instant(10, minute)) for minute in (0, 15, 30, 45)]
    assert tally_span(query(TEN + tick, instant(10, 30) + tick)) == TallySpan(quarters[0], quarters[3], quarters[2])
    assert tally_span(query(TEN - tick, instant(10, 30) - tick)) == TallySpan(
        quarters[0] - QUARTER_MICROS, quarters[2], quarters[1]
    )


def test_what_recipients_share_is_counted_as_far_as_limits_go():
    assert most_older(query(TEN, None)) == LISTED_TIMES
    assert most_older(query(TEN, None, "r-1")) > 10**9

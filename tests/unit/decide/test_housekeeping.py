"""What ended is let go of in small steps, in memory and on SQLite."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text

from guardrails.core.needs import Take
from guardrails.decide.housekeeping import STEP_DECISIONS, STEP_SLOTS
from guardrails.errors import DependencyError
from sends import KEEP, LEASE, NOON, TAKES, TEN, Sends
from stores import instant, open_stores, run, sqlite_url

TICK = timedelta(microseconds=1)
LATE = NOON + 2 * KEEP


def to_the_end(sends, now) -> list[int]:
    """How many were looked after, step by step, until nothing is left."""
    return list(iter(lambda: sends.housekeeping.step(now), 0))


def keys(sends) -> list[tuple[str, str]]:
    return list(run(sends.transactor, lambda session: session.caps.keys_of("r")))


def test_nothing_that_has_not_ended_is_touched(sends):
    reserved, sent = sends.allow(1), sends.allow(2, state="sent", due_at=NOON + TICK)
    assert sends.housekeeping.step(LEASE - TICK) == 0
    assert reserved == sends.kept(1)
    sends.housekeeping.step(NOON)
    assert sent == sends.kept(2)


def test_a_reservation_whose_lease_ended_expires_and_its_slots_go(sends):
    sends.allow()
    assert sends.housekeeping.step(LEASE) == 1
    assert (sends.kept().state, sends.kept().due_at) == ("expired", LEASE + KEEP)
    assert keys(sends) == []
    assert to_the_end(sends, NOON) == []


def test_a_decision_is_forgotten_at_the_end_of_its_keeping_with_its_slots(sends):
    sends.allow()
    sends.report("delivered")
    end = sends.kept().due_at
    to_the_end(sends, end - TICK)
    assert sends.kept() is not None
    assert keys(sends) != []
    assert to_the_end(sends, end) == [1]
    assert sends.kept() is None
    assert (keys(sends), sends.used(end)) == ([], {})


def test_the_log_keeps_what_was_forgotten(sends):
    sends.allow()
    sends.report("cancelled")
    to_the_end(sends, LATE)
    assert [entry.is_now for entry in sends.entries()] == ["cancelled"]


def test_a_decision_is_kept_for_as_long_as_a_cap_may_ask_for_it(sends):
    month = 31 * 86_400
    sends.allow(takes=(Take("reserved", '["r"]', "reserved", None, "r", month),))
    sends.report("sent")
    assert TEN + timedelta(seconds=month) == sends.kept().due_at


@pytest.mark.parametrize("state", ["none", "failed", "cancelled", "bounced", "expired", "sent", "delivered"])
def test_whatever_state_it_is_in_its_keeping_ends(sends, state):
    sends.allow(state=state, due_at=NOON)
    assert sends.housekeeping.step(NOON) >= 1
    assert sends.kept() is None
    assert keys(sends) == []


def test_a_candidate_may_be_decided_anew_once_its_decision_is_forgotten(sends):
    sends.allow(state="none", due_at=NOON)
    to_the_end(sends, NOON)
    again = sends.allow(state="none", due_at=LATE)
    assert again == sends.kept()


def test_a_step_is_small_and_the_longest_due_go_first(sends):
    count = 2 * STEP_DECISIONS + 3
    for number in range(count):
        sends.allow(number, takes=(), due_at=TEN + number * TICK)
    assert sends.housekeeping.step(LEASE) == STEP_DECISIONS
    states = [sends.kept(number).state for number in (0, STEP_DECISIONS - 1, STEP_DECISIONS, count - 1)]
    assert states == ["expired", "expired", "reserved", "reserved"]
    assert to_the_end(sends, LEASE) == [STEP_DECISIONS, 3]
    assert to_the_end(sends, LATE) == [STEP_DECISIONS, STEP_DECISIONS, 3]


def test_a_step_ends_with_the_decision_that_brings_it_to_its_slots(sends):
    takes = tuple(Take("cap", f"k-{number}", owner="r") for number in range(STEP_SLOTS // 2))
    for number in range(5):
        sends.allow(number, takes=takes, due_at=TEN + number * TICK)
    assert to_the_end(sends, LEASE) == [2, 2, 1]


def test_one_decision_with_more_slots_than_a_step_holds_is_a_step(sends):
    sends.allow(takes=tuple(Take("cap", f"k-{number}", owner="r") for number in range(3 * STEP_SLOTS)))
    assert to_the_end(sends, LEASE) == [1]
    assert keys(sends) == []


def test_counts_that_no_question_can_ask_for_are_swept(tmp_path):
    path = tmp_path / "guardrails.db"
    sends = Sends(open_stores(sqlite_url(path)))
    tallied = tuple(take for take in TAKES if take.is_tallied)
    for number in range(3):
        sends.allow(number, takes=tallied, evaluated_at=instant(10 + number), lease_until=instant(23), state="sent")
    to_the_end(sends, LATE)
    sends.transactor.close()
    engine = create_engine(sqlite_url(path))
    with engine.connect() as connection:
        left = [connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() for table in TABLES]  # noqa: S608
    engine.dispose()
    assert left == [0, 0, 0, 0]


TABLES = ("decisions", "cap_slots", "cap_tallies", "cap_tally_leases")


def test_an_expired_reservation_waits_for_its_outcome(sends):
    sends.allow()
    to_the_end(sends, LEASE)
    assert sends.report("delivered") == "delivered"
    assert {"reserved", "sent", "delivered", "countdown", "tallied", "tallied-delivered"} == sends.counted()


def test_a_lease_ends_where_the_caps_are_out_of_reach_and_they_are_told_later(apart):
    sends, caps = apart
    sends.allow()
    caps.is_out = True
    assert to_the_end(sends, LEASE) == [1]
    assert (
        sends.kept().state,
        sends.kept().is_caps_pending,
        sends.kept().due_at,
    ) == ("expired", True, LEASE + KEEP)


def test_what_the_caps_still_have_to_be_told_is_kept(apart):
    sends, caps = apart
    sends.allow(1, state="sent", due_at=NOON)
    sends.allow(2, state="failed", due_at=NOON, is_caps_pending=True)
    sends.allow(3, state="cancelled", due_at=NOON)
    caps.is_out = True
    assert to_the_end(sends, NOON) == [3]
    assert [(kept.state, kept.is_caps_pending, kept.due_at) for kept in (sends.kept(1), sends.kept(2))] == [
        ("sent", True, NOON + KEEP),
        ("failed", True, NOON + KEEP),
    ]
    assert sends.kept(3) is None


def test_what_is_pending_is_left_to_whoever_catches_up(apart):
    sends, caps = apart
    sends.allow(is_caps_pending=True)
    caps.calls.clear()
    assert to_the_end(sends, LEASE) == [1]
    assert (sends.kept().state, sends.kept().is_caps_pending) == ("expired", True)
    assert "settle" not in caps.calls


@pytest.mark.parametrize("count", [0, 1])
def test_what_else_is_out_of_reach_is_told(apart, count):
    sends, caps = apart
    before = [sends.allow(number) for number in range(count)]
    caps.is_out, caps.lost = True, "database"
    with pytest.raises(DependencyError, match="connection refused"):
        sends.housekeeping.step(LEASE)
    assert before == [sends.kept(number) for number in range(count)]

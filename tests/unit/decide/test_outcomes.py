"""What became of an allowed decision: its state, its slots and its audit entry, in memory and on SQLite."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest

from guardrails.core.needs import Usage
from guardrails.decide.entry import OutcomeEntry
from guardrails.decide.holdings import ReservationState
from guardrails.decide.outcomes import ImpossibleOutcomeError, Outcome, OutcomeReport
from guardrails.errors import ConflictError, DependencyError, NotFoundError
from sends import KEEP, LEASE, NOON, TEN, Sends
from stores import instant, open_stores

TICK = timedelta(microseconds=1)
OUTCOMES = get_args(Outcome)
NO = None

# From the state in front to the state below each outcome; NO where the two contradict each other.
MOVES = {
    #              sent         delivered    failed       cancelled    bounced      complained
    "none":       (NO,          NO,          NO,          NO,          NO,          NO),
    "reserved":   ("sent",      "delivered", "failed",    "cancelled", "bounced",   "complained"),
    "expired":    ("sent",      "delivered", "failed",    "cancelled", "bounced",   "complained"),
    "sent":       ("sent",      "delivered", "failed",    NO,          "bounced",   "complained"),
    "delivered":  ("delivered", "delivered", NO,          NO,          "bounced",   "complained"),
    "failed":     ("failed",    NO,          "failed",    NO,          NO,          NO),
    "cancelled":  (NO,          NO,          NO,          "cancelled", NO,          NO),
    "bounced":    ("bounced",   "bounced",   NO,          NO,          "bounced",   NO),
    "complained": ("complained", "complained", NO,        NO,          NO,          "complained"),
}  # fmt: skip


def times(*instants) -> Usage:
    return Usage(0, instants)


def test_the_table_knows_every_state():
    assert set(MOVES) == set(get_args(ReservationState))


@pytest.mark.parametrize(
    ("state", "outcome", "expected"),
    [(state, outcome, after) for state, row in MOVES.items() for outcome, after in zip(OUTCOMES, row, strict=True)],
)
def test_every_outcome_in_every_state(sends, state, outcome, expected):
    before = sends.allow(state=state)
    result = sends.report(outcome, now=instant(10, 5))
    if expected is NO:
        assert isinstance(result, ImpossibleOutcomeError)
        assert (before, []) == (sends.kept(), sends.entries())
    else:
        assert (expected, expected) == (result, sends.kept().state)


def test_what_contradicts_the_record_names_both_states(sends):
    sends.allow(state="cancelled")
    refused = sends.report("delivered")
    assert isinstance(refused, ConflictError)
    assert str(refused) == "decision `d-1` is `cancelled` and can't become `delivered`"
    assert (refused.decision_id, refused.state, refused.outcome) == ("d-1", "cancelled", "delivered")


def test_a_deny_has_no_outcome_and_the_refusal_says_that_it_was_one(sends):
    sends.allow(state="none", lease_until=None)
    assert str(sends.report("sent")) == "decision `d-1` is `none` and can't become `sent`: it was a deny"


@pytest.mark.parametrize("decision_id", ["d-2", "", "\U0001f389", "'; --", "x" * 10_000])
def test_what_nobody_decided_is_not_found(sends, decision_id):
    sends.allow()
    (result,) = sends.outcomes.report([OutcomeReport(decision_id, "sent")])
    assert isinstance(result, NotFoundError)
    assert f"`{decision_id}`" in str(result)


RESERVED = {"reserved": times(TEN), "tallied": Usage(1, split=instant(10, 30))}
SENT = RESERVED | {"sent": times(NOON), "countdown": times(instant(13))}
DELIVERED = SENT | {"delivered": times(NOON), "tallied-delivered": Usage(later=1, split=instant(10, 30))}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("sent", SENT),
        ("delivered", DELIVERED),
        ("complained", DELIVERED),
        ("failed", {}),
        ("bounced", {}),
        ("cancelled", {}),
    ],
)
def test_an_outcome_settles_what_counts(sends, outcome, expected):
    sends.allow()
    assert sends.used(instant(10, 9)) == RESERVED
    sends.report(outcome)
    assert expected == sends.used()


@pytest.mark.parametrize("outcome", ["failed", "bounced"])
def test_what_was_sent_and_did_not_arrive_is_free_again(sends, outcome):
    sends.allow()
    sends.report("sent")
    sends.report(outcome)
    assert sends.used() == {}


def test_what_counted_once_counts_for_good(sends):
    sends.allow()
    sends.report("sent", now=instant(10, 5))
    assert {"reserved", "sent", "countdown", "tallied"} == sends.counted(instant(23))


@pytest.mark.parametrize("is_swept", [False, True])
def test_a_send_reported_after_its_lease_counts(sends, is_swept):
    sends.allow()
    assert sends.used(LEASE) == {}
    if is_swept:
        sends.housekeeping.step(LEASE)
    assert sends.report("sent") == "sent"
    assert sends.used() == SENT
    entry = OutcomeEntry(
        decision_id="d-1", outcome="sent", was="expired", is_now="sent", at=NOON, now=NOON, sent_at=NOON
    )
    assert [entry] == sends.entries()


@pytest.mark.parametrize("now", [LEASE - TICK, LEASE])
def test_the_entry_says_what_the_reservation_was_at_that_instant(sends, now):
    sends.allow()
    sends.report("cancelled", instant(10, 3), now=now)
    was = "expired" if now == LEASE else "reserved"
    entry = OutcomeEntry(
        decision_id="d-1", outcome="cancelled", was=was, is_now="cancelled", at=instant(10, 3), now=now
    )
    assert [entry] == sends.entries()


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("at", [None, instant(9), instant(10, 5), instant(12, 3), instant(23)])
@pytest.mark.parametrize("later", [instant(11), NOON, instant(12, 1), instant(18)])
def test_the_same_report_again_changes_nothing_even_where_the_clock_was_set_back(sends, outcome, at, later):
    sends.allow()
    first = sends.report(outcome, at)
    kept, used, entries = sends.kept(), sends.used(), sends.entries()
    assert first == sends.report(outcome, at, now=later)
    assert (kept, used, entries) == (sends.kept(), sends.used(), sends.entries())


@pytest.mark.parametrize(
    ("at", "counted_at"),
    [
        (instant(11), instant(11)),
        (None, NOON),
        (NOON + TICK, NOON),
        (instant(23), NOON),
        (TEN, TEN),
        (TEN - TICK, TEN),
        (instant(0), TEN),
    ],
)
def test_a_send_counts_between_the_instant_it_was_decided_for_and_now(sends, at, counted_at):
    sends.allow()
    sends.report("delivered", at)
    assert (counted_at, counted_at) == (sends.kept().sent_at, sends.kept().delivered_at)
    assert times(counted_at) == sends.used()["sent"]
    assert [at or NOON] == [entry.at for entry in sends.entries()]


def test_what_is_sent_before_its_time_counts_at_its_time(sends):
    sends.allow(evaluated_at=instant(18), lease_until=instant(18, 10))
    sends.report("sent", instant(11))
    assert instant(18) == sends.kept().sent_at


@pytest.mark.parametrize("outcome", ["delivered", "complained"])
def test_a_delivery_and_a_complaint_say_that_it_was_sent(sends, outcome):
    sends.allow()
    sends.report(outcome, instant(11))
    assert (instant(11), instant(11)) == (sends.kept().sent_at, sends.kept().delivered_at)


@pytest.mark.parametrize("outcome", ["failed", "bounced", "cancelled"])
def test_what_did_not_arrive_says_nothing_of_when_it_was_sent(sends, outcome):
    sends.allow()
    sends.report(outcome, instant(11))
    assert (sends.kept().sent_at, sends.kept().delivered_at) == (None, None)


def test_the_earliest_instant_counts_whichever_report_says_it(sends):
    sends.allow()
    sends.report("complained", instant(11, 50))
    sends.report("delivered", instant(11, 40))
    sends.report("sent", instant(11, 30))
    sends.report("delivered", instant(11, 45))
    assert ("complained", instant(11, 30), instant(11, 40)) == (
        sends.kept().state,
        sends.kept().sent_at,
        sends.kept().delivered_at,
    )
    assert times(instant(11, 30)) == sends.used()["sent"]
    assert times(instant(12, 30)) == sends.used()["countdown"]
    assert times(instant(11, 40)) == sends.used()["delivered"]


def test_a_report_that_comes_late_with_an_earlier_instant_is_recorded(sends):
    sends.allow()
    sends.report("delivered", instant(11))
    assert sends.report("sent", instant(10, 30)) == "delivered"
    assert times(instant(10, 30)) == sends.used()["sent"]
    late = OutcomeEntry(
        decision_id="d-1",
        outcome="sent",
        was="delivered",
        is_now="delivered",
        at=instant(10, 30),
        now=NOON,
        sent_at=instant(10, 30),
        delivered_at=instant(11),
    )
    assert late == sends.entries()[-1]


@pytest.mark.parametrize("end", ["failed", "bounced"])
def test_a_send_reported_after_its_end_is_recorded_and_does_not_count(sends, end):
    sends.allow()
    sends.report(end)
    assert sends.report("sent", instant(11)) == end
    assert instant(11) == sends.kept().sent_at
    assert sends.used() == {}


def test_reports_of_a_batch_see_those_before_them_and_stand_in_their_places(sends):
    sends.allow(1)
    sends.allow(2)
    reports = [
        OutcomeReport("d-1", "sent"),
        OutcomeReport("nobody", "sent"),
        OutcomeReport("d-1", "delivered"),
        OutcomeReport("d-2", "cancelled"),
        OutcomeReport("d-1", "cancelled"),
        OutcomeReport("d-1", "sent"),
        OutcomeReport("d-2", "sent"),
    ]
    results = sends.outcomes.report(reports, now=NOON)
    refused = ImpossibleOutcomeError
    expected = ["sent", NotFoundError, "delivered", "cancelled", refused, "delivered", refused]
    assert expected == [type(result) if isinstance(result, Exception) else result.state for result in results]
    recorded = [(entry.decision_id, entry.is_now) for entry in sends.entries()]
    assert recorded == [("d-1", "sent"), ("d-1", "delivered"), ("d-2", "cancelled")]
    assert sends.used() == DELIVERED


def test_a_thousand_are_reported_at_once(sends):
    for number in range(1000):
        sends.allow(number, takes=())
    results = sends.outcomes.report([OutcomeReport(f"d-{number}", "sent") for number in range(1000)], now=NOON)
    assert {"sent"} == {result.state for result in results}
    assert [f"d-{number}" for number in range(1000)] == [entry.decision_id for entry in sends.entries()]


def test_nothing_reported_is_nothing_done():
    closed = open_stores("memory:")
    closed.close()
    assert Sends(closed).outcomes.report([]) == []


def test_now_is_what_the_clock_says_where_nobody_says_otherwise(sends):
    sends.allow()
    sends.now = instant(10, 7)
    sends.outcomes.report([OutcomeReport("d-1", "sent")])
    assert instant(10, 7) == sends.kept().sent_at


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_it_is_kept_for_a_while_after_its_last_outcome(sends, outcome):
    sends.allow()
    sends.report(outcome)
    assert sends.kept().due_at == NOON + KEEP


def test_reports_that_arrive_together_are_settled_together_and_once(apart):
    sends, caps = apart
    for number in range(5):
        sends.allow(number)
    caps.calls.clear()
    for _ in range(2):
        sends.outcomes.report([OutcomeReport(f"d-{number}", "sent") for number in range(5)], now=NOON)
    assert caps.calls == ["settle"]


def test_an_outcome_that_moves_no_slot_leaves_the_caps_alone(apart):
    sends, caps = apart
    sends.allow()
    sends.report("delivered")
    caps.calls.clear()
    assert sends.report("complained") == "complained"
    assert caps.calls == []


def test_an_outcome_is_recorded_where_the_caps_are_out_of_reach(apart):
    sends, caps = apart
    sends.allow(1)
    sends.allow(2, takes=())
    caps.is_out = True
    results = sends.outcomes.report([OutcomeReport("d-1", "sent"), OutcomeReport("d-2", "sent")], now=NOON)
    assert [result.state for result in results] == ["sent", "sent"]
    assert [sends.kept(number).is_caps_pending for number in (1, 2)] == [True, False]
    assert len(sends.entries()) == 2


def test_what_is_pending_stays_so_and_is_settled_by_whoever_catches_up(apart):
    sends, caps = apart
    sends.allow(is_caps_pending=True)
    caps.calls.clear()
    assert sends.report("cancelled") == "cancelled"
    assert sends.kept().is_caps_pending
    assert caps.calls == []


def test_an_outcome_is_not_recorded_where_the_database_is_out_of_reach(apart):
    sends, caps = apart
    before = sends.allow()
    caps.is_out, caps.lost = True, "database"
    with pytest.raises(DependencyError, match="connection refused"):
        sends.report("sent")
    assert (before, []) == (sends.kept(), sends.entries())

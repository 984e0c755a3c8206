from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest

from guardrails.core.needs import Take
from guardrails.decide.holdings import HOLDING_STATES, ReservationState
from guardrails.decide.ports import Span, StoredDecision
from guardrails.errors import ConflictError
from stores import instant, stored_decision

TAKES = (
    Take("one-a-day", '["r-1"]', owner="r-1", keep_seconds=172_800),
    Take("budget", "[]", "delivered", None, None, 2_764_800, is_tallied=True),
    Take("rest", '["r-1"]', "sent", 3600, "r-1"),
)
IDS = ("", "a", "A", "a/b", "a b", "é", "e\u0301", "Ω", "中文", "\uffff", "🎉", "\U0010ffff", "'; --", "%_", "z" * 200)
"""In no order at all; to a database's locale many of these are equal, or stand elsewhere than their bytes do."""


@pytest.fixture
def insert(do):
    def insert(*decisions) -> None:
        do(lambda session: session.decisions.insert(decisions))

    return insert


@pytest.fixture
def by_id(do):
    def by_id(*decision_ids: str) -> dict[str, StoredDecision]:
        return dict(do(lambda session: session.decisions.by_id(decision_ids)))

    return by_id


@pytest.fixture
def by_candidate(do):
    def by_candidate(*candidate_ids: str) -> dict[str, StoredDecision]:
        return dict(do(lambda session: session.decisions.by_candidate(candidate_ids)))

    return by_candidate


def ids(decisions) -> list[str]:
    return [decision.decision_id for decision in decisions]


def test_a_decision_comes_back_as_it_was_by_either_id(insert, by_id, by_candidate):
    first = stored_decision(
        1,
        answer=bytes(range(256)),
        evaluated_at=instant(10, 0, 0, 123_456),
        due_at=instant(11, 0, 0, 1),
        sent_at=instant(10, 1, 2, 999_999),
        delivered_at=instant(10, 1, 3),
        takes=TAKES,
        is_caps_pending=True,
    )
    second = stored_decision(2, state="none", lease_until=None)
    insert(first, second)
    assert {"d-1": first} == by_id("d-1", "d-3")
    assert {"c-1": first, "c-2": second} == by_candidate("c-1", "c-2", "c-3")


@pytest.mark.parametrize(
    "state", ["none", "sent", "delivered", "failed", "cancelled", "bounced", "complained", "expired"]
)
def test_every_state_is_kept(insert, by_id, state):
    insert(stored_decision(1, state=state))
    assert state == by_id("d-1")["d-1"].state


def test_what_was_not_decided_is_not_there(by_id, by_candidate):
    assert by_id("d-1") == {}
    assert by_candidate("c-1") == {}


def test_nothing_is_asked_for_and_nothing_found(by_id, by_candidate):
    assert by_id() == {}
    assert by_candidate() == {}


def test_many_are_looked_up_at_once(insert, by_id, by_candidate):
    insert(*(stored_decision(number) for number in range(1000)))
    assert {f"c-{number}" for number in range(1000)} == set(by_candidate(*(f"c-{number}" for number in range(2000))))
    assert {f"d-{number}" for number in range(1000)} == set(by_id(*(f"d-{number}" for number in range(2000))))


def test_ids_are_told_apart_whatever_script_they_are_in(insert, by_id, by_candidate):
    decisions = [stored_decision(number, decision_id=f"d{id_}", candidate_id=id_) for number, id_ in enumerate(IDS)]
    insert(*decisions)
    assert {decision.candidate_id: decision for decision in decisions} == by_candidate(*IDS)
    assert {decision.decision_id: decision for decision in decisions} == by_id(*(f"d{id_}" for id_ in IDS))


@pytest.mark.parametrize(
    "again", [stored_decision(1), stored_decision(1, decision_id="d-2"), stored_decision(1, candidate_id="c-2")]
)
def test_a_candidate_is_decided_once(do, insert, by_id, again):
    insert(stored_decision(1))
    with pytest.raises(ConflictError):
        insert(again)
    assert {"d-1": stored_decision(1)} == by_id("d-1", "d-2")


def test_a_candidate_is_answered_from_the_decision_that_owns_it(insert, by_id, by_candidate):
    owner, other = stored_decision(1), stored_decision(2, candidate_id="c-1", owns_candidate=False)
    alone = stored_decision(3, owns_candidate=False)
    insert(other, owner, alone)
    assert {"c-1": owner} == by_candidate("c-1", "c-3")
    assert {"d-1": owner, "d-2": other, "d-3": alone} == by_id("d-1", "d-2", "d-3")


def test_what_can_change_does_and_nothing_else(do, insert, by_id):
    before = [stored_decision(number, takes=TAKES) for number in range(3)]
    changes = {
        "state": "delivered",
        "sent_at": instant(10, 2),
        "delivered_at": instant(10, 3, 4, 5),
        "due_at": instant(23),
        "is_caps_pending": True,
    }
    other = {"candidate_id": "x", "answer": b"x", "body_hash": b"x", "takes": (), "lease_until": None}
    insert(*before)
    do(lambda session: session.decisions.update([stored_decision(1, **changes, **other)]))
    changed = stored_decision(1, takes=TAKES, **changes)
    assert {"d-0": before[0], "d-1": changed, "d-2": before[2]} == by_id("d-0", "d-1", "d-2")
    do(lambda session: session.decisions.update([before[0], before[1]]))
    assert {"d-0": before[0], "d-1": before[1]} == by_id("d-0", "d-1")


def test_many_change_at_once_each_in_its_own_way(do, insert, by_id):
    insert(*(stored_decision(number) for number in range(500)))
    changed = [
        stored_decision(number, state="sent" if number % 2 else "failed", sent_at=instant(11, microsecond=number))
        for number in range(500)
    ]
    do(lambda session: session.decisions.update(changed))
    assert {decision.decision_id: decision for decision in changed} == by_id(*ids(changed))


def test_what_is_not_kept_does_not_come_by_a_change(do, by_id):
    do(lambda session: session.decisions.update([stored_decision(1)]))
    assert by_id("d-1") == {}


def due(do, now, most=10) -> list[str]:
    return ids(do(lambda session: session.decisions.due(now, most)))


def test_due_are_those_whose_time_has_come_the_longest_due_first(do, insert):
    minutes = {5: 5, 1: 3, 4: 4, 2: 1, 3: 2}
    insert(*(stored_decision(number, due_at=instant(10, minute)) for number, minute in minutes.items()))
    assert due(do, instant(10) + timedelta(microseconds=59_999_999)) == []
    assert due(do, instant(10, 4)) == ["d-2", "d-3", "d-1", "d-4"]
    assert due(do, instant(10, 4), 2) == ["d-2", "d-3"]
    assert due(do, instant(23), 3) == ["d-2", "d-3", "d-1"]


def test_of_many_that_are_due_at_once_each_step_takes_some(do, insert):
    insert(*(stored_decision(number, due_at=instant(10)) for number in range(9)))
    found = []
    while step := due(do, instant(10), 4):
        assert len(step) <= 4
        found += step
        do(lambda session, step=step: session.decisions.remove(step))
    assert sorted(found) == [f"d-{number}" for number in range(9)]


def test_what_is_due_follows_every_change(do, insert):
    insert(*(stored_decision(number, due_at=instant(10)) for number in range(4)))
    later = [stored_decision(1, due_at=instant(12)), stored_decision(2, due_at=instant(9))]
    do(lambda session: session.decisions.update(later))
    do(lambda session: session.decisions.remove(["d-3"]))
    assert due(do, instant(10)) == ["d-2", "d-0"]
    assert due(do, instant(12)) == ["d-2", "d-0", "d-1"]
    do(lambda session: session.decisions.update([stored_decision(1, due_at=instant(10))]))
    assert due(do, instant(10)) == ["d-2", "d-0", "d-1"]


def test_what_is_due_is_so_again_after_a_unit_that_failed(do, insert):
    insert(stored_decision(1, due_at=instant(10)), stored_decision(2, due_at=instant(11)))

    def fail(session):
        session.decisions.update([stored_decision(1, due_at=instant(20), is_caps_pending=True)])
        session.decisions.remove(["d-2"])
        assert session.decisions.due(instant(12), 10) == []
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do(fail)
    assert due(do, instant(12)) == ["d-1", "d-2"]
    assert do(lambda session: session.decisions.caps_pending(10)) == []


def test_what_is_removed_is_forgotten_and_its_candidate_is_free(do, insert, by_id, by_candidate):
    insert(stored_decision(1, is_caps_pending=True), stored_decision(2, candidate_id="c-1", owns_candidate=False))
    do(lambda session: session.decisions.remove(["d-1", "nobody"]))
    assert {"d-2"} == set(by_id("d-1", "d-2"))
    assert by_candidate("c-1") == {}
    assert do(lambda session: session.decisions.caps_pending(10)) == []
    do(lambda session: session.decisions.remove(["d-2"]))
    insert(stored_decision(1))
    assert {"c-1": stored_decision(1)} == by_candidate("c-1")


def test_those_whose_caps_are_pending_are_found_and_no_other(do, insert):
    insert(*(stored_decision(number, is_caps_pending=number % 3 == 0) for number in range(9)))
    assert ids(do(lambda session: session.decisions.caps_pending(10))) == ["d-0", "d-3", "d-6"]
    assert ids(do(lambda session: session.decisions.caps_pending(2))) == ["d-0", "d-3"]
    changed = [stored_decision(3), stored_decision(4, is_caps_pending=True)]
    do(lambda session: session.decisions.update(changed))
    assert ids(do(lambda session: session.decisions.caps_pending(10))) == ["d-0", "d-4", "d-6"]


def test_those_that_hold_slots_are_found_once_in_the_order_of_the_bytes_of_their_ids(do, insert):
    insert(*(stored_decision(number, decision_id=f"d{id_}", candidate_id=id_) for number, id_ in enumerate(IDS)))
    states = get_args(ReservationState)
    others = sorted(set(states) - HOLDING_STATES)
    insert(*(stored_decision(1000 + number, state=state) for number, state in enumerate(others)))
    insert(stored_decision(2000, is_caps_pending=True))
    found, after = [], ""
    while page := ids(do(lambda session, after=after: session.decisions.holding(after, 4))):
        assert len(page) <= 4
        found += page
        after = page[-1]
    assert found == sorted((f"d{id_}" for id_ in IDS), key=str.encode)


def test_the_same_instant_is_kept_whatever_zone_says_it_and_however_far_it_is(insert, by_id):
    end = datetime.max.replace(tzinfo=UTC)
    there = instant(10, microsecond=1).astimezone(timezone(timedelta(hours=5, minutes=45)))
    insert(stored_decision(1, due_at=end, lease_until=end, evaluated_at=there))
    kept = by_id("d-1")["d-1"]
    assert (end, end, there) == (kept.due_at, kept.lease_until, kept.evaluated_at)


def of_recipient(do, recipient, most=10) -> list[str]:
    return ids(do(lambda session: session.decisions.of_recipient(recipient, most)))


def test_the_allows_of_a_recipient_are_found_the_newest_first_and_no_other(do, insert):
    hours = {1: 10, 2: 12, 3: 11, 4: 12}
    insert(
        *(stored_decision(number, recipient="r-1", evaluated_at=instant(hour)) for number, hour in hours.items()),
        stored_decision(5, recipient="r-1", evaluated_at=instant(13), lease_until=None, state="none"),
        stored_decision(6, recipient="r-10"),
        stored_decision(7),
    )
    assert of_recipient(do, "r-1") == ["d-2", "d-4", "d-3", "d-1"]
    assert of_recipient(do, "r-1", 2) == ["d-2", "d-4"]
    assert of_recipient(do, "r-2") == []


def test_the_allows_of_a_recipient_keep_up_with_what_becomes_of_them(do, insert, by_id):
    insert(*(stored_decision(number, recipient="r-1") for number in range(3)))
    do(lambda session: session.decisions.update([stored_decision(1, state="sent", sent_at=instant(11))]))
    do(lambda session: session.decisions.remove(["d-2"]))
    assert of_recipient(do, "r-1") == ["d-1", "d-0"]
    assert (by_id("d-1")["d-1"].state, by_id("d-1")["d-1"].recipient) == ("sent", "r-1")


def test_recipients_are_told_apart_whatever_script_they_are_in(do, insert):
    insert(*(stored_decision(number, recipient=id_) for number, id_ in enumerate(IDS)))
    assert [of_recipient(do, id_) for id_ in IDS] == [[f"d-{number}"] for number in range(len(IDS))]


def test_the_allows_of_several_recipients_within_spans_of_time_are_found_at_once(do, insert):
    hours = {1: 10, 2: 12, 3: 11, 4: 12, 5: 13}
    insert(
        *(stored_decision(number, recipient="r-1", evaluated_at=instant(hour)) for number, hour in hours.items()),
        stored_decision(6, recipient="r-2", evaluated_at=instant(11)),
        stored_decision(7, recipient="r-1", evaluated_at=instant(11), lease_until=None, state="none"),
    )
    first, all_day = Span("r-1", instant(10), instant(12)), Span("r-1", instant(0), instant(23))
    other, nobody = Span("r-2", instant(10), instant(11)), Span("r-3", instant(0), instant(23))
    asked = [first, all_day, other, nobody, first]
    found = do(lambda session: session.decisions.allows_within(asked, 3))
    assert {span: ids(allows) for span, allows in found.items()} == {
        first: ["d-2", "d-4", "d-3"],
        all_day: ["d-5", "d-2", "d-4"],
        other: ["d-6"],
        nobody: [],
    }

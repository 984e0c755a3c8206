from __future__ import annotations

import pytest

from guardrails.errors import ConflictError, NotFoundError
from stores import instant, stored_decision


def insert(do, *decisions) -> None:
    do(lambda session: session.decisions.insert(decisions))


def by_id(do, decision_id: str):
    return do(lambda session: session.decisions.by_id(decision_id))


def test_a_decision_comes_back_byte_for_byte_by_either_id(do):
    first = stored_decision(1, answer=bytes(range(256)), evaluated_at=instant(10, 0, 0, 123_456))
    second = stored_decision(2, state="none", lease_until=None)
    insert(do, first, second)
    assert first == by_id(do, "d-1")
    assert {"c-1": first, "c-2": second} == dict(
        do(lambda session: session.decisions.by_candidate(["c-1", "c-2", "c-3"]))
    )


def test_what_was_not_decided_is_not_there(do):
    assert by_id(do, "d-1") is None
    assert dict(do(lambda session: session.decisions.by_candidate(["c-1"]))) == {}


def test_many_candidates_are_looked_up_at_once(do):
    insert(do, *(stored_decision(number) for number in range(1000)))
    found = do(lambda session: session.decisions.by_candidate([f"c-{number}" for number in range(2000)]))
    assert {f"c-{number}" for number in range(1000)} == set(found)


@pytest.mark.parametrize(
    "again", [stored_decision(1), stored_decision(1, decision_id="d-2"), stored_decision(1, candidate_id="c-2")]
)
def test_a_candidate_is_decided_once(do, again):
    insert(do, stored_decision(1))
    with pytest.raises(ConflictError):
        insert(do, again)
    assert stored_decision(1) == by_id(do, "d-1")


def test_a_state_moves_and_nothing_else_does(do):
    insert(do, stored_decision(1), stored_decision(2))
    do(lambda session: session.decisions.move("d-1", "sent"))
    assert stored_decision(1, state="sent") == by_id(do, "d-1")
    assert stored_decision(2) == by_id(do, "d-2")


def test_the_state_of_what_is_not_there_can_not_move(do):
    with pytest.raises(NotFoundError):
        do(lambda session: session.decisions.move("d-1", "sent"))


def test_leases_that_ended_expire_the_oldest_first_and_in_small_steps(do):
    insert(
        do,
        stored_decision(1, lease_until=instant(10, 3)),
        stored_decision(2, lease_until=instant(10, 1)),
        stored_decision(3, lease_until=instant(10, 2)),
        stored_decision(4, lease_until=instant(10, 4)),
        stored_decision(5, lease_until=instant(10, 1), state="sent"),
        stored_decision(6, lease_until=None, state="none"),
    )

    def expire():
        return do(lambda session: session.decisions.expire(instant(10, 3), 2))

    assert [expire(), expire(), expire()] == [("d-2", "d-3"), ("d-1",), ()]
    states = [by_id(do, f"d-{number}").state for number in range(1, 7)]
    assert states == ["expired", "expired", "expired", "reserved", "sent", "none"]

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.offers.redemptions import HOLDING, TAKEN_BACK, Redemption
from stores import instant

STATES = ("reserved", "authorised", "settled", "refunding", "refunded", "charged_back", "declined", "released")


def redemption(id_="r-1", **changes) -> Redemption:
    fields = {
        "id": id_,
        "decision_id": f"d-{id_}",
        "offer": "upgrade",
        "recipient": "anna",
        "sponsor": "hotel",
        "state": "reserved",
        "method": "provider",
        "amount_minor": 1900,
        "currency": "EUR",
        "body_hash": bytes(range(32)),
        "recorded_at": instant(10, 0, 0, 1),
    }
    return Redemption(**(fields | changes))


FULL = {
    "conversion": "c-1",
    "step": "refund",
    "attempts": 3,
    "reference": 'pay "ö"',
    "reason": "payment.refused",
    "taken_back_as": "chargeback",
    "why": "der Gast kam nicht",
    "state": "refunding",
    "settled_at": instant(10, 1),
    "due_at": instant(10, 2, 0, 3),
}


def insert(do, *redemptions):
    do(lambda session: session.redemptions.insert(redemptions))


def update(do, *redemptions):
    do(lambda session: session.redemptions.update(redemptions))


def test_a_redemption_comes_back_as_it_was_kept(do):
    insert(do, redemption(), redemption("r-2", **FULL))
    assert dict(do(lambda session: session.redemptions.by_id(["r-2", "r-1", "r-3"]))) == {
        "r-1": redemption(),
        "r-2": redemption("r-2", **FULL),
    }


def test_what_may_change_is_recorded(do):
    insert(do, redemption(conversion="c-1"), redemption("r-2", **FULL), redemption("r-3"))
    update(do, redemption(**FULL), redemption("r-2", state="declined", conversion="c-1"))
    assert dict(do(lambda session: session.redemptions.by_id(["r-1", "r-2", "r-3"]))) == {
        "r-1": redemption(**FULL),
        "r-2": redemption("r-2", state="declined", conversion="c-1"),
        "r-3": redemption("r-3"),
    }


@pytest.mark.parametrize("state", STATES)
def test_a_token_is_held_in_the_states_that_hold_it(do, state):
    insert(do, redemption(state=state))
    is_held = {"d-r-1": redemption(state=state)} if state in HOLDING | TAKEN_BACK else {}
    assert dict(do(lambda session: session.redemptions.holding(["d-r-1", "d-r-2"]))) == is_held
    held_by = do(lambda session: session.redemptions.held_by([("upgrade", "anna")]))
    assert dict(held_by) == ({("upgrade", "anna"): 1} if state in HOLDING else {})


def test_a_token_that_was_let_go_of_may_be_held_by_another_redemption(do):
    insert(do, redemption(decision_id="d-1"))
    update(do, redemption(decision_id="d-1", state="released"))
    insert(do, redemption("r-2", decision_id="d-1"))
    assert [each.id for each in do(lambda s: s.redemptions.holding(["d-1"])).values()] == ["r-2"]


def test_redemptions_are_counted_by_offer_and_recipient(do):
    insert(
        do,
        redemption("a"),
        redemption("b"),
        redemption("c", recipient="ben"),
        redemption("d", offer="other"),
        redemption("e", state="declined"),
    )
    pairs = [("upgrade", "anna"), ("upgrade", "ben"), ("other", "ben"), ("upgrade", "anna")]
    assert dict(do(lambda session: session.redemptions.held_by(pairs))) == {
        ("upgrade", "anna"): 2,
        ("upgrade", "ben"): 1,
    }


def test_those_that_are_paid_and_not_taken_back_are_counted_by_offer(do):
    insert(do, *(redemption(state, state=state) for state in STATES), redemption("x", offer="other", state="settled"))
    assert dict(do(lambda session: session.redemptions.settled_of(["upgrade", "other", "nothing"]))) == {
        "upgrade": 2,
        "other": 1,
    }


def test_what_is_due_is_found_longest_due_first(do):
    insert(
        do,
        redemption("a", due_at=instant(11)),
        redemption("b", due_at=instant(10)),
        redemption("c", due_at=instant(11) + timedelta(microseconds=1)),
        redemption("d"),
        redemption("e", due_at=instant(9)),
    )
    update(do, redemption("e", state="settled"))

    def due(most):
        return [each.id for each in do(lambda session: session.redemptions.due(instant(11), most))]

    assert due(5) == ["b", "a"]
    assert due(1) == ["b"]


def test_those_of_a_recipient_stand_newest_first(do):
    insert(
        do,
        redemption("b", recorded_at=instant(9)),
        redemption("a", recorded_at=instant(9)),
        redemption("c", recorded_at=instant(10)),
        redemption("d", recipient="ben"),
    )
    assert [each.id for each in do(lambda s: s.redemptions.of_recipient("anna", 5))] == ["c", "a", "b"]
    assert [each.id for each in do(lambda s: s.redemptions.of_recipient("anna", 1))] == ["c"]


def test_redemptions_are_paged_in_the_order_of_their_ids(do):
    insert(do, *(redemption(each) for each in ("b", "a.1", "B", "a")))
    assert [each.id for each in do(lambda session: session.redemptions.page("", 2))] == ["B", "a"]
    assert [each.id for each in do(lambda session: session.redemptions.page("a", 9))] == ["a.1", "b"]

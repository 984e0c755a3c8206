"""Whatever payment services tell, in whatever order and however often, a redemption stays true to what is known."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from guardrails.offers.redemptions import HOLDING, Redemption, RefundRequest, apply, begin_refund
from guardrails.payments.port import PaymentResult, PaymentState, PaymentStep
from redeeming import NOW

RESULTS = st.lists(
    st.builds(
        PaymentResult,
        state=st.sampled_from(get_args(PaymentState)),
        step=st.sampled_from(get_args(PaymentStep)),
        reference=st.none() | st.just("pay-1"),
        retry_after_seconds=st.none() | st.floats(0, 60),
    )
    | st.none(),  # somebody asks for a refund
    max_size=12,
)
ENDED = {"declined", "released", "refunded", "charged_back"}


def reserved() -> Redemption:
    return Redemption(
        id="r-1",
        decision_id="d-1",
        offer="upgrade",
        recipient="anna",
        sponsor="hotel",
        state="reserved",
        method="provider",
        amount_minor=1900,
        currency="EUR",
        body_hash=b"",
        recorded_at=NOW,
        step="authorise",
        due_at=NOW,
    )


def course(results: list[PaymentResult | None]) -> list[Redemption]:
    """The redemption after each of the results."""
    states = [reserved()]
    for place, result in enumerate(results, 1):
        now = NOW + timedelta(seconds=place)
        last = states[-1]
        if result is not None:
            states.append(apply(last, result, now))
        elif last.state == "settled":
            states.append(begin_refund(last, RefundRequest(kind="refund"), now))
    return states


@given(RESULTS)
def test_what_has_ended_stays_as_it_is(results):
    states = course(results)
    for before, after in pairwise(states):
        if before.state in ENDED:
            assert after is before


@given(RESULTS)
def test_something_is_asked_for_exactly_as_long_as_the_outcome_is_not_known(results):
    for each in course(results):
        is_open = each.state in {"reserved", "authorised", "refunding"}
        assert (each.step is not None, each.due_at is not None) == (is_open, is_open)


@given(RESULTS)
def test_only_a_capture_settles_and_it_settles_once(results):
    states = course(results)
    settled_at = {each.settled_at for each in states} - {None}
    assert len(settled_at) <= 1
    told = [each for each in results if each is not None and each.state == "done"]
    if settled_at:
        assert any(each.step in {"capture", "refund", "chargeback"} for each in told)
    for before, after in pairwise(states):
        assert before.settled_at in {None, after.settled_at}


@given(RESULTS)
def test_stock_is_let_go_of_only_where_no_money_is_held_or_taken(results):
    """Not on silence, not on what is given up: a result that is known says that there is none, or that it is back."""
    for before, after, result in _turns(results):
        if before.state in HOLDING and after.state not in HOLDING:
            said = (result.step, result.state)
            let_go = {(step, "declined") for step in ("authorise", "capture", "void")} | {("void", "done")}
            assert said in let_go | {("refund", "done"), ("chargeback", "done")}


@given(RESULTS)
def test_a_result_that_comes_again_changes_nothing_more(results):
    for _, after, result in _turns(results):
        if result.state in {"done", "declined"} and after.state not in {"reserved", "authorised", "refunding"}:
            assert apply(after, result, NOW + timedelta(days=1)) is after


def _turns(results):
    last = reserved()
    for place, result in enumerate(results, 1):
        if result is None:
            if last.state == "settled":
                last = begin_refund(last, RefundRequest(kind="refund"), NOW)
            continue
        after = apply(last, result, NOW + timedelta(seconds=place))
        yield last, after, result
        last = after

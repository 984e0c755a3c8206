"""Reports of outcomes, in every order: a possible history has one end, and an impossible one does no harm."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from guardrails.core.needs import Usage
from guardrails.decide.holdings import Reservation, ReservationState
from guardrails.decide.outcomes import ImpossibleOutcomeError, Outcome, OutcomeReport
from sends import NOON, TEN, Sends
from stores import instant, open_stores, run

CHAINS: tuple[tuple[Outcome, ...], ...] = (
    ("sent", "delivered", "complained"),
    ("sent", "delivered", "bounced"),
    ("sent", "failed"),
    ("cancelled",),
)
"""What can become of one send: part of one of these, in this order, each reported once or more."""

# On both sides of the planned instant and of the end of the lease; few, so that they meet.
INSTANTS = st.sampled_from([None, *(instant(9, 50) + minutes * timedelta(minutes=7) for minutes in range(6))])
LATER = st.sampled_from([timedelta(0), timedelta(minutes=1), timedelta(hours=3)])


@st.composite
def histories(draw, instants=INSTANTS) -> list[OutcomeReport]:
    """Reports that one send may lead to, in the order in which their outcomes took place."""
    chain = draw(st.sampled_from(CHAINS))
    outcomes = draw(st.lists(st.sampled_from(chain), min_size=1, max_size=6))
    return [OutcomeReport("d-1", outcome, draw(instants)) for outcome in sorted(outcomes, key=chain.index)]


def end_of(history, *, nows, with_housekeeping=False) -> tuple[ReservationState, datetime, datetime, dict[str, Usage]]:
    """Where the reports lead in the order given, each at its `now`: the state, the instants, and what counts."""
    sends = Sends(open_stores("memory:"))
    sends.allow()
    for report, now in zip(history, nows, strict=True):
        if with_housekeeping:
            sends.housekeeping.step(now)
        (result,) = sends.outcomes.report([report], now=now)
        assert not isinstance(result, Exception)
    kept = sends.kept()
    return kept.state, kept.sent_at, kept.delivered_at, sends.used(instant(20))


@given(histories(), st.data())
def test_a_history_has_one_end_in_whatever_order_it_is_told(history, data):
    told = data.draw(st.permutations(history))
    nows = [NOON] * len(history)
    assert end_of(history, nows=nows) == end_of(told, nows=nows)


@given(histories(INSTANTS.filter(bool)), st.data())
def test_it_has_the_same_end_however_long_the_reports_take_and_whoever_ends_the_lease_meanwhile(history, data):
    told = data.draw(st.permutations(history))
    start = data.draw(st.sampled_from([instant(10, 26), NOON]))
    nows = [start]
    for _ in told[1:]:
        nows.append(nows[-1] + data.draw(LATER))
    expected = end_of(history, nows=[NOON] * len(history))
    assert expected == end_of(told, nows=nows, with_housekeeping=data.draw(st.booleans()))


@given(histories(INSTANTS.filter(bool)))
def test_the_end_is_the_last_outcome_at_the_earliest_instants(history):
    state, sent_at, delivered_at, _ = end_of(history, nows=[NOON] * len(history))
    told = [(report.outcome, max(TEN, report.at)) for report in history]
    assert history[-1].outcome == state
    assert min((at for outcome, at in told if outcome in {"sent", "delivered", "complained"}), default=None) == sent_at
    assert min((at for outcome, at in told if outcome in {"delivered", "complained"}), default=None) == delivered_at


@given(histories(), st.lists(st.integers(1, 5)))
def test_one_batch_or_many_makes_no_difference(history, sizes):
    alone, together = Sends(open_stores("memory:")), Sends(open_stores("memory:"))
    alone.allow()
    together.allow()
    for report in history:
        alone.outcomes.report([report], now=NOON)
    left = list(history)
    for size in [*sizes, len(history)]:
        batch, left = left[:size], left[size:]
        together.outcomes.report(batch, now=NOON)
    assert (alone.kept(), alone.used(), alone.entries()) == (together.kept(), together.used(), together.entries())


@given(st.lists(st.tuples(st.sampled_from(get_args(Outcome)), INSTANTS), max_size=8))
def test_whatever_is_told_the_slots_are_what_the_decision_says_and_a_refusal_changes_nothing(told):
    sends = Sends(open_stores("memory:"))
    sends.allow()
    for outcome, at in told:
        before = (sends.kept(), sends.used(), sends.entries())
        result = sends.report(outcome, at)
        if isinstance(result, ImpossibleOutcomeError):
            assert before == (sends.kept(), sends.used(), sends.entries())
            assert (result.state, result.outcome) == (before[0].state, outcome)
        else:
            assert result == sends.kept().state
        assert used_by(sends.kept()) == sends.used()


def used_by(decision) -> dict[str, Usage]:
    """What counts where there is nothing but this one decision as it is."""
    alone = Sends(open_stores("memory:"))
    holding = decision.holding()
    if holding is not None:
        run(alone.transactor, lambda session: session.caps.reserve([Reservation(holding=holding)], TEN))
    return alone.used()

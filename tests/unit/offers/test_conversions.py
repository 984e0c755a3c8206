from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.errors import CandidateError, ConflictError, GoneError
from guardrails.offers.conversions import (
    KeptConversion,
    StepDone,
    StepReport,
    refuse_opening,
    refuse_redeeming,
    settle,
    take_step,
)
from stores import instant

OPENED, ENDS = instant(10), instant(10, 5)
SECOND = timedelta(seconds=1)


def session(*done: str, **changes) -> KeptConversion:
    """A session in which so many steps were done, one a second."""
    fields = {
        "id": "k-1",
        "decision_id": "d-1",
        "offer": "upgrade",
        "recipient": "r-1",
        "body_hash": b"",
        "declared": ("view", "confirm", "pay"),
        "opened_at": OPENED,
        "ends_at": ENDS,
        "done": tuple(StepDone(step, OPENED + place * SECOND) for place, step in enumerate(done, 1)),
    }
    return KeptConversion(**(fields | changes))


def converted(**changes) -> KeptConversion:
    return session("view", "confirm", "pay", converted_at=OPENED + 3 * SECOND, **changes)


def code(refusal) -> str:
    assert isinstance(refusal, CandidateError)
    return refusal.code


# --- opening


def test_a_token_without_sessions_or_with_ended_ones_only_opens_another():
    assert refuse_opening((), OPENED) is None
    assert refuse_opening((session(), session("view")), ENDS) is None


def test_a_second_tab_is_refused_until_the_first_ends():
    refusal = refuse_opening((session(),), ENDS - timedelta(microseconds=1))
    assert (type(refusal), code(refusal)) == (ConflictError, "conversion.second_tab")
    assert str(refusal) == "conversion `k-1` of this token is open until 2026-12-01T10:05:00+00:00"


def test_what_is_converted_is_not_opened_again():
    assert code(refuse_opening((session(), converted()), ENDS + timedelta(days=9))) == "conversion.done"


# --- steps


def test_steps_are_done_in_turn_and_convert_nothing():
    kept = session()
    for place, step in enumerate(kept.declared, 1):
        kept = take_step(kept, StepReport(step, place if place % 2 else None), OPENED + place * SECOND)
    assert session("view", "confirm", "pay") == kept
    assert kept.state(ENDS - SECOND) == "open"
    assert kept.state(ENDS) == "ended"


@pytest.mark.parametrize(
    ("done", "report"),
    [
        (("view",), StepReport("view")),
        (("view",), StepReport("view", 1)),
        (("view", "confirm"), StepReport("view", 1)),
        (("view", "confirm", "pay"), StepReport("pay")),
        (("view", "confirm", "pay"), StepReport("confirm", 2)),
    ],
)
def test_a_step_reported_again_changes_nothing_even_when_it_is_late(done, report):
    kept = session(*done)
    assert take_step(kept, report, ENDS + timedelta(days=1)) is kept


@pytest.mark.parametrize(
    ("done", "report", "wanted"),
    [
        ((), StepReport("confirm"), "conversion.out_of_order"),
        ((), StepReport("confirm", 1), "conversion.out_of_order"),
        ((), StepReport("view", 2), "conversion.out_of_order"),
        (("view", "confirm"), StepReport("view"), "conversion.out_of_order"),  # back again is a step more
        (("view",), StepReport("view", 2), "conversion.out_of_order"),
        (("view", "confirm", "pay"), StepReport("view", 3), "conversion.out_of_order"),
        ((), StepReport("share"), "conversion.unknown_step"),
        (("view",), StepReport("share", 1), "conversion.unknown_step"),
        (("view", "confirm", "pay"), StepReport("share"), "conversion.too_many_steps"),
        (("view", "confirm", "pay"), StepReport("pay", 4), "conversion.too_many_steps"),
        (("view", "confirm", "pay"), StepReport("view"), "conversion.too_many_steps"),
        ((), StepReport("view", 4), "conversion.too_many_steps"),
    ],
)
def test_any_other_step_is_refused_by_its_code(done, report, wanted):
    refusal = take_step(session(*done), report, OPENED + SECOND)
    assert (type(refusal), code(refusal)) == (ConflictError, wanted)


def test_a_late_step_is_refused_whatever_it_is():
    refusal = take_step(session(), StepReport("view"), ENDS)
    assert (type(refusal), code(refusal)) == (GoneError, "conversion.late")
    assert isinstance(take_step(session(), StepReport("view"), ENDS - timedelta(microseconds=1)), KeptConversion)


def test_what_was_converted_before_its_steps_were_reported_takes_no_more_of_them():
    kept = settle(session(), OPENED + SECOND)
    assert code(take_step(kept, StepReport("view"), OPENED + 2 * SECOND)) == "conversion.done"


def test_a_clock_that_is_behind_brings_no_steps_out_of_order():
    kept = take_step(session(), StepReport("view"), OPENED - SECOND)
    assert kept.done == (StepDone("view", OPENED),)
    kept = take_step(session("view"), StepReport("confirm"), OPENED)
    assert kept.done[1] == StepDone("confirm", OPENED + SECOND)


# --- redemption


@pytest.mark.parametrize("done", [("view", "confirm"), ("view", "confirm", "pay")])
def test_a_token_is_redeemed_once_all_steps_but_the_payment_are_done(done):
    assert refuse_redeeming(session(*done), "d-1", ENDS - SECOND) is None


@pytest.mark.parametrize(
    ("kept", "wanted"),
    [
        (session("view"), "conversion.out_of_order"),
        (session("view", declared=("view", "confirm")), "conversion.out_of_order"),
        (session("view", "confirm", decision_id="d-2"), "conversion.other_token"),
        (converted(), "conversion.done"),
    ],
)
def test_a_token_is_not_redeemed_within_another_session_nor_before_its_turn(kept, wanted):
    assert code(refuse_redeeming(kept, "d-1", ENDS - SECOND)) == wanted


def test_a_token_is_not_redeemed_within_a_session_that_ended():
    assert code(refuse_redeeming(session("view", "confirm"), "d-1", ENDS)) == "conversion.late"


def test_settling_converts_however_late_and_is_the_step_of_paying_where_that_is_next():
    late = ENDS + timedelta(hours=1)
    paying = session("view", "confirm")
    assert settle(paying, late) == msgspec.structs.replace(
        paying, done=(*paying.done, StepDone("pay", late)), converted_at=late
    )
    paid = session("view", "confirm", "pay")
    assert settle(paid, late) == msgspec.structs.replace(paid, converted_at=late)


def test_settling_again_changes_nothing():
    assert settle(converted(), ENDS) == converted()

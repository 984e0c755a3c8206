"""What a redemption makes of results that a payment service gives to several who ask at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.offers.redemptions import Redemption, apply
from guardrails.payments.port import PaymentResult

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
RESERVED = Redemption(
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


def result(step, state, **changes):
    return PaymentResult(step=step, state=state, **changes)


@pytest.mark.parametrize("state", ["pending", "unknown"])
def test_what_has_no_outcome_yet_is_asked_for_again_with_one_attempt_more(state):
    after = apply(RESERVED, result("authorise", state, retry_after_seconds=7.0), NOW)
    assert after == msgspec.structs.replace(RESERVED, attempts=1, due_at=NOW + timedelta(seconds=7))


def test_what_is_given_up_is_voided_before_anything_is_let_go_of():
    after = apply(RESERVED, result("authorise", "abandoned"), NOW)
    assert (after.state, after.step, after.is_holding) == ("reserved", "void", True)


def test_who_gives_an_authorisation_up_that_another_was_given_changes_nothing():
    authorised = apply(RESERVED, result("authorise", "done"), NOW)
    assert apply(authorised, result("authorise", "abandoned"), NOW) is authorised


def test_who_gives_a_capture_up_has_it_voided():
    authorised = apply(RESERVED, result("authorise", "done"), NOW)
    assert apply(authorised, result("capture", "abandoned"), NOW).step == "void"

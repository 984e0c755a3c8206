from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.payments.port import Payment, PaymentResult
from guardrails.payments.provider import NoAnswerError, Patience, Provider

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
STANDINGS = ("none", "authorising", "authorised", "captured", "declined", "voided", "refunded", "charged_back")
STEPS = ("authorise", "capture", "void", "refund")
PATIENCE = Patience(first_seconds=1.0, most_seconds=60.0, authorise_attempts=3)


class Service:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    def __call__(self, id_, body):
        asked = json.loads(body)
        self.asked.append((id_, asked["type"]))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return answer
        whole = {"payment": "r.1", "amount_minor": 250, "currency": "EUR", "reference": "ref-1"} | answer
        return json.dumps(whole).encode()


def provider(service, *, chance=0.0):
    ids = count(1)
    return Provider(
        service, patience=PATIENCE, clock=lambda: NOW, new_id=lambda: f"n{next(ids)}", chance=lambda: chance
    )


def payment(step="authorise", **changes):
    return Payment(
        **(
            {
                "id": "r.1",
                "offer": "upgrade",
                "recipient": "r-1",
                "sponsor": "acme",
                "amount_minor": 250,
                "currency": "EUR",
                "step": step,
            }
            | changes
        )
    )


def done(step, state="done", **changes):
    return PaymentResult(**({"state": state, "step": step, "reference": "ref-1"} | changes))


def wait(step, state, seconds):
    return PaymentResult(state=state, step=step, retry_after_seconds=seconds)


def test_nothing_is_sent_before_the_reservation_is_durable():
    service = Service()
    assert provider(service).begin(None, payment(), NOW) == wait("authorise", "pending", 0.0)
    assert provider(service).take_back(None, payment("refund"), NOW) == wait("refund", "pending", 0.0)
    assert service.asked == []


# What each standing means for each step; None: it is asked for again later.
MEANS = {
    "authorise": [
        None,
        ("authorise", "pending"),
        ("authorise", "done"),
        ("capture", "done"),
        ("authorise", "declined"),
        ("authorise", "declined"),
        ("capture", "done"),
        ("capture", "done"),
    ],
    "capture": [
        None,
        ("capture", "pending"),
        None,
        ("capture", "done"),
        ("capture", "declined"),
        ("capture", "declined"),
        ("capture", "done"),
        ("capture", "done"),
    ],
    "void": [
        None,
        None,
        None,
        ("capture", "done"),
        ("void", "done"),
        ("void", "done"),
        ("capture", "done"),
        ("capture", "done"),
    ],
    "refund": [None, None, None, None, None, None, ("refund", "done"), ("chargeback", "done")],
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("standing", STANDINGS)
def test_what_a_standing_means_for_a_step(step, standing):
    means = MEANS[step][STANDINGS.index(standing)]
    given = provider(Service({"standing": standing})).carry_on(payment(step))
    if means is None:
        assert given == wait(step, "unknown", 0.5)
    elif means[1] == "pending":
        assert given == wait(step, "pending", 0.5)
    else:
        assert given == done(*means)


def test_an_authorisation_that_will_not_be_captured_is_given_up_and_voided():
    service = Service({"standing": "authorised", "reason": "payment.expired"})
    assert provider(service).carry_on(payment("capture")) == done("capture", "abandoned", reason="payment.expired")


def test_a_refund_that_is_refused_leaves_the_payment_as_it_is():
    service = Service({"standing": "captured", "reason": "payment.too_late"})
    assert provider(service).carry_back(payment("refund")) == done("refund", "declined", reason="payment.too_late")


def test_a_step_has_one_id_however_often_it_is_asked_for_and_a_look_never_the_same():
    service = Service({"standing": "none"}, {"standing": "none"}, {"standing": "authorised"})
    carrying = provider(service)
    assert carrying.carry_on(payment()) == wait("authorise", "unknown", 0.5)
    assert carrying.carry_on(payment(attempts=1)) == done("authorise")
    assert service.asked == [
        ("r%2E1:authorise", "payment.authorise"),
        ("r%2E1:look:n1", "payment.look"),
        ("r%2E1:authorise", "payment.authorise"),
    ]


def test_a_refund_that_is_asked_for_anew_is_another_request():
    service = Service(*[{"standing": "captured", "reason": "payment.declined"}, {"standing": "refunded"}])
    carrying = provider(service)
    assert carrying.carry_back(payment("refund", refunds=1)).state == "declined"
    assert carrying.carry_back(payment("refund", refunds=2)) == done("refund")
    assert [id_ for id_, _ in service.asked] == ["r%2E1:refund", "r%2E1:refund:2"]


def test_what_turns_out_to_be_done_is_not_asked_for_again():
    service = Service({"standing": "captured"})
    assert provider(service).carry_on(payment("capture", attempts=5)) == done("capture")
    assert [what for _, what in service.asked] == ["payment.look"]


@pytest.mark.parametrize(
    "answer",
    [
        NoAnswerError("TimeoutError"),
        b"",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        {"standing": "paid"},
        {"standing": "authorised", "payment": "r.2"},
        {"standing": "authorised", "amount_minor": 249},
        {"standing": "captured", "currency": "JPY"},
        {"standing": "captured", "amount_minor": None},
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_what_says_nothing_of_this_payment_leaves_its_outcome_unknown(step, answer):
    assert provider(Service(answer)).carry_on(payment(step)) == wait(step, "unknown", 0.5)


@pytest.mark.parametrize("standing", ["declined", "voided"])
def test_where_no_money_is_the_amount_need_not_be_said(standing):
    service = Service({"standing": standing, "amount_minor": None, "currency": None})
    assert provider(service).carry_on(payment("void")) == done("void")


def test_a_look_without_an_answer_asks_for_nothing():
    service = Service(NoAnswerError("TimeoutError"))
    assert provider(service).carry_on(payment("capture", attempts=1)).state == "unknown"
    assert len(service.asked) == 1


def test_an_authorisation_without_an_outcome_is_given_up_after_so_many_tries():
    abandoned = PaymentResult(state="abandoned", step="authorise", reason="payment.unanswered")
    assert provider(Service(NoAnswerError("x"))).carry_on(payment(attempts=1)).state == "unknown"
    assert provider(Service(NoAnswerError("x"))).carry_on(payment(attempts=2)) == abandoned
    assert provider(Service({"standing": "authorising"})).carry_on(payment(attempts=2)) == abandoned


@pytest.mark.parametrize("step", ["capture", "void", "refund"])
def test_money_that_may_have_moved_is_never_given_up(step):
    given = provider(Service(NoAnswerError("x"))).carry_on(payment(step, attempts=10_000))
    assert given == wait(step, "unknown", 30.0)


@given(attempts=st.integers(0, 10**6), chance=st.floats(0, 1))
def test_a_pause_doubles_up_to_the_most_and_half_of_it_is_chance(attempts, chance):
    whole = min(60.0, 2.0 ** min(attempts, 10))
    assert PATIENCE.pause_seconds(attempts, chance) == pytest.approx(whole / 2 + whole / 2 * chance)


@pytest.mark.parametrize(("asked", "waits"), [(None, 0.5), (0.1, 0.5), (20.0, 20.0), (1e9, 3600.0)])
def test_a_service_that_asks_for_time_gets_it_within_bounds(asked, waits):
    service = Service(NoAnswerError("429", retry_after_seconds=asked))
    assert provider(service).carry_on(payment()) == wait("authorise", "unknown", waits)


def test_all_payments_are_listed_page_by_page():
    page = {"payments": [{"payment": "a", "standing": "voided"}], "next_after": "a"}
    service = Service(json.dumps(page).encode(), NoAnswerError("x"))
    listing = provider(service)
    assert [each.payment for each in listing.listed(None).payments] == ["a"]
    with pytest.raises(NoAnswerError):
        listing.listed("a")
    assert service.asked == [("list:n1", "payment.list"), ("list:n2", "payment.list")]


def test_a_payment_is_looked_at_whatever_its_amount():
    service = Service({"standing": "captured", "amount_minor": 1}, {"standing": "captured", "payment": "r.2"})
    looking = provider(service)
    assert looking.look("r.1").amount_minor == 1
    with pytest.raises(NoAnswerError, match="another payment"):
        looking.look("r.1")

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from guardrails.errors import DependencyError
from guardrails.payments.events import KEEP, PaymentEvent, PaymentEventData, PaymentEvents
from guardrails.payments.port import PaymentResult, ToldPayment
from stores import instant

NOW = instant(10)


class Payments:
    """Knows the payments `r-...`, and keeps what it was told."""

    def __init__(self):
        self.told = []

    def take(self, session, told, now):
        self.told += [(each.id, each.result.step, each.result.state, now) for each in told]
        return [each.id.startswith("r-") for each in told]


@pytest.fixture
def payments():
    return Payments()


@pytest.fixture
def events(transactor, payments):
    return PaymentEvents(transactor, payments, clock=lambda: NOW)


def event(type_="payment.captured", payment="r-1"):
    data = PaymentEventData(payment=payment, amount_minor=250, currency="EUR", reference="ref-1", reason="why")
    return PaymentEvent(type=type_, timestamp=NOW, data=data)


def test_an_event_is_taken_once(events, payments):
    statuses = [events.take(id_, event()).status for id_ in ("e-1", "e-1", "e-2", "e-1")]
    assert statuses == ["taken", "repeated", "taken", "repeated"]
    assert payments.told == [("r-1", "capture", "done", NOW)] * 2


def test_an_event_is_told_with_its_amount_and_its_reason(transactor):
    told = []

    class Keeping:
        def take(self, session, each, now):
            told.extend(each)
            return [True]

    PaymentEvents(transactor, Keeping(), clock=lambda: NOW).take("e-1", event())
    result = PaymentResult(state="done", step="capture", reference="ref-1", reason="why")
    assert told == [ToldPayment(id="r-1", amount_minor=250, currency="EUR", result=result)]


@pytest.mark.parametrize(
    ("type_", "means"),
    [
        ("payment.authorised", [("authorise", "done")]),
        ("payment.declined", [("authorise", "declined")]),
        ("payment.captured", [("capture", "done")]),
        ("payment.voided", [("void", "done")]),
        ("payment.refunded", [("capture", "done"), ("refund", "done")]),
        ("payment.charged_back", [("capture", "done"), ("chargeback", "done")]),
    ],
)
def test_what_an_event_means(events, payments, type_, means):
    assert events.take("e-1", event(type_)).status == "taken"
    assert payments.told == [("r-1", step, state, NOW) for step, state in means]


def test_a_payment_that_is_not_ours_is_told_so_and_not_taken_again(events, payments):
    assert [events.take("e-1", event(payment="x")).status for _ in range(2)] == ["unknown", "repeated"]
    assert len(payments.told) == 1


def test_an_event_whose_unit_failed_is_taken_when_it_is_told_again(transactor, payments):
    class Failing:
        def take(self, session, told, now):
            raise DependencyError("down", dependency="database")

    with pytest.raises(DependencyError):
        PaymentEvents(transactor, Failing(), clock=lambda: NOW).take("e-1", event())
    assert PaymentEvents(transactor, payments, clock=lambda: NOW).take("e-1", event()).status == "taken"


def test_of_many_that_tell_the_same_at_once_one_is_taken(events, payments):
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: events.take(f"e-{number % 4}", event()).status, range(64)))
    assert sorted(set(statuses)) == ["repeated", "taken"]
    assert statuses.count("taken") == 4
    assert len(payments.told) == 4


def test_one_group_may_hold_the_same_event_twice_and_several_instants(events, payments, do):
    from guardrails.payments.events import _Arrived, _told  # noqa: PLC0415 - a group, as the transactor makes it

    later = instant(11)
    group = [
        _Arrived("e-1", _told(event()), NOW),
        _Arrived("e-1", _told(event()), NOW),
        _Arrived("e-2", _told(event(payment="x")), later),
        _Arrived("e-3", _told(event("payment.refunded")), NOW),
    ]
    receipts = do(lambda session: events._take_group(session, group))
    assert [receipt.status for receipt in receipts] == ["taken", "repeated", "unknown", "taken"]
    assert payments.told == [
        ("r-1", "capture", "done", NOW),
        ("r-1", "capture", "done", NOW),
        ("r-1", "refund", "done", NOW),
        ("x", "capture", "done", later),
    ]


def test_events_are_forgotten_once_nobody_tells_them_again(events, payments):
    events.take("e-1", event(), now=NOW)
    events.take("e-2", event(), now=instant(11))
    assert events.step(NOW + KEEP) == 0
    assert events.step(instant(10, 30) + KEEP) == 1
    assert events.step(instant(10, 30) + KEEP) == 0
    assert [events.take(id_, event()).status for id_ in ("e-1", "e-2")] == ["taken", "repeated"]

from __future__ import annotations

import json
from datetime import UTC, datetime

import flask
import pytest

from guardrails.errors import CandidateError
from guardrails.payments.events import PaymentEvents
from guardrails.payments.standard_webhooks import WebhookSecrets
from guardrails.web.exchange import Exchange
from guardrails.web.payment_events import EXAMPLE, PaymentEventRoom
from guardrails.web.problems import Refusal
from stores import open_stores

NOW = datetime(2026, 12, 1, 9, 0, 3, tzinfo=UTC)
SECRETS = WebhookSecrets.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = json.dumps(EXAMPLE).encode()


class Payments:
    def __init__(self):
        self.told = []

    def take(self, session, told, now):
        self.told += told
        return [True] * len(told)


@pytest.fixture
def payments():
    return Payments()


@pytest.fixture
def tell(payments):
    transactor = open_stores("memory:")

    def tell(body=BODY, headers=None, *, signs=None, secrets=SECRETS, signer=SECRETS):
        signed = signer.sign("evt-1", body if signs is None else signs, now=NOW)
        sent = {"Content-Type": "application/json", **signed, **(headers or {})}
        app = flask.Flask("events")
        with app.test_request_context("/v1/payments/events", method="POST", data=body, headers=sent) as context:
            room = PaymentEventRoom(PaymentEvents(transactor, payments, clock=lambda: NOW), secrets, clock=lambda: NOW)
            return json.loads(room.receive(Exchange(context.request.environ)).body)

    yield tell
    transactor.close()


def test_an_event_that_is_signed_is_taken_once(tell, payments):
    assert [tell(), tell()] == [{"status": "taken"}, {"status": "repeated"}]
    (told,) = payments.told
    assert (told.id, told.amount_minor, told.currency, told.result.step) == ("red-7", 250, "EUR", "capture")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "invoice.paid"},
        {"type": "payment.dispute_opened", "timestamp": 5, "data": {"payment": "red-7", "dispute": "d-1"}},
        {"type": "x" * 500, "data": []},
    ],
)
def test_a_type_that_means_nothing_here_changes_nothing_whatever_it_says(tell, payments, event):
    body = json.dumps(event).encode()
    assert [tell(body), tell(body)] == [{"status": "unknown"}] * 2
    assert payments.told == []


def test_the_payment_service_s_own_words_are_taken_as_they_are(tell, payments):
    said = {"reference": "", "reason": "no money\nleft " * 50}
    assert tell(json.dumps(EXAMPLE | {"data": EXAMPLE["data"] | said}).encode()) == {"status": "taken"}
    (told,) = payments.told
    assert (told.result.reference, told.result.reason) == ("", said["reason"])


@pytest.mark.parametrize("event", [[], {}, {"type": 5}, {"type": "payment.captured"}])
def test_what_is_no_event_is_refused(tell, payments, event):
    with pytest.raises(CandidateError):
        tell(json.dumps(event).encode())
    assert payments.told == []


@pytest.mark.parametrize(
    "changes",
    [
        {"body": BODY.replace(b"250", b"251"), "signs": BODY},
        {"headers": {"webhook-id": "evt-2"}},
        {"headers": {"webhook-timestamp": "1"}},
        {"headers": {"webhook-signature": "v1,AAAA"}},
        {"signer": WebhookSecrets((bytes(24),))},
    ],
)
def test_what_is_not_signed_is_refused_and_changes_nothing(tell, payments, changes):
    with pytest.raises(Refusal) as refused:
        tell(**changes)
    assert refused.value.kind == "unsigned"
    assert payments.told == []


def test_where_no_payment_service_is_set_up_there_is_nothing_to_tell(tell):
    with pytest.raises(Refusal) as refused:
        tell(secrets=None)
    assert refused.value.kind == "not-found"


def test_more_than_an_event_takes_is_refused_before_it_is_read(tell):
    with pytest.raises(Refusal) as refused:
        tell(b"x" * 65_537, {})
    assert refused.value.kind == "too-large"

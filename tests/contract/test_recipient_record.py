"""A recipient's whole record as one document, on every store."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta

import msgspec
import pytest

from conversions import offer, token_by
from guardrails.attribution.store import StoredRevenue
from guardrails.attribution.values import Revenue
from guardrails.ledger.values import Amount, TopUpRequest
from guardrails.offers.conversions import ConversionRequest, KeptConversion
from guardrails.offers.redemptions import Redemption
from guardrails.preferences import PreferenceRequest
from guardrails.recipient_record import RecipientRecord, record_of
from route import NOW, Route, candidate
from stores import run


@pytest.fixture
def route(transactor):
    with closing(Route(transactor)) as route:
        yield route


def live(route, recipient):
    """Somebody who consents, chooses and is sent something; returns the decision."""
    route.grant(recipient)
    route.application.preferences.set(recipient, PreferenceRequest(toggles={"sponsored": True}), now=NOW)
    (answer,) = route.decide(candidate(f"c-{recipient}", recipient={"id": recipient}))
    route.report(answer.decision.decision_id, "sent")
    pay(route, recipient, answer.decision.decision_id)
    return answer.decision


def pay(route, recipient, decision_id):
    """They convert and pay from their wallet, and something is earned by it."""
    request = TopUpRequest(id=f"top-{recipient}", recipient=recipient, amount_minor=2500, currency="EUR")
    route.application.ledger.top_up(request, now=NOW)
    said = {"offer": "upgrade", "recipient": recipient, "decision_id": decision_id, "body_hash": b"h"}
    money = {"amount_minor": 1900, "currency": "EUR", "sponsor": "acme", "recorded_at": NOW}
    conversion = KeptConversion(
        id=f"k-{recipient}", declared=("view",), opened_at=NOW, ends_at=NOW + timedelta(minutes=5), **said
    )
    redemption = Redemption(id=f"x-{recipient}", state="settled", method="wallet", settled_at=NOW, **said, **money)
    revenue = Revenue(id=f"rev-{recipient}", recipient=recipient, at=NOW, audit_index=1, model="last_touch", **money)

    def keep(session):
        session.conversions.insert([conversion])
        session.redemptions.insert([redemption])
        session.revenues.append([StoredRevenue(revenue, b"h")])

    run(route.application.transactor, keep)


def record(route, recipient):
    entries = route.application.audit.entries()
    text = b"".join(record_of(route.application, recipient, now=NOW, entries=entries))
    return msgspec.json.decode(text, type=RecipientRecord), text


def test_a_record_is_all_of_one_recipient_and_nothing_of_another(route):
    live(route, "r/1")
    decision = live(route, "r/2")
    told, text = record(route, "r/2")
    assert (told.recipient, told.as_of, b"r/1" in text) == ("r/2", NOW, False)
    (consent,) = told.consents
    assert (decision.consents, [each.record for each in told.standings]) == ((consent.id,), [consent.id])
    assert (told.preferences.toggles, [each.value for each in told.preference_events]) == ({"sponsored": True}, [True])
    assert [(each.policy, each.used) for each in told.usage.caps] == [("two-a-day", 1)]
    assert (told.balances, [each.id for each in told.transactions]) == (
        (Amount("EUR", 2500, "25.00"),),
        ["top_up:top-r/2"],
    )
    assert [each.id for each in (*told.conversions, *told.redemptions, *told.revenue)] == ["k-r/2", "x-r/2", "rev-r/2"]
    assert [each.state for each in (*told.conversions, *told.redemptions)] == ["open", "settled"]
    (decided,), (outcome,) = told.decisions, told.outcomes
    assert (decided.state, json.loads(bytes(decided.entry))["decision"]["consents"]) == ("sent", [consent.id])
    assert json.loads(bytes(outcome.entry))["decision_id"] == decision.decision_id


def test_of_nobody_it_is_empty_and_whole(route):
    live(route, "r-1")
    told, _ = record(route, "nobody")
    empty = set(RecipientRecord.__struct_fields__) - {"recipient", "as_of", "preferences", "usage"}
    assert {name: getattr(told, name) for name in empty} == dict.fromkeys(empty, ())


def test_what_the_log_holds_of_their_conversions_is_told(route):
    application = route.application
    run(application.transactor, lambda session: session.offers.insert([offer()]))
    for recipient in ("r-1", "r-2"):
        route.grant(recipient)
        (answer,) = route.decide(candidate(f"c-{recipient}", recipient={"id": recipient}))
        decision_id = answer.decision.decision_id
        paid = token_by(
            application.tokens(), decision_id, offer(), recipient=recipient, expires_at=NOW + timedelta(hours=1)
        )
        application.conversions.open(
            ConversionRequest(paid, recipient, f"s-{recipient}"), now=NOW + timedelta(minutes=6)
        )
    told, _ = record(route, "r-2")
    (event,) = (json.loads(bytes(each.entry)) for each in told.events)
    assert (event["event"], event["body"]["id"]) == ("conversion.opened", "s-r-2")


def test_a_wallet_is_told_whole_and_oldest_first(route):
    for number in range(205):
        request = TopUpRequest(id=f"top-{number}", recipient="r-1", amount_minor=1, currency="JPY")
        route.application.ledger.top_up(request, now=NOW)
    told, _ = record(route, "r-1")
    assert [each.id for each in told.transactions] == [f"top_up:top-{number}" for number in range(205)]
    assert told.balances == (Amount("JPY", 205, "205"),)


def test_more_than_is_looked_up_together_is_told_in_the_order_of_the_log(route):
    route.decide(*(candidate(f"c-{number}") for number in range(600)), now=NOW - timedelta(days=1))
    told, _ = record(route, "r-1")
    assert [each.audit_index for each in told.decisions] == list(range(600))

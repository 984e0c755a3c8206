"""From the terms to the money, by HTTP alone: an offer is registered, decided, converted, redeemed, accounted for."""

from __future__ import annotations

import pytest

from guardrails.audit import MemorySpool
from guardrails.bootstrap import Outside, build_application, compiler, utc_now
from guardrails.decide.active_policies import ActivePolicies
from guardrails.policyfile.loader import load_policy_files
from guardrails.settings import Settings
from guardrails.signing import SigningKeys
from guardrails.stores import open_stores
from guardrails.web import create_app
from guardrails.web.metrics import Metrics

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: three-steps, kind: conversion_steps, applies_to: {lane: monetized}, max: 3}
"""
TERMS = {
    "id": "upgrade",
    "title": "Sea view",
    "amount_minor": 1900,
    "currency": "EUR",
    "sponsor": {"id": "hotel"},
    "commission_bps": 1000,
    "benefit": {"share_bps": 5000, "text": "Half of what we earn is yours"},
}
CANDIDATE = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "anna"},
    "content": {"class": "sponsored"},
    "offer": {"id": "upgrade"},
}


@pytest.fixture
def client():
    compile_set = compiler("native")
    policies = ActivePolicies(None, load_policy_files({"p.yaml": POLICIES}), compile_set=compile_set, clock=utc_now)
    keys = SigningKeys.generate(utc_now())
    application = build_application(
        policies,
        transactor=open_stores("memory:"),
        spool=MemorySpool(),
        clock=utc_now,
        outside=Outside(keys=lambda: keys),
    )
    made = create_app(application, Settings(), Metrics()).test_client()
    made.environ_base["HTTP_HOST"] = "127.0.0.1:8080"
    yield made
    application.close()


def posted(client, path, **body):
    answer = client.post(path, json=body)
    assert answer.status_code in {200, 201}, answer.text
    return answer.get_json()


def test_what_an_allow_carries_is_redeemed_and_its_revenue_finds_back(client):
    posted(client, "/v1/offers", **TERMS)
    posted(client, "/v1/wallet/top-ups", id="t-1", recipient="anna", amount_minor=5000, currency="EUR")
    decision = posted(client, "/v1/decisions", **CANDIDATE)
    assert decision["effect"] == "allow", decision
    tokens = {duty["type"]: duty["values"]["token"] for duty in decision["obligations"]}
    posted(client, f"/v1/decisions/{decision['decision_id']}/outcome", outcome="sent")
    session = posted(client, "/v1/conversions", token=tokens["carry_offer_token"], recipient="anna")
    for step in ("view", "confirm", "pay"):
        posted(client, f"/v1/conversions/{session['id']}/steps", step=step)
    redemption = posted(
        client,
        f"/v1/offers/{tokens['carry_offer_token']}/redeem",
        id="order-1",
        recipient="anna",
        conversion=session["id"],
    )
    assert (redemption["state"], redemption["decision_id"]) == ("settled", decision["decision_id"])
    more = posted(
        client,
        "/v1/revenue",
        id="more-1",
        amount_minor=100,
        currency="EUR",
        attribution=tokens["carry_attribution"],
    )
    assert [part["decision_id"] for part in more["parts"]] == [decision["decision_id"]]
    (balance,) = client.get("/v1/recipients/anna/wallet").get_json()["balances"]
    assert balance["amount_minor"] == 5000 - 1900 + 95 + 50  # half of the commission, and half of what came later

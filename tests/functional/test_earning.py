"""From an offer to the statements of its month, over HTTP, with the tokens that the service signs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service import CANDIDATE

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: nothing-by-voice, kind: rule, deny_when: {channel: voice}, message: nobody is called}
"""
OFFER = {
    "id": "upgrade",
    "title": "Same-day upgrade",
    "amount_minor": 10_000,
    "currency": "EUR",
    "sponsor": {"id": "acme-air"},
    "affiliate": {"id": "blog", "share_bps": 1000},
    "benefit": {"share_bps": 2000, "form": "credits", "text": "You get 20 % of what we earn as credits."},
    "commission_bps": 500,
    "session": "optional",
}
SPONSORED = CANDIDATE | {
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "anna"},
    "content": {"class": "sponsored"},
    "offer": {"id": "upgrade"},
    "campaign": {"id": "winter"},
}


@pytest.fixture
def service(start, tmp_path):
    path = tmp_path / "policies.yaml"
    path.write_text(POLICIES, encoding="utf-8")
    service = start(policies=path)
    top_up = {"id": "gift", "recipient": "anna", "amount_minor": 20_000, "currency": "EUR"}
    assert service.send("POST", "/v1/offers", OFFER).status == 201
    assert service.send("POST", "/v1/wallet/top-ups", top_up).status == 201
    return service


def tokens_of(service, number):
    """The tokens of an allow, by the duty that carries them."""
    decision = service.send("POST", "/v1/decisions", SPONSORED | {"id": f"c-{number}"}).json()
    assert decision["effect"] == "allow", decision
    return {each["type"]: each["values"].get("token") for each in decision["obligations"]} | {
        "decision_id": decision["decision_id"]
    }


def test_what_is_redeemed_and_reported_is_attributed_shared_and_settled(service):
    carried = tokens_of(service, 1)
    asked = {"recipient": "anna", "id": "red"}
    redeemed = service.send("POST", f"/v1/offers/{carried['carry_offer_token']}/redeem", asked)
    assert redeemed.json()["state"] == "settled", redeemed.json()
    commission = service.send("GET", "/v1/revenue/redemption:red").json()
    (part,) = commission["parts"]
    assert (commission["amount_minor"], part["decision_id"]) == (500, carried["decision_id"])
    assert (part["benefit_minor"], part["affiliate_minor"], part["platform_minor"]) == (100, 50, 350)
    said = {"id": "order", "amount_minor": 1000, "currency": "EUR", "attribution": carried["carry_attribution"]}
    (reported,) = service.send("POST", "/v1/revenue", said).json()["parts"]
    assert (reported["benefit_minor"], reported["benefit_form"], reported["affiliate"]) == (200, "credits", "blog")
    month = datetime.now(UTC).strftime("%Y-%m")  # noqa: TID251 - what the service takes for now
    settlement = service.send("GET", f"/v1/settlements/{month}").json()
    totals = {(each["kind"], each["party"]): each["total_minor"] for each in settlement["statements"]}
    assert totals == {
        ("sponsor", "acme-air"): 10_000 - 500 - 1000,
        ("affiliate", "blog"): 150,
        ("benefit", "upgrade"): 300,
    }
    assert settlement["differences"] == []


def test_every_line_tells_its_decision_campaign_offer_and_the_entries_that_prove_it(service):
    carried = tokens_of(service, 1)
    asked = {"recipient": "anna", "id": "red"}
    service.send("POST", f"/v1/offers/{carried['carry_offer_token']}/redeem", asked)
    said = {"id": "order", "amount_minor": 1000, "currency": "EUR", "attribution": carried["carry_attribution"]}
    service.send("POST", "/v1/revenue", said)
    assert service.send("POST", "/v1/redemptions/red/refund", {"kind": "chargeback"}).json()["state"] == "charged_back"
    month = datetime.now(UTC).strftime("%Y-%m")  # noqa: TID251 - what the service takes for now
    statements = service.send("GET", f"/v1/settlements/{month}").json()["statements"]
    lines = [line for each in statements for line in each["lines"]]
    assert {line["what"] for line in lines} == {"payment", "chargeback", "revenue", "share", "benefit"}
    assert {(line["decision_id"], line["campaign"], line["offer"]) for line in lines} == {
        (carried["decision_id"], "winter", "upgrade")
    }
    assert len({line["decision_audit_index"] for line in lines}) == 1
    assert all(isinstance(line["audit_index"], int) for line in lines)
    proofs = {line["reference"]: line["audit_index"] for line in lines if "reverses" not in line}
    taken_back = [line for line in lines if "reverses" in line]
    assert len(taken_back) == 4
    assert all(line["reverses_audit_index"] == proofs[line["reverses"]] for line in taken_back)


def test_a_token_that_was_altered_is_refused_and_books_nothing(service):
    token = tokens_of(service, 1)["carry_attribution"]
    head, payload, signature = token.split(".")
    altered = f"{head}.{payload[:-2]}{'A' if payload[-2] != 'A' else 'B'}{payload[-1]}.{signature}"
    said = {"id": "order", "amount_minor": 1000, "currency": "EUR", "attribution": altered}
    refused = service.send("POST", "/v1/revenue", said)
    assert (refused.status, refused.json()["code"]) == (422, "token.invalid")
    assert refused.json()["errors"][0]["pointer"] == "/attribution"
    assert service.send("GET", "/v1/revenue/order").status == 404


def test_a_refund_leaves_nothing_behind_but_what_was_topped_up(service):
    token = tokens_of(service, 1)["carry_offer_token"]
    service.send("POST", f"/v1/offers/{token}/redeem", {"recipient": "anna", "id": "red"})
    assert service.send("POST", "/v1/redemptions/red/refund", {"kind": "refund"}).json()["state"] == "refunded"
    assert service.send("GET", "/v1/recipients/anna/wallet").json()["balances"][0]["amount_minor"] == 20_000
    assert service.send("GET", "/v1/revenue/redemption:red").json()["reversed_by"] == "redemption:red:refunded"


def test_what_redemptions_earn_and_give_back_is_counted_as_revenue(service):
    token = tokens_of(service, 1)["carry_offer_token"]
    redeem = ("POST", f"/v1/offers/{token}/redeem", {"recipient": "anna", "id": "red"})
    for _ in range(2):
        service.send(*redeem)
    for _ in range(2):
        service.send("POST", "/v1/redemptions/red/refund", {"kind": "refund"})
    metrics = service.send("GET", "/metrics").body.decode().splitlines()
    labels = 'attributed="yes",currency="EUR",source="redemption"'
    assert f"guardrails_revenue_minor_total{{{labels}}} 500.0" in metrics
    assert f"guardrails_revenue_reversed_minor_total{{{labels}}} 500.0" in metrics

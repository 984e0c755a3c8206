"""`/v1/offers` and `/v1/redemptions`: what they answer, what they refuse by which code, and what is counted."""

from __future__ import annotations

import hashlib

import jsonschema
import pytest

from guardrails.audit import MemorySpool
from guardrails.bootstrap import Outside, build_application, utc_now
from guardrails.decide.active_policies import ActivePolicies
from guardrails.settings import Key, Settings
from guardrails.signing import SigningKeys
from guardrails.stores import open_stores
from guardrails.web import create_app
from guardrails.web.metrics import Metrics
from guardrails.web.offers import EXAMPLE
from redeeming import NOW, Rig

KEYS = SigningKeys.generate(NOW)
OFFER = {"id": "upgrade", "title": "Sea view", "amount_minor": 1900, "currency": "EUR", "sponsor": {"id": "hotel"}}
WITHOUT_SESSION = {"session": "optional"}
AT = {"Replay-At": NOW.isoformat()}


@pytest.fixture
def make_service(compiled, log_lines):
    """A client of a service with these API keys, and what stands behind it."""
    opened = []

    def make(*keys):
        application = build_application(
            ActivePolicies(None, compiled.policy_set, compile_set=lambda _: compiled, clock=utc_now),
            transactor=open_stores("memory:"),
            spool=MemorySpool(),
            clock=utc_now,
            outside=Outside(keys=lambda: KEYS),
        )
        opened.append(application)
        client = create_app(application, Settings(keys=keys, replay_clock=True), Metrics()).test_client()
        client.environ_base["HTTP_HOST"] = "127.0.0.1:8080"
        return client, Rig(application.transactor, keys=KEYS)

    yield make
    for application in opened:
        application.close()


@pytest.fixture
def service(make_service):
    return make_service()


@pytest.fixture
def sold(service):
    """A service with an offer, a decision that carried it, and money in the wallet."""
    client, rig = service
    assert client.post("/v1/offers", json=OFFER | WITHOUT_SESSION | {"stock": 2}, headers=AT).status_code == 201
    rig.decided()
    rig.top_up()
    return client, rig


def redeem(client, token, **body):
    return client.post(f"/v1/offers/{token}/redeem", json={"recipient": "anna", **body}, headers=AT)


def code(answer) -> tuple[int, str | None]:
    return answer.status_code, answer.get_json().get("code")


# --- offers -----------------------------------------------------------------------------------------------------


def test_an_offer_is_registered_with_all_its_terms_and_how_it_stands(service):
    client, _ = service
    answer = client.post("/v1/offers", json=OFFER, headers=AT)
    assert answer.status_code == 201
    assert answer.get_json() == OFFER | {
        "payment": "wallet",
        "begins_at": None,
        "ends_at": None,
        "stock": None,
        "per_recipient": 1,
        "steps": ["view", "confirm", "pay"],
        "session": "required",
        "session_seconds": 300,
        "lifetime_seconds": 86_400,
        "campaign": None,
        "affiliate": None,
        "benefit": None,
        "commission_bps": 0,
        "status": "live",
        "left": None,
        "held": 0,
        "settled": 0,
        "recorded_at": "2026-12-01T10:05:00Z",
        "withdrawn_at": None,
    }
    assert client.get("/v1/offers/upgrade").get_json() == answer.get_json()
    assert client.post("/v1/offers", json=OFFER).get_json() == answer.get_json()


def test_other_terms_under_its_id_are_a_conflict(service):
    client, _ = service
    client.post("/v1/offers", json=OFFER)
    assert code(client.post("/v1/offers", json=OFFER | {"amount_minor": 1})) == (409, "offer.other_terms")


def test_an_offer_needs_what_it_is_paid_by(service):
    client, _ = service
    refused = client.post("/v1/offers", json=OFFER | {"payment": "provider"})
    assert refused.status_code == 422
    (error,) = refused.get_json()["errors"]
    assert error["pointer"] == "/payment"
    assert "GUARDRAILS_PAYMENTS_URL" in error["detail"]
    assert client.get("/v1/offers/upgrade").status_code == 404


def test_terms_that_make_no_sense_are_refused_in_their_places(service):
    client, _ = service
    answer = client.post("/v1/offers", json=OFFER | {"currency": "EURO", "stock": 0})
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.get_json()["errors"]] == ["/currency", "/stock"]


def test_stock_is_told_as_left_held_and_settled(sold):
    client, rig = sold
    redeem(client, rig.token())
    rig.do(lambda session: session.offers.take({"upgrade": 1}))  # as one that is being paid for has it
    told = client.get("/v1/offers/upgrade").get_json()
    assert [told[name] for name in ("status", "left", "held", "settled")] == ["sold_out", 0, 1, 1]


def test_offers_are_read_page_by_page(service):
    client, _ = service
    for id_ in ("b", "a", "c"):
        client.post("/v1/offers", json=OFFER | {"id": id_})

    def page(query):
        told = client.get(f"/v1/offers?{query}").get_json()
        return [each["id"] for each in told["offers"]], told["next_after"]

    assert page("") == (["a", "b", "c"], None)
    assert page("most=2") == (["a", "b"], "b")
    assert page("most=2&after=b") == (["c"], None)
    assert [client.get(f"/v1/offers?{each}").status_code for each in ("most=0", "most=501", "page=1")] == [422] * 3


def test_a_withdrawn_offer_stays_withdrawn(sold):
    client, rig = sold
    first = client.post("/v1/offers/upgrade/withdraw", headers=AT).get_json()
    assert (first["status"], first["withdrawn_at"]) == ("withdrawn", "2026-12-01T10:05:00Z")
    assert client.post("/v1/offers/upgrade/withdraw").get_json() == first
    assert code(redeem(client, rig.token())) == (410, "offer.withdrawn")
    assert client.post("/v1/offers/nothing/withdraw").status_code == 404
    assert client.get("/v1/offers/nothing").status_code == 404


# --- redemptions ------------------------------------------------------------------------------------------------


def test_a_token_is_redeemed_and_the_same_again_is_the_same(sold):
    client, rig = sold
    answer = redeem(client, rig.token(), id="order-1")
    assert answer.status_code == 201
    assert answer.get_json() == {
        "id": "order-1",
        "decision_id": "d-1",
        "offer": "upgrade",
        "recipient": "anna",
        "conversion": None,
        "state": "settled",
        "method": "wallet",
        "amount_minor": 1900,
        "currency": "EUR",
        "reference": None,
        "reason": None,
        "recorded_at": "2026-12-01T10:05:00Z",
        "authorised_at": None,
        "settled_at": "2026-12-01T10:05:00Z",
        "refunding_at": None,
        "refunded_at": None,
        "charged_back_at": None,
        "declined_at": None,
        "released_at": None,
    }
    again = redeem(client, rig.token(), id="order-1")
    assert (again.status_code, again.get_json()) == (200, answer.get_json())
    assert client.get("/v1/redemptions/order-1").get_json() == answer.get_json()
    assert client.get("/v1/redemptions/order-2").status_code == 404


def test_a_refund_takes_it_back_once(sold):
    client, rig = sold
    redeem(client, rig.token(), id="order-1")
    body = {"kind": "refund", "reason": "the room was taken"}
    first = client.post("/v1/redemptions/order-1/refund", json=body, headers=AT)
    assert (first.status_code, first.get_json()["state"]) == (200, "refunded")
    assert client.post("/v1/redemptions/order-1/refund", json=body).get_json() == first.get_json()
    assert code(client.post("/v1/redemptions/order-1/refund", json={"kind": "chargeback"})) == (
        409,
        "redemption.taken_back",
    )
    assert client.post("/v1/redemptions/order-9/refund", json={"kind": "refund"}).status_code == 404


def test_a_refund_says_what_it_is(sold):
    client, rig = sold
    redeem(client, rig.token(), id="order-1")
    refused = client.post("/v1/redemptions/order-1/refund", json={"reason": "the room was taken"})
    assert (refused.status_code, refused.get_json()["errors"]) == (
        422,
        [{"pointer": "/kind", "detail": "is required: one of `chargeback`, `refund`"}],
    )
    assert client.get("/v1/redemptions/order-1").get_json()["state"] == "settled"


def test_what_can_not_be_redeemed_is_refused_with_its_code_and_counted(sold):
    client, rig = sold
    token = rig.token()
    assert code(redeem(client, token[:-8] + "AAAAAAAA")) == (422, "token.invalid")
    assert code(redeem(client, token, recipient="ben")) == (409, "token.other_recipient")
    assert code(redeem(client, rig.token(expires_at_seconds=1))) == (410, "token.expired")
    assert code(redeem(client, rig.token(offer="nothing"))) == (404, "offer.unregistered")
    told = client.get("/metrics").text
    for reason in ("token.invalid", "token.other_recipient", "token.expired", "offer.unregistered"):
        assert f'guardrails_redemption_refusals_total{{reason="{reason}"}} 1.0' in told


def test_an_offer_is_redeemed_within_a_session_unless_its_terms_say_otherwise(service):
    client, rig = service
    client.post("/v1/offers", json=OFFER)
    rig.decided()
    rig.top_up()
    refused = redeem(client, rig.token())
    assert code(refused) == (409, "conversion.required")
    assert refused.get_json()["errors"][0]["pointer"] == "/conversion"
    assert 'guardrails_redemption_refusals_total{reason="conversion.required"} 1.0' in client.get("/metrics").text
    assert client.get("/v1/offers/upgrade").get_json()["settled"] == 0


def test_the_states_that_redemptions_enter_are_counted_by_method(sold):
    client, rig = sold
    redeem(client, rig.token(), id="order-1")
    redeem(client, rig.token(), id="order-1")
    client.post("/v1/redemptions/order-1/refund", json={"kind": "refund"})
    told = client.get("/metrics").text
    for state in ("settled", "refunded"):
        assert f'guardrails_redemptions_total{{method="wallet",session="no",state="{state}"}} 1.0' in told


def test_a_conversion_that_a_payment_completes_is_counted(sold):
    client, rig = sold
    token = rig.token()
    client.post("/v1/conversions", json={"id": "k-1", "token": token, "recipient": "anna"}, headers=AT)
    for name in ("view", "confirm"):
        client.post("/v1/conversions/k-1/steps", json={"step": name}, headers=AT)
    assert redeem(client, token, conversion="k-1").status_code == 201
    told = client.get("/metrics").text
    assert 'guardrails_conversion_steps_bucket{le="3.0"} 1.0' in told
    assert 'guardrails_redemptions_total{method="wallet",session="yes",state="settled"} 1.0' in told
    assert client.get("/v1/conversions/k-1", headers=AT).get_json()["state"] == "converted"


# --- keys and documents -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("offers:read", {"/v1/offers", "/v1/offers/upgrade", "/v1/redemptions/r-1"}),
        ("offers:write", {"/v1/offers/upgrade/withdraw", "/v1/redemptions/r-1/refund"}),
        ("conversions:write", {"/v1/offers/t/redeem"}),
        ("decide", set()),
    ],
)
def test_each_route_asks_for_its_scope(make_service, scope, allowed):
    client, _ = make_service(Key(name="app", sha256=hashlib.sha256(b"secret").hexdigest(), scopes=frozenset({scope})))
    headers = {"Authorization": "Bearer secret"}
    reads = ("/v1/offers", "/v1/offers/upgrade", "/v1/redemptions/r-1")
    writes = ("/v1/offers/upgrade/withdraw", "/v1/redemptions/r-1/refund", "/v1/offers/t/redeem")
    answers = {path: client.get(path, headers=headers) for path in reads}
    answers |= {path: client.post(path, json={}, headers=headers) for path in writes}
    assert {path for path, answer in answers.items() if answer.status_code != 403} == allowed


def test_the_example_is_what_the_document_describes(service):
    client, _ = service
    first, again = client.post("/v1/offers", json=EXAMPLE), client.post("/v1/offers", json=EXAMPLE)
    assert (first.status_code, again.status_code, again.data) == (201, 200, first.data)
    document = client.get("/openapi.json").get_json()
    schema = {"$ref": "#/components/schemas/OfferView", "components": document["components"]}
    jsonschema.validate(client.get("/v1/offers/upgrade-sea-view").get_json(), schema)

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from guardrails.attribution.values import Revenue, Shortfall
from guardrails.web.metrics import Metrics
from guardrails.web.revenue import EXAMPLE

NOW = "2026-03-10T12:00:00Z"
RECORDED = {
    "id": "order-1001",
    "amount_minor": 1250,
    "currency": "EUR",
    "at": NOW,
    "recorded_at": NOW,
    "audit_index": 0,
    "model": "last_touch",
    "recipient": "r-42",
    "sponsor": "acme-air",
    "conversion": "checkout-77",
    "why": "nothing_eligible",
    "transaction": "revenue:order-1001",
}


@pytest.fixture
def post(client):
    def post(path, value):
        return client.post(path, json=value, headers={"Replay-At": NOW})

    return post


def test_revenue_is_booked_and_read_back(client, post):
    answer = post("/v1/revenue", EXAMPLE)
    assert (answer.status_code, answer.get_json()) == (201, RECORDED)
    again = post("/v1/revenue", EXAMPLE)
    assert (again.status_code, again.get_json()) == (200, RECORDED)
    assert client.get("/v1/revenue/order-1001").get_json() == RECORDED
    assert client.get("/v1/revenue/order-1002").status_code == 404


def test_a_conflict_has_a_code_and_says_where(post):
    post("/v1/revenue", EXAMPLE)
    other = post("/v1/revenue", EXAMPLE | {"amount_minor": 1})
    assert (other.status_code, other.get_json()["code"]) == (409, "revenue.other_body")
    second = post("/v1/revenue", EXAMPLE | {"id": "order-1002"})
    assert (second.status_code, second.get_json()["code"]) == (409, "revenue.conversion_booked")
    assert second.get_json()["errors"][0]["pointer"] == "/conversion"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount_minor": 0}, "/amount_minor"),
        ({"amount_minor": -1}, "/amount_minor"),
        ({"amount_minor": 2**53 + 1}, "/amount_minor"),
        ({"amount_minor": 12.5}, "/amount_minor"),
        ({"currency": "eur"}, "/currency"),
        ({"currency": "XXX"}, "/currency"),
        ({"id": "redemption:1"}, "/id"),
        ({"at": "2026-03-10T12:05:01Z"}, "/at"),
        ({"at": "1969-03-10T12:05:01Z"}, "/at"),
        ({"decision_id": "d-1", "sponsor": None}, "/recipient"),
        ({"recipient": None, "sponsor": None, "attribution": "a.b.c"}, "/attribution"),
        ({"price": 1}, "/price"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(client, post, change, pointer):
    answer = post("/v1/revenue", EXAMPLE | change)
    assert (answer.status_code, [each["pointer"] for each in answer.get_json()["errors"]]) == (422, [pointer])
    assert client.get("/v1/revenue/order-1001").status_code == 404


def test_each_of_a_batch_has_its_own_result(post):
    asked = [EXAMPLE, EXAMPLE | {"currency": "XXX"}, EXAMPLE | {"id": "x"}, EXAMPLE]
    answer = post("/v1/revenue/batch", {"revenue": asked})
    first, second, third, again = answer.get_json()["results"]
    assert (answer.status_code, first) == (200, RECORDED | {"status": 201})
    assert again == RECORDED | {"status": 200}
    assert (second["status"], second["errors"][0]["pointer"]) == (422, "/currency")
    assert (third["status"], third["code"]) == (409, "revenue.conversion_booked")


def test_a_batch_of_nothing_and_one_too_long_are_refused(post):
    assert post("/v1/revenue/batch", {"revenue": []}).status_code == 422
    assert post("/v1/revenue/batch", {"revenue": [EXAMPLE] * 1001}).status_code == 422


def test_a_revenue_is_taken_back_once(client, post):
    post("/v1/revenue", EXAMPLE)
    reversal = post("/v1/revenue/order-1001/reverse", {"id": "back", "reason": "cancelled"})
    told = {"id": "back", "amount_minor": -1250, "reverses": "order-1001", "reason": "cancelled", "audit_index": 1}
    assert (reversal.status_code, reversal.get_json() | told) == (201, reversal.get_json())
    assert post("/v1/revenue/order-1001/reverse", {}).get_json() == reversal.get_json()
    other = post("/v1/revenue/order-1001/reverse", {"id": "other"})
    assert (other.status_code, other.get_json()["code"]) == (409, "revenue.reversed")
    assert client.get("/v1/revenue/order-1001").get_json()["reversed_by"] == "back"
    assert post("/v1/revenue/nothing/reverse", {}).status_code == 404


def test_what_is_booked_is_counted_once_and_what_is_taken_back_too(client, post):
    post("/v1/revenue", EXAMPLE)
    post("/v1/revenue", EXAMPLE)
    post("/v1/revenue", {"id": "yen", "amount_minor": 7, "currency": "JPY", "decision_id": "d-1"})
    post("/v1/revenue/yen/reverse", {})
    post("/v1/revenue/yen/reverse", {})
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    assert 'guardrails_revenue_minor_total{attributed="no",currency="EUR",source="reported"} 1250.0' in lines
    assert 'guardrails_revenue_minor_total{attributed="no",currency="JPY",source="reported"} 7.0' in lines
    assert 'guardrails_revenue_reversed_minor_total{attributed="no",currency="JPY",source="reported"} 7.0' in lines


def test_what_nobody_had_any_more_is_counted_as_borne():
    at = datetime(2026, 3, 10, tzinfo=UTC)
    shortfalls = (
        Shortfall(kind="recipient", owner="r-42", amount_minor=90),
        Shortfall(kind="affiliate", owner="blog", amount_minor=5),
    )
    revenue = Revenue(
        id="back",
        amount_minor=-1000,
        currency="EUR",
        at=at,
        recorded_at=at,
        audit_index=1,
        model="linear",
        shortfalls=shortfalls,
    )
    metrics = Metrics()
    metrics.revenue(revenue, "reported")
    assert 'guardrails_revenue_shortfall_minor_total{currency="EUR"} 95.0' in metrics.render().decode().splitlines()

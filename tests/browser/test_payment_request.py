"""What an allow says of the payment is what a browser's Payment Request API takes (W3C Payment Request)."""

from __future__ import annotations

import pytest

MADE_OF = """details => {
    const request = new PaymentRequest([{supportedMethods: "https://pay.example.org/card"}], details);
    return [request.id, details.total.label, details.total.amount];
}"""


@pytest.mark.parametrize(
    ("currency", "amount_minor", "value"),
    [("EUR", 1900, "19.00"), ("JPY", 500, "500"), ("KWD", 1234, "1.234"), ("EUR", 2**53, "90071992547409.92")],
)
def test_a_browser_makes_a_payment_request_of_it(site, open_page, currency, amount_minor, value):
    recipient, offer = site.recipient(), f"upgrade-{currency}-{amount_minor}"
    site.consent(recipient)
    terms = {
        "title": "Sea view tonight",
        "amount_minor": amount_minor,
        "currency": currency,
        "steps": ["view", "pay"],
        "payment": "wallet",
    }
    site.send("POST", "/v1/offers", {"id": offer, **terms, "lifetime_seconds": 600, "sponsor": {"id": "Acme Hotels"}})
    decision = site.decide(recipient, offer={"id": offer})
    (carried,) = (each["values"] for each in decision["obligations"] if each["type"] == "carry_offer_token")
    details = carried["payment_request"]["details"]

    page = open_page(f"{site.base}/healthz", scripts=True)
    assert page.evaluate(MADE_OF, details) == [
        decision["decision_id"],
        "Sea view tonight",
        {"currency": currency, "value": value},
    ]
    with pytest.raises(Exception, match="is not a valid amount"):
        page.evaluate(MADE_OF, details | {"total": {"label": "", "amount": {"currency": currency, "value": "19,00"}}})

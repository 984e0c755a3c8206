"""Conversion sessions through HTTP, at a service of two workers that count together."""

from __future__ import annotations

from http import HTTPStatus

from service import CANDIDATE

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: nothing-by-voice, kind: rule, deny_when: {channel: voice}, message: nobody is called}
"""
OFFER = {
    "id": "bottle",
    "title": "A bottle of water",
    "amount_minor": 0,
    "currency": "EUR",
    "sponsor": {"id": "hotel-meridian"},
    "payment": "none",
    "steps": ["view", "confirm"],
    "stock": 19,
}
SPONSORED = CANDIDATE | {
    "lane": "monetized",
    "channel": "push",
    "content": {"class": "sponsored"},
    "offer": {"id": "bottle"},
}
SESSIONS = 20


def token_for(service, number):
    """What the allow of a recipient's own carries; all are decided while there is some left."""
    candidate = SPONSORED | {"id": f"c-{number}", "recipient": {"id": f"r-{number}"}}
    duties = {
        each["type"]: each["values"] for each in service.send("POST", "/v1/decisions", candidate).json()["obligations"]
    }
    return duties["carry_offer_token"]["token"]


def test_what_several_workers_saw_is_counted_together(start, tmp_path):
    path = tmp_path / "policies.yaml"
    path.write_text(POLICIES, encoding="utf-8")
    service = start(policies=path, env={"GUARDRAILS_WORKERS": "2"})
    service.until(lambda: service.log.count('"event":"worker.started"') == 2)
    assert service.send("POST", "/v1/offers", OFFER).status == HTTPStatus.CREATED
    for number, token in enumerate([token_for(service, number) for number in range(SESSIONS)]):
        opening = {"id": f"s-{number}", "token": token, "recipient": f"r-{number}"}
        assert service.send("POST", "/v1/conversions", opening).status == HTTPStatus.CREATED
        path = f"/v1/conversions/s-{number}/steps"
        assert service.send("POST", path, {"step": "confirm"}).json()["code"] == "conversion.out_of_order"
        assert service.send("POST", path, {"step": "view", "number": 1}).json()["state"] == "open"
        assert service.send("POST", path, {"step": "confirm", "number": 2}).json()["state"] == "open"
        redeeming = {"recipient": f"r-{number}", "conversion": f"s-{number}"}
        redeemed = service.send("POST", f"/v1/offers/{token}/redeem", redeeming)
        is_left = number < OFFER["stock"]
        assert redeemed.status == (HTTPStatus.CREATED if is_left else HTTPStatus.CONFLICT), redeemed.body
        state = service.send("GET", f"/v1/conversions/s-{number}").json()["state"]
        assert state == ("converted" if is_left else "open")
    wanted = {
        "guardrails_conversions_opened_total": SESSIONS,
        'guardrails_conversion_refusals_total{reason="conversion.out_of_order"}': SESSIONS,
        'guardrails_conversion_steps_bucket{le="1.0"}': 0,
        'guardrails_conversion_steps_bucket{le="2.0"}': SESSIONS - 1,
        "guardrails_conversion_steps_sum": 2 * (SESSIONS - 1),
        "guardrails_conversion_seconds_count": SESSIONS - 1,
    }
    lines = {f"{name} {float(value)}" for name, value in wanted.items()}
    service.until(lambda: lines <= set(service.send("GET", "/metrics").body.decode().splitlines()))

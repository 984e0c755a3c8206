"""Conversion sessions through HTTP, at a service of two workers that count together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from conversions import FREE, token_by
from guardrails.signing import SigningKeys, Tokens

OFFER = {
    "id": FREE.id,
    "title": FREE.terms.title,
    "amount_minor": 0,
    "currency": "EUR",
    "sponsor": {"id": "hotel-meridian"},
    "payment": "none",
    "steps": ["view", "confirm"],
}
SESSIONS = 20


def test_what_several_workers_saw_is_counted_together(start, tmp_path):
    service = start(env={"GUARDRAILS_WORKERS": "2"})
    service.until(lambda: service.log.count('"event":"worker.started"') == 2)
    assert service.send("POST", "/v1/offers", OFFER).status == HTTPStatus.CREATED
    now = datetime.now(UTC)  # noqa: TID251 - of the service's own clock
    tokens = Tokens(SigningKeys.open(tmp_path / "signing-keys.json", now=now))
    for number in range(SESSIONS):
        token = token_by(tokens, f"d-{number}", FREE, expires_at=now + timedelta(hours=1))
        opening = {"id": f"s-{number}", "token": token, "recipient": "r-1"}
        assert service.send("POST", "/v1/conversions", opening).status == HTTPStatus.CREATED
        path = f"/v1/conversions/s-{number}/steps"
        assert service.send("POST", path, {"step": "confirm"}).json()["code"] == "conversion.out_of_order"
        assert service.send("POST", path, {"step": "view", "number": 1}).json()["state"] == "open"
        assert service.send("POST", path, {"step": "confirm", "number": 2}).json()["state"] == "converted"
        assert service.send("GET", f"/v1/conversions/s-{number}").json()["state"] == "converted"
    wanted = {
        "guardrails_conversions_opened_total": SESSIONS,
        'guardrails_conversion_refusals_total{reason="conversion.out_of_order"}': SESSIONS,
        'guardrails_conversion_steps_bucket{le="1.0"}': 0,
        'guardrails_conversion_steps_bucket{le="2.0"}': SESSIONS,
        "guardrails_conversion_steps_sum": 2 * SESSIONS,
        "guardrails_conversion_seconds_count": SESSIONS,
    }
    lines = {f"{name} {float(value)}" for name, value in wanted.items()}
    service.until(lambda: lines <= set(service.send("GET", "/metrics").body.decode().splitlines()))

"""An offer paid by a payment service, through HTTP only: redeemed, told of, given back, charged back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from guardrails.cli import main
from guardrails.core.claims import OfferClaims
from guardrails.signing import SigningKeys, Tokens
from payment_service import SECRET, PaymentService
from service import CANDIDATE, Service

OFFER = {
    "id": "upgrade",
    "title": "Sea view tonight",
    "amount_minor": 1900,
    "currency": "EUR",
    "sponsor": {"id": "hotel"},
    "payment": "provider",
    "session": "optional",
    "stock": 3,
}
POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: all
    kind: rule
    applies_to: {lane: monetized}
    deny_when: {channel: voice}
"""


@pytest.fixture
def payments(tmp_path):
    with PaymentService(tmp_path / "payments") as payments:
        yield payments


@pytest.fixture
def service(tmp_path, payments):
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "secret").write_text(SECRET)
    service = Service(
        tmp_path,
        policies=tmp_path / "policies.yaml",
        env={
            "GUARDRAILS_PAYMENTS_URL": payments.url,
            "GUARDRAILS_PAYMENTS_SECRET_FILE": str(tmp_path / "secret"),
            "GUARDRAILS_PAYMENTS_TIMEOUT": "500ms",
            "GUARDRAILS_PAYMENTS_RETRY": "50ms",
            "GUARDRAILS_PAYMENTS_ATTEMPTS": "3",
        },
    )
    payments.tell_events_to(f"http://127.0.0.1:{service.port}/v1/payments/events")
    assert service.send("POST", "/v1/offers", OFFER).status == 201
    yield service
    service.stop()


@pytest.fixture
def redeem(service, tmp_path):
    """The redemption of a new decision's token, as it was answered."""
    now = datetime.now(UTC)  # noqa: TID251 - of the service's own clock

    def redeem(recipient):
        candidate = CANDIDATE | {
            "id": f"c-{recipient}",
            "lane": "monetized",
            "recipient": {"id": recipient},
            "content": {"class": "sponsored"},
            "offer": {"id": "upgrade"},
        }
        decision = service.send("POST", "/v1/decisions", candidate).json()
        assert decision["effect"] == "allow", decision
        tokens = Tokens(SigningKeys.open(tmp_path / "signing-keys.json", now=now))
        claims = OfferClaims(
            offer="upgrade",
            recipient=tokens.pseudonym(recipient),
            amount_minor=1900,
            currency="EUR",
            decision_id=decision["decision_id"],
            expires_at_seconds=int(now.timestamp()) + 3600,
            token_id=f"t-{recipient}",
        )
        answer = service.send("POST", f"/v1/offers/{tokens.offer(claims)}/redeem", {"recipient": recipient})
        assert answer.status in (200, 201, 202), answer.body
        return answer.json()

    return redeem


@pytest.fixture
def becomes(service):
    """Wait until a redemption is in a state."""

    def becomes(redemption, state):
        path = f"/v1/redemptions/{redemption['id']}"
        return service.until(lambda: service.send("GET", path).json()["state"] == state)

    return becomes


def left(service):
    return service.send("GET", "/v1/offers/upgrade").json()["left"]


def test_a_redemption_settles_at_once_where_the_payment_service_answers(service, payments, redeem):
    redemption = redeem("r-1")
    assert (redemption["state"], redemption["method"], redemption["amount_minor"]) == ("settled", "provider", 1900)
    assert payments.books() == {redemption["id"]: ("captured", 1900, "EUR")}
    assert left(service) == 2


def test_who_can_t_pay_is_declined_and_holds_nothing(service, redeem):
    redemption = redeem("poor-1")
    assert (redemption["state"], redemption["reason"]) == ("declined", "payment.insufficient_funds")
    assert left(service) == 3


def test_an_event_settles_what_had_no_answer(service, payments, redeem, becomes):
    payments.misbehave("", "closed_after")
    redemption = redeem("r-1")
    assert redemption["state"] == "authorised"
    becomes(redemption, "settled")
    assert payments.captures(redemption["id"]) == 1


def test_what_had_no_answer_and_is_told_by_nobody_is_looked_up(service, payments, redeem, becomes):
    payments.tell_events_to(None)
    payments.misbehave("closed_after", "error_before")
    redemption = redeem("r-1")
    assert redemption["state"] == "reserved"
    assert left(service) == 2
    becomes(redemption, "settled")
    assert payments.captures(redemption["id"]) == 1


def test_a_payment_service_that_never_answers_has_its_payment_voided(service, payments, redeem, becomes):
    payments.tell_events_to(None)
    payments.misbehave_by_chance({"error_before": 1.0})
    redemption = redeem("r-1")
    service.until(lambda: service.log.count("payments.unanswered") > 4)
    assert left(service) == 2
    payments.misbehave_by_chance({})
    becomes(redemption, "released")
    assert payments.books() == {redemption["id"]: ("voided", 1900, "EUR")}
    assert left(service) == 3


def test_a_refund_gives_the_money_and_the_stock_back(service, payments, redeem, becomes):
    redemption = redeem("r-1")
    answer = service.send("POST", f"/v1/redemptions/{redemption['id']}/refund", {"kind": "refund"})
    assert answer.json()["state"] == "refunded"
    assert payments.books() == {redemption["id"]: ("refunded", 1900, "EUR")}
    assert left(service) == 3


def test_a_chargeback_is_told_by_the_payment_service(service, payments, redeem, becomes):
    redemption = redeem("r-1")
    service.until(lambda: not payments.has_untold_events())
    payments.charge_back(redemption["id"])
    becomes(redemption, "charged_back")
    assert left(service) == 3


def test_events_that_come_twice_and_late_change_nothing(service, payments, redeem, becomes):
    payments.misbehave_by_chance({"event_twice": 1.0, "event_late": 0.5}, seed=3)
    redemptions = [redeem(f"r-{number}") for number in range(3)]
    service.until(lambda: not payments.has_untold_events())
    for redemption in redemptions:
        becomes(redemption, "settled")
    assert left(service) == 0


def test_what_is_not_signed_is_refused(service, redeem):
    redemption = redeem("r-1")
    event = {
        "type": "payment.charged_back",
        "timestamp": "2026-12-01T09:00:02Z",
        "data": {"payment": redemption["id"], "amount_minor": 1900, "currency": "EUR"},
    }
    headers = {"webhook-id": "x", "webhook-timestamp": "1764579602", "webhook-signature": "v1,AAAA"}
    answer = service.send("POST", "/v1/payments/events", event, headers=headers)
    assert (answer.status, answer.json()["type"]) == (401, "/docs#problem-unsigned")
    assert service.send("GET", f"/v1/redemptions/{redemption['id']}").json()["state"] == "settled"


@pytest.fixture
def reconcile(tmp_path, payments):
    """The exit code and the lines of `guardrails payments reconcile`, with the service's settings."""

    def reconcile(*options, secret=SECRET):
        (tmp_path / "its-secret").write_text(secret)
        env = {
            "GUARDRAILS_DATABASE_URL": f"sqlite:///{tmp_path / 'guardrails.db'}",
            "GUARDRAILS_PAYMENTS_URL": payments.url,
            "GUARDRAILS_PAYMENTS_SECRET_FILE": str(tmp_path / "its-secret"),
        }
        run = CliRunner().invoke(main, ["payments", "reconcile", *options], env=env)
        return run.exit_code, run.output

    return reconcile


def test_reconciling_names_what_differs_from_the_payment_service_s_books(service, payments, redeem, reconcile):
    settled, _ = redeem("r-1"), redeem("poor-1")
    assert reconcile() == (0, "2 payments compared, 0 under way: all agree\n")
    payments.tell_events_to(None)
    payments.charge_back(settled["id"])
    code, said = reconcile()
    assert (code, said.splitlines()) == (
        1,
        [
            f"{settled['id']} ours settled, theirs charged_back",
            "2 payments compared, 0 under way: 1 differ",
        ],
    )
    code, said = reconcile("--json")
    assert (code, json.loads(said)["differences"]) == (
        1,
        [{"payment": settled["id"], "ours": "settled", "theirs": "charged_back"}],
    )


def test_reconciling_without_an_answer_could_not_run(service, reconcile):
    code, said = reconcile(secret="whsec_" + "A" * 32)
    assert (code, "the payment service does not answer: status 401" in said) == (2, True)
    code, said = reconcile("--payments-url", "http://pay.example")
    assert (code, "must be https" in said) == (2, True)
    code, said = reconcile(secret="nothing")  # noqa: S106 - it is none
    assert (code, "no secret" in said) == (2, True)

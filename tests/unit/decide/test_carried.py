"""What an allow of the monetized lane carries: its offer's token and its attribution, recorded and found again."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.bootstrap import Outside
from guardrails.core.claims import AttributionClaims, OfferClaims
from guardrails.errors import SettingsError
from guardrails.signing import SigningKeys, Tokens
from guardrails.stores import open_stores
from offer_terms import offer
from route import KEEP, LEASE, NOW, TRANSACTIONAL, Route, candidate, effects

KEYS = SigningKeys.generate(NOW)
TOKENS = Tokens(KEYS)
HOUR = timedelta(hours=1)
CARRIES = {"offer": {"id": "upgrade"}}
POLICIES = """
apiVersion: guardrails/v1
project: {contexts: [booking], attribution: {window: 10d}}
policies:
  - {id: fine, kind: rule, deny_when: {content.topic: blocked}}
"""
MOMENT = """\
  - {id: moment, kind: micro_moment, applies_to: {context.kind: booking}, context: booking, opens: 24h before,
     closes: 2h before, lifetime: 30m}
"""


@pytest.fixture
def sold(url):
    made = Route(open_stores(url), policies=POLICIES, outside=Outside(keys=lambda: KEYS))
    yield made
    made.close()


def register(route, *offers):
    route.read(lambda session: session.offers.insert(offers))


def duties(answer):
    return {duty["type"]: duty["values"] for duty in json.loads(answer.body)["obligations"]}


def test_an_allow_carries_its_offer_and_its_attribution(sold):
    register(
        sold,
        offer(
            campaign={"id": "autumn"},
            affiliate={"id": "partner", "share_bps": 1000},
            benefit={"share_bps": 500, "form": "credits"},
        ),
    )
    (answer,) = sold.decide(candidate(campaign={"id": "autumn", "arm": "b"}, **CARRIES))
    decision, told = answer.decision, duties(answer)
    assert [(duty.type, duty.policy) for duty in decision.obligations] == [
        ("carry_offer_token", None),
        ("carry_attribution", None),
    ]
    carried = told["carry_offer_token"]
    assert TOKENS.read_offer(carried.pop("token"), NOW) == OfferClaims(
        offer="upgrade",
        recipient=TOKENS.pseudonym("r-1"),
        amount_minor=1900,
        currency="EUR",
        decision_id=decision.decision_id,
        expires_at_seconds=int((NOW + timedelta(days=1)).timestamp()),
        token_id=TOKENS.token_id(decision.decision_id),
    )
    assert carried == {
        "offer": "upgrade",
        "expires_at": "2026-12-02T12:00:00Z",
        "payment_request": {
            "details": {
                "id": decision.decision_id,
                "total": {"label": "Sea view tonight", "amount": {"currency": "EUR", "value": "19.00"}},
            }
        },
    }
    attributed = told["carry_attribution"]
    assert TOKENS.read_attribution(attributed.pop("token")) == AttributionClaims(
        decision_id=decision.decision_id,
        audit_index=0,
        lane="monetized",
        evaluated_at_ms=int(NOW.timestamp() * 1000),
        policy_revision=decision.policy_revision,
        recipient=TOKENS.pseudonym("r-1"),
        campaign="autumn",
        sponsor="hotel",
        offer="upgrade",
        affiliate="partner",
        arm="b",
        benefit_bps=500,
        affiliate_bps=1000,
    )
    assert attributed == {
        "sponsor": "hotel",
        "campaign": "autumn",
        "arm": "b",
        "offer": "upgrade",
        "affiliate": "partner",
        "benefit_bps": 500,
        "affiliate_bps": 1000,
        "benefit_form": "credits",
    }
    assert sold.replayed()[0] == []


def test_without_a_registered_offer_it_carries_its_attribution_alone(sold):
    answers = sold.decide(candidate("c-1"), candidate("c-2", offer={"id": "unknown", "amount_minor": 1}))
    assert [list(duties(answer)) for answer in answers] == [["carry_attribution"], ["carry_attribution"]]
    assert [TOKENS.read_attribution(duties(each)["carry_attribution"]["token"]).audit_index for each in answers] == [
        0,
        1,
    ]
    assert sold.replayed()[0] == []


def test_a_deny_and_the_transactional_lane_carry_nothing(sold):
    blocked = {"class": "sponsored", "topic": "blocked"}
    answers = sold.decide(candidate("c-1", content=blocked), candidate("c-2", **TRANSACTIONAL))
    assert effects(answers) == ["deny", "allow"]
    assert [duties(answer) for answer in answers] == [{}, {}]
    assert {row.needed_until for row in sold.rows().values()} == {None}


def test_where_there_are_no_keys_nothing_is_carried(url):
    made = Route(open_stores(url), policies=POLICIES)
    (answer,) = made.decide(candidate())
    assert (answer.decision.effect, duties(answer)) == ("allow", {})
    assert made.replayed()[0] == []
    made.close()


def test_what_costs_nothing_asks_for_no_payment(sold):
    register(sold, offer(amount_minor=0, payment="none"))
    (answer,) = sold.decide(candidate(**CARRIES))
    assert sorted(duties(answer)["carry_offer_token"]) == ["expires_at", "offer", "token"]


@pytest.mark.parametrize(
    ("currency", "amount_minor", "value"),
    [("JPY", 500, "500"), ("KWD", 1234, "1.234"), ("EUR", 5, "0.05"), ("EUR", 2**53, "90071992547409.92")],
)
def test_a_payment_is_asked_for_in_the_digits_of_its_currency(sold, currency, amount_minor, value):
    register(sold, offer(currency=currency, amount_minor=amount_minor))
    (answer,) = sold.decide(candidate(**CARRIES))
    total = duties(answer)["carry_offer_token"]["payment_request"]["details"]["total"]
    assert total["amount"] == {"currency": currency, "value": value}


@pytest.mark.parametrize(
    ("terms", "stated", "ends"),
    [
        ({"lifetime_seconds": 60}, {}, timedelta(seconds=60)),
        ({"ends_at": (NOW + HOUR).isoformat()}, {}, HOUR),
        ({"ends_at": (NOW + HOUR).isoformat()}, {"expires_at": (NOW + HOUR / 2).isoformat()}, HOUR / 2),
        ({}, {"expires_at": (NOW + 2 * HOUR).isoformat()}, 2 * HOUR),
        ({}, {"expires_at": (NOW + timedelta(milliseconds=1)).isoformat()}, timedelta(seconds=1)),
    ],
)
def test_a_token_ends_with_whatever_ends_first(sold, terms, stated, ends):
    register(sold, offer(**terms))
    (answer,) = sold.decide(candidate(offer={"id": "upgrade", **stated}))
    assert datetime.fromisoformat(duties(answer)["carry_offer_token"]["expires_at"]) == NOW + ends


def test_no_token_is_over_as_it_is_made(sold):
    register(sold, offer())
    sold.clock.now = NOW + timedelta(milliseconds=300)
    ends = (NOW + timedelta(milliseconds=700)).isoformat()
    (answer,) = sold.decide(candidate(offer={"id": "upgrade", "expires_at": ends}))
    token = duties(answer)["carry_offer_token"]["token"]
    assert TOKENS.read_offer(token, sold.clock.now).expires_at == NOW + timedelta(seconds=1)


def test_a_moment_ends_the_token_that_it_allows(url):
    made = Route(open_stores(url), policies=POLICIES + MOMENT, outside=Outside(keys=lambda: KEYS))
    register(made, offer())
    booking = {"kind": "booking", "id": "b-1", "at": (NOW + 12 * HOUR).isoformat()}
    (answer,) = made.decide(candidate(context=booking, **CARRIES))
    told = duties(answer)
    assert datetime.fromisoformat(told["carry_offer_token"]["expires_at"]) == NOW + HOUR / 2
    assert datetime.fromisoformat(told["end_offer"]["ends_at"]) == NOW + HOUR / 2
    assert made.replayed()[0] == []
    made.close()


def test_a_decision_is_kept_for_as_long_as_its_tokens_may_come_back(sold):
    register(sold, offer("month", lifetime_seconds=30 * 86_400), offer("day"))
    sold.decide(candidate("c-1", offer={"id": "month"}), candidate("c-2", offer={"id": "day"}), candidate("c-3"))
    month, window = NOW + timedelta(days=30), NOW + timedelta(days=10)
    assert [row.needed_until for row in sold.rows().values()] == [month, window, window]
    sold.clock.now = NOW + LEASE
    while sold.application.housekeeping.step(sold.clock.now):
        pass
    assert [(row.state, row.due_at) for row in sorted(sold.rows().values(), key=lambda row: row.decision_id)] == [
        ("expired", month),
        ("expired", window),
        ("expired", window),
    ]
    sold.clock.now = NOW + KEEP + timedelta(days=4)
    while sold.application.housekeeping.step(sold.clock.now):
        pass
    assert list(sold.rows()) == ["d-1"]


def test_the_same_candidate_again_carries_the_same_tokens(sold):
    register(sold, offer())
    first, again = sold.decide(candidate(**CARRIES)) + sold.decide(candidate(**CARRIES))
    assert (first.body, again.repeated) == (again.body, True)


def test_an_outage_carries_nothing(sold):
    sold.stores.is_down = True
    answers = sold.decide(candidate("c-1", **CARRIES), candidate("c-2", **TRANSACTIONAL))
    assert [duties(answer) for answer in answers] == [{}, {}]


def altered(token, **claims):
    head, payload, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | claims
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, lambda token: altered(token, a=1)),
        (0, lambda token: altered(token, e=1)),
        (1, lambda token: altered(token, s="other")),
        (1, lambda token: altered(token, i=7)),
        (1, lambda _: "no token"),
        (1, lambda _: "a.%.c"),
    ],
    ids=["amount", "end", "sponsor", "index", "no token", "no payload"],
)
def test_what_a_recorded_token_says_is_compared(sold, place, change):
    register(sold, offer())
    sold.decide(candidate(**CARRIES))
    (entry,) = sold.entries()
    forged = msgspec.to_builtins(entry)
    values = forged["decision"]["obligations"][place]["values"]
    values["token"] = change(values["token"])
    _, replay = sold.replayed()
    assert [each.what for each in replay.check([(0, msgspec.json.encode(forged))])] == ["obligations"]


def test_who_signed_a_recorded_token_is_not_compared(sold):
    register(sold, offer())
    sold.decide(candidate(**CARRIES))
    (entry,) = sold.entries()
    other = msgspec.to_builtins(entry)
    values = other["decision"]["obligations"][0]["values"]
    values["token"] = Tokens(SigningKeys.generate(NOW)).offer(TOKENS.read_offer(values["token"], NOW))
    _, replay = sold.replayed()
    assert list(replay.check([(0, msgspec.json.encode(other))])) == []


def test_an_allow_that_was_recorded_as_a_deny_shows(sold):
    sold.decide(candidate())
    (entry,) = sold.entries()
    forged = msgspec.to_builtins(entry)
    forged["candidate"]["content"]["topic"] = "blocked"
    _, replay = sold.replayed()
    found = [each.what for each in replay.check([(0, msgspec.json.encode(forged))])]
    assert {"effect", "obligations"} <= set(found)


def test_keys_that_can_not_be_opened_fail_the_call_before_anything_is_decided(url):
    def broken():
        raise SettingsError("the keys file is damaged")

    made = Route(open_stores(url), policies=POLICIES, outside=Outside(keys=broken))
    with pytest.raises(SettingsError, match="damaged"):
        made.decide(candidate())
    assert made.entries() == []
    made.close()


def test_explain_signs_nothing(sold):
    register(sold, offer())
    explanation = sold.application.explainer.explain(candidate(**CARRIES))
    assert explanation.decision.obligations == ()


def test_instants_are_told_in_utc(sold):
    register(sold, offer())
    (answer,) = sold.decide(candidate(**CARRIES))
    assert answer.decision.obligations[0].values["expires_at"].tzinfo is UTC

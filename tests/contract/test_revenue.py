"""Revenue over every store: attributed, shared, posted, entered in the log, and taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest

from earned import Earnings, allow, claims_of, token_of
from guardrails.core.bookkeeping import Account, Transaction, moved
from guardrails.errors import CandidateError, ConflictError, NotFoundError
from stores import instant, run


@pytest.fixture
def earnings(transactor) -> Earnings:
    return Earnings(transactor)


def decisions_of(revenue) -> dict[str, int]:
    return {part.decision_id: part.amount_minor for part in revenue.parts}


def as_json(value):
    return msgspec.json.decode(msgspec.json.encode(value))


def post(earnings, transaction):
    run(earnings.transactor, lambda session: session.ledger.append([transaction]))


def test_the_last_touch_gets_all_of_it_and_it_is_shared(earnings):
    shared = {"benefit_bps": 1000, "affiliate": "blog", "affiliate_bps": 500, "campaign": "spring", "arm": "b"}
    earnings.allowed(allow(1), allow(2, **shared))
    revenue = earnings.report(amount_minor=999)
    (part,) = revenue.parts
    assert (part.decision_id, part.audit_index, part.amount_minor) == ("d-2", 2, 999)
    assert (part.benefit_minor, part.affiliate_minor, part.platform_minor) == (100, 50, 849)
    assert (part.benefit_form, part.affiliate, part.campaign, part.arm) == ("credits", "blog", "spring", "b")
    assert (revenue.recipient, revenue.sponsor, revenue.why) == ("r-1", "acme", None)
    assert earnings.balances() == {
        "receivable acme EUR": 999,
        "recipient r-1 EUR": 100,
        "affiliate blog EUR": 50,
        "platform revenue EUR": 849,
    }
    assert earnings.service.read("rev-1") == revenue


def test_linear_shares_among_all_that_are_eligible(transactor):
    earnings = Earnings(transactor, model="linear")
    earnings.allowed(allow(1), allow(2, benefit_bps=10_000), allow(3))
    assert decisions_of(earnings.report(amount_minor=1000)) == {"d-1": 333, "d-2": 333, "d-3": 334}
    assert earnings.balances() == {
        "receivable acme EUR": 1000,
        "recipient r-1 EUR": 333,
        "platform revenue EUR": 667,
    }


def test_what_is_not_eligible_earns_nothing(earnings):
    earnings.allowed(
        allow(1),
        allow(2, sponsor="other"),
        allow(3, recipient="r-2"),
        allow(4, state="reserved"),
        allow(5, state="failed"),
        allow(6, state="bounced"),
        allow(7, at=instant(12, 0, 0, 1)),
        allow(8, lease_until=None, state="none"),
        allow(9, answer=b'{"effect":"allow","obligations":[]}'),
    )
    assert decisions_of(earnings.report()) == {"d-1": 1000}


@pytest.mark.parametrize(("age", "attributed"), [(0, 1000), (7 * 86_400 - 1, 1000), (7 * 86_400, 0)])
def test_the_window_is_half_open(earnings, age, attributed):
    earnings.allowed(allow(1, at=instant(12) - timedelta(seconds=age)))
    revenue = earnings.report()
    assert revenue.attributed_minor == attributed
    assert revenue.why == (None if attributed else "nothing_eligible")


def test_what_nobody_earned_is_booked_as_such(earnings):
    revenue = earnings.report(recipient="r-9", sponsor="acme")
    assert (revenue.parts, revenue.why) == ((), "nothing_eligible")
    unknown = earnings.report("rev-2", 5, decision_id="d-404")
    assert (unknown.why, unknown.sponsor, unknown.recipient) == ("no_such_decision", None, None)
    assert earnings.balances() == {
        "receivable acme EUR": 1000,
        "outside unnamed EUR": 5,
        "platform unattributed EUR": 1005,
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": "reserved"}, "not_sent"),
        ({"state": "cancelled"}, "not_sent"),
        ({"at": instant(12) - timedelta(days=7)}, "outside_window"),
        ({"at": instant(12, 1)}, "outside_window"),
        ({"answer": b'{"effect":"allow"}'}, "not_monetized"),
        ({"lease_until": None, "state": "none"}, "not_monetized"),
    ],
)
def test_why_a_named_decision_earned_nothing_is_told(earnings, changes, why):
    earnings.allowed(allow(1, **changes))
    revenue = earnings.report(decision_id="d-1")
    assert (revenue.parts, revenue.why, revenue.recipient) == ((), why, "r-1")


def test_a_decision_that_is_named_is_the_last_touch(earnings):
    earnings.allowed(allow(1), allow(2))
    assert decisions_of(earnings.report(decision_id="d-1")) == {"d-1": 1000}


def test_what_can_not_be_split_goes_to_the_decision_that_is_named_and_its_sponsor_owes_it(transactor):
    earnings = Earnings(transactor, model="linear", across="campaign")
    earnings.allowed(allow(1, campaign="x"), allow(2, campaign="x"), allow(3, campaign="x", sponsor="other"))
    revenue = earnings.report(amount_minor=101, decision_id="d-1")
    assert [(part.decision_id, part.amount_minor) for part in revenue.parts] == [("d-2", 50), ("d-1", 51)]
    earnings.allowed(allow(4, campaign="y", sponsor=None), allow(5, campaign="y"))
    unnamed = earnings.report("rev-2", decision_id="d-4")
    assert (decisions_of(unnamed), unnamed.sponsor) == ({"d-4": 1000}, None)
    assert earnings.balances()["outside unnamed EUR"] == 1000


def test_others_earn_it_where_the_named_one_did_not(earnings):
    earnings.allowed(allow(1), allow(2, state="bounced"))
    revenue = earnings.report(decision_id="d-2")
    assert (decisions_of(revenue), revenue.why) == ({"d-1": 1000}, None)


@pytest.mark.parametrize(
    ("state", "attributed"),
    [("reserved", 1000), ("expired", 1000), ("sent", 1000), ("failed", 0)],
)
def test_a_token_stands_in_for_a_report_and_not_against_one(earnings, state, attributed):
    earnings.allowed(allow(1, state=state))
    assert earnings.report(attribution=token_of(claims_of(1, instant(10)))).attributed_minor == attributed


def test_a_token_proves_its_own_decision_where_the_row_is_gone(earnings):
    claims = claims_of(1, instant(10), audit_index=0, benefit_bps=500)
    earnings.entered(claims, recipient="r-7")
    revenue = earnings.report(attribution=token_of(claims))
    assert (decisions_of(revenue), revenue.recipient, revenue.audit_index) == ({"d-1": 1000}, "r-7", 1)
    assert earnings.balances()["recipient r-7 EUR"] == 50


def test_a_token_of_another_log_or_of_nobody_is_refused(earnings):
    elsewhere = earnings.report(attribution=token_of(claims_of(1, instant(10))))
    assert (type(elsewhere), elsewhere.code) == (CandidateError, "token.invalid")
    assert elsewhere.problems[0][0] == "/attribution"
    forged = earnings.report(attribution="forged")
    assert (type(forged), forged.problems) == (CandidateError, (("/attribution", "it is no JWS of ours"),))
    assert forged.code == "token.invalid"
    assert earnings.balances() == {}


@pytest.mark.parametrize(
    ("said", "owed"),
    [
        ({}, "outside unnamed EUR"),
        ({"recipient": "r-1"}, "outside unnamed EUR"),
        ({"recipient": "r-1", "campaign": "spring"}, "outside unnamed EUR"),
        ({"sponsor": "acme"}, "receivable acme EUR"),
    ],
)
def test_what_names_nothing_to_look_for_is_booked_and_not_attributed(earnings, said, owed):
    earnings.allowed(allow(1))
    (booked,) = earnings.record([{"id": "rev-1", "amount_minor": 1000, "currency": "EUR", **said}])
    revenue = booked.revenue
    assert (revenue.parts, revenue.why, revenue.recipient) == ((), "nothing_named", said.get("recipient"))
    assert earnings.balances() == {owed: 1000, "platform unattributed EUR": 1000}
    assert earnings.take_back(revenue.id).why == "nothing_named"
    assert earnings.balances() == {}


@pytest.mark.parametrize("across", ["campaign", "offer"])
def test_what_it_is_attributed_across_is_the_projects(transactor, across):
    earnings = Earnings(transactor, across=across)
    earnings.allowed(allow(1, **{across: "x"}), allow(2, **{across: "y"}), allow(3))
    assert decisions_of(earnings.report(recipient="r-1", **{across: "x"})) == {"d-1": 1000}
    without = earnings.report("rev-2", recipient="r-1", sponsor="acme")
    assert (without.parts, without.why) == ((), "nothing_named")


def test_one_sponsor_owes_it(transactor):
    earnings = Earnings(transactor, across="campaign", model="linear")
    theirs = {"campaign": "x", "sponsor": "other"}
    earnings.allowed(allow(1, campaign="x"), allow(2, **theirs), allow(3, **theirs))
    revenue = earnings.report(recipient="r-1", campaign="x")
    assert (revenue.sponsor, decisions_of(revenue)) == ("other", {"d-2": 500, "d-3": 500})
    named = earnings.report("rev-2", recipient="r-1", campaign="x", sponsor="acme")
    assert (named.sponsor, decisions_of(named)) == ("acme", {"d-1": 1000})


def test_a_named_decision_without_a_sponsor_earns_for_itself(earnings):
    earnings.allowed(allow(1, sponsor=None, affiliate="blog", affiliate_bps=10_000), allow(2, sponsor=None))
    assert decisions_of(earnings.report(decision_id="d-1")) == {"d-1": 1000}
    assert earnings.balances() == {"outside unnamed EUR": 1000, "affiliate blog EUR": 1000}


def test_a_sponsor_pays_with_what_it_has_and_owes_the_rest(earnings):
    acme, bank = Account("sponsor", "acme", "EUR"), Account("outside", "bank", "EUR")
    postings = moved(1500, source=bank, target=acme)
    post(earnings, Transaction(id="paid", kind="payment", postings=postings, at=instant(9)))
    (first, second) = earnings.record(
        [
            {"id": "a", "amount_minor": 1000, "currency": "EUR", "recipient": "r-1", "sponsor": "acme"},
            {"id": "b", "amount_minor": 1000, "currency": "EUR", "recipient": "r-1", "sponsor": "acme"},
        ]
    )
    assert (first.is_new, second.is_new) == (True, True)
    assert earnings.balances() == {
        "outside bank EUR": 1500,
        "receivable acme EUR": 500,
        "platform unattributed EUR": 2000,
    }


def test_a_discount_was_in_the_price_and_its_sponsor_owes_so_much_less(earnings):
    earnings.allowed(allow(1, form="discount", benefit_bps=2500))
    (part,) = earnings.report().parts
    assert (part.benefit_minor, part.benefit_form) == (250, "discount")
    assert earnings.balances() == {"receivable acme EUR": 750, "platform revenue EUR": 750}


def test_a_revenue_that_is_all_discount_moves_nothing_and_is_booked(earnings):
    earnings.allowed(allow(1, form="discount", benefit_bps=10_000))
    assert earnings.report().attributed_minor == 1000
    assert earnings.balances() == {}
    assert earnings.take_back().amount_minor == -1000
    assert earnings.balances() == {}


@pytest.mark.parametrize(("amount", "currency"), [(1, "JPY"), (2**53, "KWD"), (7, "UYW")])
def test_any_amount_of_any_currency_adds_up(earnings, amount, currency):
    earnings.allowed(allow(1, benefit_bps=3333, affiliate="blog", affiliate_bps=3333))
    (part,) = earnings.report(amount_minor=amount, currency=currency).parts
    assert part.benefit_minor + part.affiliate_minor + part.platform_minor == amount
    assert sum(balance for name, balance in earnings.balances().items() if "receivable" not in name) == amount


def test_the_same_request_again_is_answered_with_the_first_record(earnings):
    earnings.allowed(allow(1))
    first = earnings.report(at="2026-12-01T11:00:00Z")
    earnings.allowed(allow(2))
    assert earnings.report(at="2026-12-01T11:00:00Z", now=instant(15)) == first
    other = earnings.report(amount_minor=1001)
    assert (type(other), other.code) == (ConflictError, "revenue.other_body")
    assert [entry["event"] for entry in earnings.log()] == ["revenue.booked"]
    assert earnings.balances()["platform revenue EUR"] == 1000


def test_a_conversion_has_its_revenue_once_and_who_comes_later_is_told_of_the_first(earnings):
    assert earnings.report(conversion="c-1").conversion == "c-1"
    again = earnings.report("rev-2", conversion="c-1")
    assert (type(again), again.code) == (ConflictError, "revenue.conversion_booked")
    assert "`rev-1`" in str(again)
    earnings.take_back()
    assert earnings.report("rev-2", conversion="c-1").conversion == "c-1"


def test_each_of_a_batch_has_its_own_result_and_sees_those_before_it(earnings):
    earnings.allowed(allow(1))
    said = {"amount_minor": 10, "currency": "EUR", "decision_id": "d-1"}
    results = earnings.record(
        [
            {**said, "id": "a", "conversion": "c-1"},
            {**said, "id": "a", "conversion": "c-1"},
            {**said, "id": "a", "conversion": "c-2"},
            {**said, "id": "b", "conversion": "c-1"},
            {**said, "id": "c", "at": instant(12, 6)},
            {"id": "d", "amount_minor": 10, "currency": "EUR", "attribution": "forged"},
            {**said, "id": "e"},
        ]
    )
    told = [each.code if isinstance(each, CandidateError) else (each.revenue.id, each.is_new) for each in results]
    assert told == [
        ("a", True),
        ("a", False),
        "revenue.other_body",
        "revenue.conversion_booked",
        None,
        "token.invalid",
        ("e", True),
    ]
    assert earnings.balances()["platform revenue EUR"] == 20
    assert [entry["index"] for entry in earnings.log()] == [0, 1]


def test_what_an_account_cannot_hold_is_refused_and_nothing_of_it_is_kept(earnings):
    full = Account("platform", "unattributed", "EUR")
    postings = moved(2**63 - 10, source=Account("outside", "bank", "EUR"), target=full)
    post(earnings, Transaction(id="full", kind="test", postings=postings, at=instant(9)))
    refused = earnings.report(amount_minor=11)
    assert (type(refused), refused.problems[0][0]) == (CandidateError, "/amount_minor")
    with pytest.raises(NotFoundError):
        earnings.service.read("rev-1")
    assert earnings.log() == []
    assert earnings.report(amount_minor=9).amount_minor == 9


def test_what_was_earned_in_the_future_is_refused_and_a_clock_a_little_ahead_is_not(earnings):
    assert earnings.report(at=instant(12, 5)).at == instant(12)
    assert earnings.report("rev-2", at=instant(12, 5, 1)).problems[0][0] == "/at"


def test_the_log_has_the_whole_record(earnings):
    earnings.allowed(allow(1))
    revenue = earnings.report(conversion="c-1")
    reversal = earnings.take_back(reason="returned")
    booked, taken_back = earnings.log()
    assert (booked["event"], booked["decision_id"], booked["index"]) == ("revenue.booked", "d-1", revenue.audit_index)
    assert booked["body"] | {"audit_index": booked["index"]} == as_json(revenue)
    assert (taken_back["event"], taken_back["index"]) == ("revenue.reversed", reversal.audit_index)
    assert taken_back["body"] | {"audit_index": 1} == as_json(reversal)


def test_a_reversal_takes_all_of_it_back(earnings):
    earnings.allowed(allow(1, benefit_bps=1000, affiliate="blog", affiliate_bps=500))
    revenue = earnings.report(amount_minor=999)
    reversal = earnings.take_back(id="back", reason="returned")
    assert earnings.balances() == {}
    assert (reversal.id, reversal.amount_minor, reversal.reverses) == ("back", -999, "rev-1")
    assert (reversal.at, reversal.recorded_at, reversal.reason) == (instant(13), instant(13), "returned")
    (given,), (taken,) = revenue.parts, reversal.parts
    amounts = ("amount_minor", "benefit_minor", "affiliate_minor", "platform_minor")
    assert [-getattr(given, name) for name in amounts] == [getattr(taken, name) for name in amounts]
    assert earnings.service.read("rev-1").reversed_by == "back"


def test_what_a_recipient_has_spent_is_borne_by_the_platform_and_told(earnings):
    earnings.allowed(allow(1, benefit_bps=1000))
    earnings.report()
    spent = moved(70, source=Account("recipient", "r-1", "EUR"), target=Account("sponsor", "other", "EUR"))
    post(earnings, Transaction(id="spent", kind="payment", postings=spent, at=instant(12)))
    reversal = earnings.take_back()
    assert [(each.kind, each.owner, each.amount_minor) for each in reversal.shortfalls] == [("recipient", "r-1", 70)]
    assert earnings.balances() == {"shortfall recipient:r-1 EUR": 70, "sponsor other EUR": 70}
    assert reversal == earnings.service.read(reversal.id)


def test_a_reversal_is_made_once(earnings):
    earnings.report()
    first = earnings.take_back(id="back", reason="returned")
    assert earnings.take_back(id="back", reason="returned", now=instant(14)) == first
    assert earnings.take_back(now=instant(14)) == first
    for said in ({"id": "other"}, {"id": "back", "reason": "another"}):
        with pytest.raises(ConflictError) as refused:
            earnings.take_back(**said)
        assert refused.value.code == "revenue.reversed"
    assert earnings.balances() == {}


def test_what_can_not_be_taken_back_is_told(earnings):
    earnings.report()
    earnings.report("rev-2")
    with pytest.raises(ConflictError) as taken:
        earnings.take_back(id="rev-2")
    assert taken.value.code == "revenue.other_body"
    earnings.take_back(id="back")
    with pytest.raises(ConflictError) as reversal:
        earnings.take_back("back")
    assert reversal.value.code == "revenue.is_reversal"
    with pytest.raises(NotFoundError):
        earnings.take_back("nothing")


def test_of_many_that_book_one_conversion_at_once_one_wins_and_all_are_answered(earnings):
    earnings.allowed(allow(1))
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda n: earnings.report(f"rev-{n}", conversion="c-1"), range(32)))
    codes = [getattr(each, "code", "booked") for each in results]
    assert sorted(codes) == ["booked", *["revenue.conversion_booked"] * 31]
    assert earnings.balances() == {"receivable acme EUR": 1000, "platform revenue EUR": 1000}

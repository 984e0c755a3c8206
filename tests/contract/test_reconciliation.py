from __future__ import annotations

from typing import Any

import msgspec
import pytest

from guardrails.offers.reconciliation import PaymentDifference, Reconciliation
from guardrails.offers.redemptions import Redemption
from guardrails.payments.provider import ListedPayments, NoAnswerError, StandingAnswer
from stores import instant

NOW = instant(10)
STATES = ("settled", "refunded", "charged_back", "declined", "released")
STANDINGS = ("none", "authorising", "authorised", "captured", "declined", "voided", "refunded", "charged_back")
AGREEING = {
    ("settled", "captured"),
    ("refunded", "refunded"),
    ("charged_back", "charged_back"),
    *((state, standing) for state in ("declined", "released") for standing in ("none", "declined", "voided")),
}


def redemption(id_: str, state: Any = "settled", **changes: Any) -> Redemption:
    fields = {
        "id": id_,
        "decision_id": f"d-{id_}",
        "offer": "upgrade",
        "recipient": "anna",
        "sponsor": "hotel",
        "state": state,
        "method": "provider",
        "amount_minor": 1900,
        "currency": "EUR",
        "body_hash": b"",
        "recorded_at": NOW,
    }
    return Redemption(**(fields | changes))


def standing(id_: str, standing: Any = "captured", amount: int = 1900, currency: str = "EUR") -> StandingAnswer:
    return StandingAnswer(payment=id_, standing=standing, amount_minor=amount, currency=currency)


class Books:
    """A payment service's books, in pages of two; `moved` is how payments stand once they are looked at."""

    def __init__(self, *payments: StandingAnswer, moved: dict[str, StandingAnswer] | None = None):
        self._payments = sorted(payments, key=lambda each: each.payment)
        self._now = {each.payment: each for each in payments} | (moved or {})
        self.on_look = lambda: None

    def listed(self, after):
        later = [each for each in self._payments if each.payment > (after or "")]
        more = len(later) > 2
        return ListedPayments(payments=tuple(later[:2]), next_after=later[1].payment if more else None)

    def look(self, payment):
        self.on_look()
        return self._now.get(payment) or StandingAnswer(payment=payment, standing="none")


@pytest.fixture
def compare(do, transactor):
    def compare(ours, books):
        do(lambda session: session.redemptions.insert(ours))
        comparison = Reconciliation(transactor, books)
        differences = list(comparison.differences())
        return differences, comparison.compared, comparison.under_way

    return compare


@pytest.mark.parametrize("state", STATES)
def test_a_state_agrees_with_the_standings_that_it_may_have(compare, state):
    ours = [redemption(f"r-{each}", state) for each in STANDINGS]
    books = Books(*[standing(f"r-{each}", each) for each in STANDINGS if each != "none"])
    found, compared, _ = compare(ours, books)
    differing = {(each.ours, each.theirs) for each in found}
    assert differing == {(state, each) for each in STANDINGS if (state, each) not in AGREEING}
    assert compared == len(STANDINGS)


def test_what_is_under_way_is_left_out(compare):
    ours = [redemption("a", "authorised", step="capture"), redemption("b", "refunding", step="refund")]
    assert compare(ours, Books(standing("a"))) == ([], 0, 2)


def test_another_amount_or_currency_differs(compare):
    books = Books(standing("a", amount=1800), standing("b", currency="USD"), standing("c"))
    found, compared, _ = compare([redemption(each) for each in "abc"], books)
    assert found == [
        PaymentDifference("a", "1900 EUR", "1800 EUR"),
        PaymentDifference("b", "1900 EUR", "1900 USD"),
    ]
    assert compared == 3


def test_another_amount_differs_though_the_payment_is_under_way(compare):
    ours = [redemption("a", "authorised", step="capture"), redemption("b", "authorised", step="capture")]
    books = Books(standing("a", amount=1), standing("b", "authorised"))
    assert compare(ours, books) == ([PaymentDifference("a", "1900 EUR", "1 EUR")], 1, 1)


@pytest.mark.parametrize("follows", [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}])
def test_a_list_that_does_not_go_on_ends_the_comparison(compare, follows):
    books = Books(standing("a"))
    books.listed = lambda after: ListedPayments(payments=(standing("a"),), next_after=follows[after])
    with pytest.raises(NoAnswerError, match="the list does not go on"):
        compare([redemption("a")], books)


def test_money_that_is_not_ours_is_told(compare):
    books = Books(standing("x"), standing("w"), standing("v", "voided"))
    found, _, _ = compare([redemption("w", method="wallet")], books)
    assert found == [PaymentDifference("w", "not ours", "captured"), PaymentDifference("x", "not ours", "captured")]


def test_what_only_we_have_is_told_but_not_of_other_methods(compare):
    found, _, _ = compare([redemption("a"), redemption("b", method="wallet"), redemption("c", "released")], Books())
    assert found == [PaymentDifference("a", "settled", "none")]


def test_what_moved_there_meanwhile_is_no_difference(compare):
    books = Books(standing("a", "authorised"), moved={"a": standing("a")})
    assert compare([redemption("a")], books) == ([], 1, 0)


def test_what_moved_here_meanwhile_is_no_difference(compare, do):
    books = Books(standing("a", "refunded"))
    refunded = msgspec.structs.replace(redemption("a"), state="refunded")
    books.on_look = lambda: do(lambda session: session.redemptions.update([refunded]))
    assert compare([redemption("a")], books) == ([], 1, 0)


def test_more_than_a_page_of_ours_is_read(compare):
    ours = [redemption(f"r-{number:04}") for number in range(1001)]
    found, compared, _ = compare(ours, Books())
    assert (len(found), compared) == (1001, 1001)

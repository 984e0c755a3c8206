"""Attribution: the parts of a revenue sum to what was booked, and the shares of a part to the part."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from earned import Earnings, allow
from guardrails.attribution.models import Touch, attribute, in_order
from guardrails.attribution.settlement import Settlements
from guardrails.attribution.settlement_files import to_csv, to_json
from guardrails.attribution.shares import accounts_of, discounts, postings_of
from guardrails.attribution.values import Revenue
from guardrails.core.bookkeeping import Transaction
from guardrails.core.money import AMOUNT_MOST, CURRENCIES
from guardrails.decide.ports import StoredDecision
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session

AMOUNTS = st.integers(1, 2**53)
BPS = st.integers(0, 10_000)
FORMS = st.sampled_from(["credits", "discount"])
MODELS = st.sampled_from(["last_touch", "linear"])
NAMES = st.sampled_from(["d-0", "d-1", "d-9", None])


@st.composite
def touches(draw) -> list[Touch]:
    return [
        Touch(
            decision_id=f"d-{number}",
            audit_index=number,
            at=instant(10) + timedelta(seconds=draw(st.integers(0, 3))),
            policy_revision="rev-a",
            recipient="r-1",
            sponsor="acme",
            affiliate=draw(st.sampled_from(["blog", "shop", None])),
            affiliate_bps=draw(BPS),
            benefit_bps=draw(BPS),
            benefit_form=draw(FORMS),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


@given(AMOUNTS, touches(), MODELS, NAMES)
def test_parts_sum_to_the_whole_and_shares_to_their_part(amount, found, model, named):
    parts = attribute(amount, in_order(found, named=named), model=model)
    assert sum(part.amount_minor for part in parts) == (amount if found else 0)
    for part in parts:
        assert part.benefit_minor + part.affiliate_minor + part.platform_minor == part.amount_minor
        assert min(part.benefit_minor, part.affiliate_minor, part.platform_minor) >= 0


@given(touches(), NAMES, st.randoms(use_true_random=False))
def test_the_order_in_which_touches_are_found_does_not_matter(found, named, chance):
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert in_order(shuffled, named=named) == in_order(found, named=named)


@given(AMOUNTS, touches(), st.integers(0, 2**54))
def test_what_it_posts_sums_to_zero_whatever_the_sponsor_has(amount, found, has):
    revenue = Revenue(
        id="rev",
        amount_minor=amount,
        currency="EUR",
        at=instant(12),
        recorded_at=instant(12),
        audit_index=0,
        model="linear",
        recipient="r-1",
        sponsor="acme",
        parts=attribute(amount, in_order(found), model="linear"),
    )
    balances = {account: has if account.kind == "sponsor" else 0 for account in accounts_of(revenue)}
    postings = postings_of(revenue, balances)
    Transaction(id="t", kind="test", postings=postings, at=instant(12))  # which holds it to zero
    debits = {each.account.kind: -each.amount for each in postings if each.amount < 0}
    owed = amount - discounts(revenue.parts)
    assert debits.get("sponsor", 0) == min(has, owed)
    assert sum(debits.values()) == owed


class Sent(NamedTuple):
    """An allow of the monetized lane, so many minutes before the conversion, and what became of it."""

    sponsor: str
    campaign: str | None
    offer: str | None
    state: str
    minutes: int

    def allow(self, number: int, shares: Mapping[str, Any]) -> StoredDecision:
        named = {"sponsor": self.sponsor, "campaign": self.campaign, "offer": self.offer}
        return allow(number, at=instant(12) - timedelta(minutes=self.minutes), state=self.state, **named, **shares)


class Report(NamedTuple):
    """Revenue that names a decision or, where that is None, sponsor, campaign and offer."""

    amount_minor: int
    currency: str
    named: int | None
    sponsor: str | None
    campaign: str
    offer: str


SPONSORS = st.sampled_from(["acme", "other"])
CAMPAIGNS = st.sampled_from(["spring", "fall"])
OFFERS = st.sampled_from(["upgrade", "lounge"])
CURRENCY = st.sampled_from(["JPY", "EUR", "KWD", "BHD"])
BOUNDS = st.integers(1, 20) | st.sampled_from([AMOUNT_MOST - 1, AMOUNT_MOST]) | st.integers(1, AMOUNT_MOST)
SHARES = st.sampled_from(
    [
        {},
        {"benefit_bps": 777, "affiliate": "blog", "affiliate_bps": 333},
        {"benefit_bps": 10_000, "form": "discount"},
        {"benefit_bps": 3333, "form": "discount", "affiliate": "blog", "affiliate_bps": 6667},
    ]
)
HISTORIES = st.lists(
    st.builds(
        Sent,
        SPONSORS,
        st.none() | CAMPAIGNS,
        st.none() | OFFERS,
        st.sampled_from(["reserved", "sent", "delivered", "complained", "failed"]),
        st.integers(-5, 70) | st.sampled_from([0, 15, 60]),
    ),
    max_size=8,
)
STEPS = st.lists(
    st.builds(Report, BOUNDS, CURRENCY, st.none() | st.integers(0, 7), st.none() | SPONSORS, CAMPAIGNS, OFFERS)
    | st.integers(0, 9),
    min_size=1,
    max_size=8,
)
"""Reports, and numbers: take back what was reported so many ago."""
TERMS = st.fixed_dictionaries(
    {
        "model": MODELS,
        "across": st.sampled_from(["sponsor", "campaign", "offer"]),
        "window_seconds": st.sampled_from([900, 3600]),
    }
)


def credited(report: Report, history: Sequence[Sent], terms: Mapping[str, Any]) -> set[str]:
    """The decisions that it must be attributed to, said anew from the documentation."""
    is_named = report.named is not None and report.named < len(history)
    if report.named is not None and not is_named:
        return set()
    said = history[report.named] if is_named else report
    key = getattr(said, terms["across"])
    found = [
        (-each.minutes, number)
        for number, each in enumerate(history)
        if each.state in {"sent", "delivered", "complained"}
        and 0 <= each.minutes * 60 < terms["window_seconds"]
        and ((is_named and number == report.named) or (key is not None and getattr(each, terms["across"]) == key))
    ]
    if not found:
        return set()
    found.sort()
    sponsor = said.sponsor or history[found[-1][1]].sponsor
    numbers = [number for _, number in found if history[number].sponsor == sponsor]
    if terms["model"] == "last_touch":
        numbers = [report.named] if is_named and report.named in numbers else numbers[-1:]
    return {f"d-{number}" for number in numbers}


class Booking:
    """What was reported and taken back, with what must hold after each step."""

    def __init__(self, history: Sequence[Sent], shares: Mapping[str, Any], terms: Mapping[str, Any]) -> None:
        self.history, self.terms = history, terms
        self.earnings = Earnings(MemoryTransactor(memory_session), **terms)
        self.earnings.allowed(*(each.allow(number, shares) for number, each in enumerate(history)))
        self.open: list[Revenue] = []
        self.records: list[Revenue] = []

    def take(self, number: int, step: Report | int) -> None:
        if isinstance(step, int):
            if self.open:
                self.records.append(self.earnings.take_back(self.open.pop(step % len(self.open)).id, now=instant(13)))
            return
        by_name = {"recipient": "r-1", "campaign": step.campaign, "offer": step.offer}
        by_name |= {} if step.sponsor is None else {"sponsor": step.sponsor}
        said = by_name if step.named is None else {"decision_id": f"d-{step.named}"}
        revenue = self.earnings.report(f"rev-{number}", step.amount_minor, step.currency, **said)
        assert {part.decision_id for part in revenue.parts} == credited(step, self.history, self.terms)
        assert bool(revenue.parts) == (revenue.why is None)
        self.open.append(revenue)
        self.records.append(revenue)

    def agrees(self) -> None:
        """All that was booked is attributed or not, shared, and in the accounts; so do the month's statements say."""
        balances = self.earnings.balances()
        for currency in ("JPY", "EUR", "KWD", "BHD"):
            records = [each for each in self.records if each.currency == currency]
            booked = sum(each.amount_minor for each in records)
            parts = [part for each in records for part in each.parts]
            unattributed = sum(each.amount_minor for each in records if not each.parts)
            assert sum(part.amount_minor for part in parts) + unattributed == booked
            assert booked == sum(each.amount_minor for each in self.open if each.currency == currency)
            assert all(
                part.benefit_minor + part.affiliate_minor + part.platform_minor == part.amount_minor for part in parts
            )
            assert balances.get(f"platform unattributed {currency}", 0) == unattributed
            assert balances.get(f"platform revenue {currency}", 0) == sum(part.platform_minor for part in parts)
            assert balances.get(f"affiliate blog {currency}", 0) == sum(part.affiliate_minor for part in parts)
            owed = sum(
                sum_
                for name, sum_ in balances.items()
                if name.startswith(("receivable", "outside")) and name.endswith(currency)
            )
            assert owed == booked - discounts(parts)


@given(HISTORIES, SHARES, TERMS, STEPS)
def test_attributed_and_unattributed_sum_to_what_was_booked_after_any_sequence_under_any_terms(
    history, shares, terms, steps
):
    booking = Booking(history, shares, terms)
    for number, step in enumerate(steps):
        booking.take(number, step)
        booking.agrees()
    for revenue in booking.open:
        booking.earnings.take_back(revenue.id)
    assert booking.earnings.balances() == {}


@given(HISTORIES, SHARES, TERMS, STEPS)
def test_the_lines_of_every_statement_sum_to_its_total_in_the_digits_of_its_currency(history, shares, terms, steps):
    booking = Booking(history, shares, terms)
    for number, step in enumerate(steps):
        booking.take(number, step)
    settlements = Settlements(booking.earnings.transactor, zone=lambda: UTC)
    settlement = settlements.settle("2026-12", now=instant(12) + timedelta(days=60))
    assert settlement.differences == ()
    rows = list(csv.DictReader(io.StringIO(to_csv(settlement), newline="")))
    for statement in json.loads(to_json(settlement))["statements"]:
        texts = [line["amount"] for line in statement["lines"]]
        assert sum(map(Decimal, texts)) == Decimal(statement["total"])
        assert {Decimal(text).as_tuple().exponent for text in texts} == {-CURRENCIES[statement["currency"]]}
        names = (statement["kind"], statement["party"] or "", statement["currency"])
        assert texts == [row["amount"] for row in rows if (row["statement"], row["party"], row["currency"]) == names]
    for totals in settlement.totals:
        shared = totals.credits_minor + totals.discounts_minor + totals.affiliates_minor + totals.platform_minor
        assert shared == totals.attributed_minor
        assert totals.attributed_minor + totals.unattributed_minor == totals.booked_minor - totals.reversed_minor

"""Attribution: the parts of a revenue sum to what was booked, and the shares of a part to the part."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from earned import Earnings, allow
from guardrails.attribution.models import Touch, attribute
from guardrails.attribution.shares import accounts_of, discounts, postings_of
from guardrails.attribution.values import Revenue
from guardrails.core.bookkeeping import Transaction
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
    parts = attribute(amount, found, model=model, named=named)
    assert sum(part.amount_minor for part in parts) == (amount if found else 0)
    for part in parts:
        assert part.benefit_minor + part.affiliate_minor + part.platform_minor == part.amount_minor
        assert min(part.benefit_minor, part.affiliate_minor, part.platform_minor) >= 0


@given(AMOUNTS, touches(), MODELS, st.randoms(use_true_random=False))
def test_the_order_in_which_touches_are_found_does_not_matter(amount, found, model, chance):
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert attribute(amount, shuffled, model=model) == attribute(amount, found, model=model)


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
        parts=attribute(amount, found, model="linear"),
    )
    balances = {account: has if account.kind == "sponsor" else 0 for account in accounts_of(revenue)}
    postings = postings_of(revenue, balances)
    Transaction(id="t", kind="test", postings=postings, at=instant(12))  # which holds it to zero
    debits = {each.account.kind: -each.amount for each in postings if each.amount < 0}
    owed = amount - discounts(revenue.parts)
    assert debits.get("sponsor", 0) == min(has, owed)
    assert sum(debits.values()) == owed


def sent(number: int, sponsor: str, state: str, minutes: int) -> StoredDecision:
    return allow(number, sponsor=sponsor, state=state, at=instant(12) - timedelta(minutes=minutes), benefit_bps=777)


HISTORIES = st.lists(
    st.tuples(
        st.sampled_from(["acme", "other"]),
        st.sampled_from(["reserved", "sent", "delivered", "failed"]),
        st.integers(-10, 90),
    ),
    max_size=8,
)


@given(HISTORIES, MODELS, st.lists(st.tuples(AMOUNTS, st.sampled_from(["acme", "other"])), min_size=1, max_size=5))
def test_attributed_and_unattributed_sum_to_what_was_booked_for_any_history(history, model, reported):
    earnings = Earnings(MemoryTransactor(memory_session), model=model, window_seconds=3600)
    earnings.allowed(*(sent(number, *each) for number, each in enumerate(history)))
    said = [
        {"id": f"rev-{n}", "amount_minor": amount, "currency": "EUR", "recipient": "r-1", "sponsor": sponsor}
        for n, (amount, sponsor) in enumerate(reported)
    ]
    revenues = [each.revenue for each in earnings.record(said)]
    balances = earnings.balances()
    unattributed = sum(each.amount_minor for each in revenues if each.why)
    assert balances.get("platform unattributed EUR", 0) == unattributed
    assert sum(each.attributed_minor for each in revenues) + unattributed == sum(amount for amount, _ in reported)
    for revenue in revenues:
        eligible = {
            f"d-{number}"
            for number, (sponsor, state, minutes) in enumerate(history)
            if sponsor == revenue.sponsor and state in {"sent", "delivered"} and 0 <= minutes < 60
        }
        credited = {part.decision_id for part in revenue.parts}
        assert credited == eligible if model == "linear" else credited <= eligible
        assert bool(credited) == bool(eligible)
        earnings.take_back(revenue.id)
    assert earnings.balances() == {}

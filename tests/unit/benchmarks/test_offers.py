"""The benchmark of offers measures what it says: tokens that verify, and redemptions that settle, each once."""

from __future__ import annotations

import pytest
from benchmarks.offers import OFFER, POLICIES, Plan, Shop, time_tokens
from benchmarks.state.application import application
from benchmarks.state.load import Effort

PLAN = Plan(Effort(rounds=2, seconds=0.001), few=10, many=20)


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    with application(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}", policies=tmp_path / "policies.yaml") as opened:
        yield opened


@pytest.mark.parametrize("threads", [1, 16])
def test_every_token_is_redeemed_and_paid_for(opened, threads):
    shop = Shop(opened)
    took, times = shop.redeem(shop.tokens(40), threads)
    assert (len(times), took > 0) == (40, True)
    assert opened.offers.read(OFFER.id).settled == 40
    assert opened.ledger.trial_balance().agrees


def test_a_redemption_that_does_not_settle_ends_the_benchmark(opened):
    shop = Shop(opened)
    tokens = shop.tokens(2)
    shop.redeem(tokens, 1)
    with pytest.raises(RuntimeError, match="not redeemed as it should be"):
        shop.redeem(tokens, 1)


def test_tokens_are_timed_beside_the_bare_signature():
    rows, figures = time_tokens(PLAN)
    assert [row.ratio is None for row in rows] == [True, False, False, True, False, False]
    assert len(figures) == 2

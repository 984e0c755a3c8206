"""SIGKILL at every point of the payment path, commissions and shares included.

After each kill the month's statements agree with the ledger; once what was under way is carried on, money and stock
agree with the payment service's own books, and every account has what it should.

`make soak` does the part that is left to chance many times over.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from faults.payment_kills import PRICE, Kills
from guardrails.attribution.settlement import Settlements
from guardrails.core.bookkeeping import Account
from guardrails.decide.entry import EventEntry, decode_entry
from guardrails.ledger.check import LedgerCheck
from guardrails.offers.redemptions import Redemption
from payment_service import PaymentService
from stores import make_database, open_stores, run, sqlite_url

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # noqa: TID251 - `make soak` asks for more of the same
POINTS_MOST = 60
RUNS = 15

WITHOUT_MONEY = {"declined", "released"}
ENDS = {
    "captured": {"settled"},
    "refunded": {"refunded"},
    "charged_back": {"charged_back"},
    "declined": WITHOUT_MONEY,
    "voided": WITHOUT_MONEY,
}
EVER, MUCH_LATER = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
COMMISSION, BENEFIT, SHARE, OWN = 190, 19, 10, 161
"""A tenth of the price; of it a tenth to the recipient, a twentieth to the affiliate, the rest the platform's."""
CHANCES = {
    "closed_before": 0.08,
    "closed_after": 0.08,
    "error_before": 0.05,
    "error_after": 0.05,
    "nonsense": 0.05,
    "lost_after": 0.02,
}


@dataclass
class Scene:
    url: str
    service: PaymentService
    kills: Kills


@pytest.fixture
def scene(request, tmp_path, store):
    if store == "sqlite":
        url = sqlite_url(tmp_path / "guardrails.db")
        make_database(url)
    else:
        url = request.getfixturevalue("postgres_url")
    with PaymentService(tmp_path / "payments") as service, Kills(url, service.url) as kills:
        yield Scene(url, service, kills)


def kill_everywhere(scene: Scene, scenario: str, kind: str) -> tuple[int, set[str]]:
    """One run for each point there is, killed there, and looked at before and after it is carried on.

    Returns how many points there are, and in which states redemptions ended.
    """
    for point in range(1, POINTS_MOST):
        was_killed = scene.kills.run(scenario, f"{kind}-{point}", kill_at=point)
        statements_agree(scene)
        assert not scene.kills.recover()
        ends = agree(scene)
        if not was_killed:
            return point - 1, set(ends)
    raise AssertionError("it never came to its end")


def statements_agree(scene: Scene) -> None:
    """Every month in which anything was posted, against the ledger, whatever is still under way."""
    transactor = open_stores(scene.url)
    try:
        posted = run(transactor, lambda session: session.ledger.posted(EVER, MUCH_LATER, after=0, most=1_000_000))
        for month in {f"{each.at:%Y-%m}" for _, each in posted}:
            assert Settlements(transactor, zone=lambda: UTC).settle(month, now=MUCH_LATER).differences == (), month
        assert list(LedgerCheck(transactor).differences()) == []
    finally:
        transactor.close()


def agree(scene: Scene) -> dict[str, int]:
    """Hold ours against the payment service's books, and against each other; how many redemptions ended how."""
    statements_agree(scene)
    transactor = open_stores(scene.url)
    try:
        read = run(transactor, _read)
    finally:
        transactor.close()
    redemptions, theirs = read["redemptions"], scene.service.books()
    assert [each.id for each in redemptions if each.due_at is not None] == []
    ends: dict[str, int] = {}
    for each in redemptions:
        ends[each.state] = ends.get(each.state, 0) + 1
        if each.method == "provider":
            standing = theirs[each.id][0]
            assert each.state in ENDS[standing], (each.id, standing)
            assert scene.service.captures(each.id) == (each.state in {"settled", "refunded", "charged_back"})
    assert set(theirs) <= {each.id for each in redemptions}
    paid = [each for each in redemptions if each.settled_at is not None]
    assert sorted(read["settled"]) == sorted(each.id for each in paid)
    kept = sum(each.state == "settled" for each in redemptions)
    assert read["taken"] == kept
    assert read["balances"] == {
        name: balance for name, balance in _expected(redemptions, read["topped_up"]).items() if balance
    }
    return ends


def _expected(redemptions: Sequence[Redemption], topped_up: int) -> dict[str, int]:
    """What stands in every account, by the payments that were taken and not given back."""
    kept = sum(each.state == "settled" for each in redemptions)
    from_wallets = sum(each.state == "settled" and each.method == "wallet" for each in redemptions)
    return {
        "outside bank": topped_up * PRICE,
        "outside provider": (kept - from_wallets) * PRICE,
        "recipient": (topped_up - from_wallets) * PRICE + kept * BENEFIT,
        "sponsor hotel": kept * (PRICE - COMMISSION),
        "affiliate blog": kept * SHARE,
        "platform revenue": kept * OWN,
    }


def _read(session: Any) -> dict[str, Any]:
    entries = [decode_entry(entry) for _, entry in session.audit.read(0, 1_000_000)]
    return {
        "balances": _balances(session),
        "topped_up": len(
            {
                each.id
                for _, each in session.ledger.posted(EVER, MUCH_LATER, after=0, most=1_000_000)
                if each.kind == "top-up"
            }
        ),
        "redemptions": session.redemptions.page("", 1_000_000),
        "taken": sum(each.taken for each in session.offers.page("", 10)),
        "settled": [
            each.body["id"] for each in entries if isinstance(each, EventEntry) and each.event == "redemption.settled"
        ],
    }


def _balances(session: Any) -> dict[str, int]:
    """Of all accounts, by kind and owner, those of recipients in one; what is zero is left out."""
    balances: Counter[str] = Counter()
    for kept in session.ledger.accounts("", 1_000_000, since=0):
        account = Account.of_key(kept.account)
        balances[account.kind if account.kind == "recipient" else f"{account.kind} {account.owner}"] += kept.balance
    return {name: balance for name, balance in balances.items() if balance}


@pytest.mark.parametrize(
    ("scenario", "kind", "points", "ends", "store"),
    [
        ("pay", "rich", 13, {"settled"}, "sqlite"),
        ("pay", "rich", 13, {"settled"}, "postgresql"),
        ("pay", "poor", 8, {"declined"}, "sqlite"),
        ("pay", "lapsed", 18, {"released"}, "sqlite"),
        ("wallet", "rich", 3, {"settled"}, "sqlite"),
        ("refund", "rich", 8, {"settled", "refunded"}, "sqlite"),
        ("refund", "rich", 8, {"settled", "refunded"}, "postgresql"),
        ("wallet refund", "rich", 3, {"settled", "refunded"}, "sqlite"),
        ("wallet refund", "rich", 3, {"settled", "refunded"}, "postgresql"),
    ],
)
def test_killed_at_every_point_money_and_stock_agree(scene, scenario, kind, points, ends):
    assert kill_everywhere(scene, scenario, kind) == (points, ends)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_killed_at_every_point_of_a_chargeback_that_is_told_again(scene):
    """Whoever tells of it had no answer, and tells it again: it is taken back once, with all that it had earned."""
    for point in range(1, POINTS_MOST):
        recipient = f"rich-{point}"
        scene.kills.run("pay", recipient, kill_at=0)
        scene.service.charge_back(f"red-{recipient}")
        was_killed = scene.kills.run("told of a chargeback", recipient, kill_at=point)
        statements_agree(scene)
        assert not scene.kills.run("told of a chargeback", recipient, kill_at=0)
        assert agree(scene) == {"charged_back": point}
        if not was_killed:
            assert point == 4  # before the unit, before its commit, after it; and to the end
            return


@pytest.mark.parametrize("store", ["sqlite"])
def test_killed_at_every_point_of_giving_up_a_payment_service_that_never_answers(scene):
    was_killed, point = True, 0
    while was_killed:
        point += 1
        scene.service.misbehave_by_chance({"closed_after": 1.0})
        was_killed = scene.kills.run("give up", f"rich-{point}", kill_at=point)
        scene.service.misbehave_by_chance({})
        statements_agree(scene)
        assert not scene.kills.recover()
    assert set(agree(scene)) == {"settled", "released"}


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_killed_again_and_again_over_a_payment_service_that_misbehaves(scene):
    chance = random.Random(ROUNDS)
    scene.service.misbehave_by_chance(CHANCES, seed=ROUNDS)
    for number in range(RUNS * ROUNDS):
        kind = chance.choice(["rich", "rich", "rich", "poor", "lapsed"])
        scene.kills.run("pay", f"{kind}-{number}", kill_at=chance.randint(0, 20))
        if chance.random() < 0.3:
            scene.kills.recover(kill_at=chance.randint(1, 30))
        if chance.random() < 0.1:
            scene.service.kill()
            scene.service.start()
            scene.service.misbehave_by_chance(CHANCES, seed=number)
    scene.service.misbehave_by_chance({})
    assert not scene.kills.recover()
    assert agree(scene)["settled"] > 0

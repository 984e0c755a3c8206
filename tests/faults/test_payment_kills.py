"""SIGKILL at every point of the payment path: afterwards money and stock agree with the payment service's own books.

`make soak` does the part that is left to chance many times over.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Any

import pytest

from faults.payment_kills import PRICE, Kills
from guardrails.core.bookkeeping import Account
from guardrails.decide.entry import EventEntry, decode_entry
from guardrails.ledger.check import LedgerCheck
from payment_service import PaymentService
from stores import make_database, open_stores, run, sqlite_url

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # noqa: TID251 - `make soak` asks for more of the same
POINTS_MOST = 60
RUNS = 15

WITHOUT_MONEY = {"declined", "released"}
ENDS = {"captured": {"settled"}, "refunded": {"refunded"}, "declined": WITHOUT_MONEY, "voided": WITHOUT_MONEY}
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


def kill_everywhere(scene: Scene, scenario: str, kind: str) -> int:
    """One run for each point there is, killed there; how many there are."""
    for point in range(1, POINTS_MOST):
        if not scene.kills.run(scenario, f"{kind}-{scenario}-{point}", kill_at=point):
            return point - 1
    raise AssertionError("it never came to its end")


def agree(scene: Scene) -> dict[str, int]:
    """Hold ours against the payment service's books, and against each other; how many redemptions ended how."""
    transactor = open_stores(scene.url)
    try:
        read = run(transactor, _read)
        assert list(LedgerCheck(transactor).differences()) == []
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
            assert scene.service.captures(each.id) == (each.state in {"settled", "refunded"})
    assert set(theirs) <= {each.id for each in redemptions}
    paid = [each for each in redemptions if each.settled_at is not None]
    assert sorted(read["settled"]) == sorted(each.id for each in paid)
    kept = sum(each.state == "settled" for each in redemptions)
    assert read["taken"] == kept
    assert read["platform"] == len(paid) * PRICE // 10
    assert read["sponsor"] - read["shortfall"] == kept * PRICE - read["platform"]
    return ends


def _read(session: Any) -> dict[str, Any]:
    accounts = {
        "sponsor": Account("sponsor", "hotel", "EUR"),
        "platform": Account("platform", "own", "EUR"),
        "shortfall": Account("shortfall", "sponsor:hotel", "EUR"),
    }
    balances = session.ledger.balances(list(accounts.values()))
    entries = [decode_entry(entry) for _, entry in session.audit.read(0, 1_000_000)]
    return {
        **{name: balances[account] for name, account in accounts.items()},
        "redemptions": session.redemptions.page("", 1_000_000),
        "taken": sum(each.taken for each in session.offers.page("", 10)),
        "settled": [
            each.body["id"] for each in entries if isinstance(each, EventEntry) and each.event == "redemption.settled"
        ],
    }


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
    ],
)
def test_killed_at_every_point_money_and_stock_agree(scene, scenario, kind, points, ends):
    assert kill_everywhere(scene, scenario, kind) == points
    assert not scene.kills.recover()
    assert set(agree(scene)) == ends


@pytest.mark.parametrize("store", ["sqlite"])
def test_killed_at_every_point_of_giving_up_a_payment_service_that_never_answers(scene):
    was_killed, point = True, 0
    while was_killed:
        point += 1
        scene.service.misbehave_by_chance({"closed_after": 1.0})
        was_killed = scene.kills.run("give up", f"rich-{point}", kill_at=point)
        scene.service.misbehave_by_chance({})
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

"""64 clients in 8 processes redeem at once: exactly as many win as there are units, and everyone is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

import redemption_worker
from guardrails.signing import SigningKeys
from guardrails.stores import open_stores
from offer_terms import offer
from redeeming import SPONSOR, Rig, wallet
from stores import instant, sqlite_url

PROCESSES = THREADS = 8
ALL = PROCESSES * THREADS
PRICE = 1900

Asked = Sequence[tuple[str, str, str]]


class Load(NamedTuple):
    """What stands behind the clients, and what they are told."""

    rig: Rig
    redeem: Callable[[Asked], Counter[str]]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def load(request, tmp_path):
    path = tmp_path / "keys.json"
    keys = SigningKeys.open(path, now=instant(0))
    url = "memory:"
    if request.param != "memory":
        is_sqlite = request.param == "sqlite"
        url = sqlite_url(tmp_path / "g.db") if is_sqlite else request.getfixturevalue("postgres_url")
    transactor = open_stores(url, deadline=redemption_worker.PATIENCE)
    rig = Rig(transactor, keys=keys)

    def in_threads(asked: Asked) -> Counter[str]:
        return Counter(redemption_worker.redeem_all(transactor, keys, asked))

    yield Load(rig, in_threads if url == "memory:" else lambda asked: _in_processes(url, path, asked))
    transactor.close()


def _in_processes(url: str, keys: Path, asked: Asked) -> Counter[str]:
    command = [sys.executable, redemption_worker.__file__, json.dumps({"url": url, "keys": str(keys)})]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(PROCESSES)
        ]
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * PROCESSES
        for place, worker in enumerate(workers):
            worker.stdin.write(json.dumps(asked[place::PROCESSES]) + "\n")
            worker.stdin.flush()
        return Counter(told for worker in workers for told in json.loads(worker.stdout.readline()))


@pytest.mark.parametrize("stock", [1, 7])
def test_of_a_stock_as_many_are_sold_as_there_are(load, stock):
    rig, redeem = load
    rig.register(offer(stock=stock, amount_minor=PRICE))
    people = [f"r-{number}" for number in range(ALL)]
    for number, recipient in enumerate(people):
        rig.decided(number, recipient)
        rig.top_up(recipient, PRICE)
    told = redeem([(rig.token(number, recipient=each), each, f"o-{number}") for number, each in enumerate(people)])
    assert told == {"settled, new": stock, "offer.sold_out": ALL - stock}
    assert rig.taken() == stock
    assert rig.balances(SPONSOR) == [stock * PRICE]
    assert sum(rig.balances(*map(wallet, people))) == (ALL - stock) * PRICE
    assert Counter(name for name, _ in rig.events()) == {"redemption.settled": stock}


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (["mine"] * ALL, {"settled, new": 1, "settled, again": ALL - 1}),
        ([f"o-{number}" for number in range(ALL)], {"settled, new": 1, "redemption.held": ALL - 1}),
    ],
)
def test_one_token_is_redeemed_once(load, ids, wanted):
    rig, redeem = load
    rig.register(offer(amount_minor=PRICE, per_recipient=ALL))
    rig.decided()
    rig.top_up(amount=ALL * PRICE)
    token = rig.token()
    assert redeem([(token, "anna", id_) for id_ in ids]) == wanted
    assert rig.balances(wallet(), SPONSOR) == [(ALL - 1) * PRICE, PRICE]


def test_a_recipient_gets_no_more_than_they_may_and_no_wallet_pays_what_it_has_not(load):
    rig, redeem = load
    rig.register(offer(amount_minor=PRICE, per_recipient=5))
    for number in range(ALL):
        rig.decided(number)
    rig.top_up(amount=3 * PRICE + 1)
    told = redeem([(rig.token(number), "anna", f"o-{number}") for number in range(ALL)])
    assert told == {"settled, new": 3, "declined, new": ALL - 3}
    assert rig.balances(wallet(), SPONSOR) == [1, 3 * PRICE]
    assert rig.taken() == 3

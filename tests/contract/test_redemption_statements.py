"""How many statements a group of redemptions takes: as many as one does, with all that it earns."""

from __future__ import annotations

from typing import Any

import pytest

from earned import Earnings, allow
from guardrails.attribution.commissions import Commissions
from guardrails.core.policy_set import Attribution
from guardrails.offers.redemption_service import _Answered, _Refund
from guardrails.offers.redemptions import RedemptionRequest, RefundRequest
from guardrails.storage.connections import Database
from offer_terms import offer
from redeeming import NOW, Rig, answer
from round_trips import statements
from stores import instant, sql_session, sqlite_url

SHARED = {"benefit_bps": 1000, "affiliate": "blog", "affiliate_bps": 500, "offer": "upgrade", "sponsor": "hotel"}
MANY = 30


class OneUnit:
    """A transactor whose calls are all part of one unit."""

    def __init__(self, connection: Any) -> None:
        self.session = sql_session(connection)

    def call(self, handler: Any, item: Any, **_: Any) -> Any:
        (result,) = handler(self.session, [item])
        return result


@pytest.fixture(params=["sqlite", "postgresql"])
def rig(request, tmp_path):
    url = sqlite_url(tmp_path / "g.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(url)
    with database.unit() as connection:
        commissions = Commissions(terms=Attribution)
        rig = Rig(OneUnit(connection), on_settled=commissions.settled, on_taken_back=commissions.taken_back)
        rig.engine = connection.engine
        rig.register(offer(commission_bps=1000), offer("paid", commission_bps=1000, payment="provider"))
        for number in range(1 + MANY):
            recipient = f"r-{number}"
            rig.top_up(recipient)
            Earnings(rig.transactor).allowed(allow(number, at=instant(10), recipient=recipient, **SHARED))
        yield rig
    database.close()


def spoken(rig, handler, items) -> list[str]:
    """What a handler says to the database for a group, within a unit that said nothing before."""
    rig.transactor.session = sql_session(rig.transactor.session.ledger._connection)
    with statements(rig.engine) as said:
        results = handler(rig.transactor.session, items)
    assert not [each for each in results if isinstance(each, Exception)]
    return said


def ledger_calls(said) -> tuple[int, int]:
    """How many statements read the ledger, and how many write it."""
    of_it = [each for each in said if "ledger_" in each]
    reads = sum(each.startswith("SELECT") for each in of_it)
    return reads, len(of_it) - reads


def refunds(numbers):
    return [_Refund(f"red-{number}", RefundRequest(kind="refund"), NOW) for number in numbers]


def takings(rig, numbers, offer_id="upgrade"):
    return [
        rig.redemptions._taking(
            rig.token(number, recipient=f"r-{number}", offer=offer_id),
            RedemptionRequest(recipient=f"r-{number}", id=f"red-{number}"),
            NOW,
        )
        for number in numbers
    ]


def test_many_redemptions_take_as_many_statements_as_one(rig):
    one = spoken(rig, rig.redemptions._redeem, takings(rig, [0]))
    many = spoken(rig, rig.redemptions._redeem, takings(rig, range(1, 1 + MANY)))
    assert (len(one), len(many)) == (20, 20)
    assert ledger_calls(one) == ledger_calls(many) == (3, 3)


def test_many_refunds_take_as_many_statements_as_one(rig):
    spoken(rig, rig.redemptions._redeem, takings(rig, range(1 + MANY)))
    one = spoken(rig, rig.redemptions._refund, refunds([0]))
    many = spoken(rig, rig.redemptions._refund, refunds(range(1, 1 + MANY)))
    assert len(one) == len(many)
    assert ledger_calls(one) == ledger_calls(many) == (3, 3)
    assert set(Earnings(rig.transactor).balances()) == {
        "outside bank EUR",
        *(f"recipient r-{number} EUR" for number in range(1 + MANY)),
    }


def test_many_answers_of_a_payment_service_take_as_many_statements_as_one(rig):
    reserved = rig.redemptions._redeem(rig.transactor.session, takings(rig, range(1 + MANY), "paid"))
    answered = [_Answered(each.redemption, answer("capture"), NOW) for each in reserved]
    one = spoken(rig, rig.redemptions._apply, answered[:1])
    many = spoken(rig, rig.redemptions._apply, answered[1:])
    assert len(one) == len(many)
    assert ledger_calls(one) == ledger_calls(many) == (3, 3)
    assert Earnings(rig.transactor).balances()["outside provider EUR"] == (1 + MANY) * 1900

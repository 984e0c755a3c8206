"""The worked month of docs/revenue.md: every figure in it is what the service computes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from earned import Earnings, allow
from guardrails.attribution.commissions import Commissions
from guardrails.attribution.settlement import Settlement, Settlements
from guardrails.core.money import decimal_text
from guardrails.core.policy_set import Attribution
from guardrails.storage.memory import MemoryTransactor
from offer_terms import offer
from redeeming import Rig
from stores import instant, memory_session

PAGE = Path(__file__).parents[2] / "docs" / "revenue.md"
SHARES = {"benefit_bps": 2000, "affiliate": "blog", "affiliate_bps": 1000}


def december() -> Settlement:
    transactor = MemoryTransactor(memory_session)
    commissions = Commissions(terms=Attribution)
    rig = Rig(transactor, on_settled=commissions.settled, on_taken_back=commissions.taken_back)
    earnings = Earnings(transactor)
    rig.register(offer(commission_bps=1000))
    rig.top_up()
    earnings.allowed(allow(1, at=instant(10), recipient="anna", sponsor="hotel", offer="upgrade", **SHARES))
    rig.redeem(rig.token(), id="red-1")
    earnings.report("order-1001", 1250, decision_id="d-1", now=on(5))
    earnings.report("order-1002", 99, decision_id="d-1", now=on(6))
    earnings.report("order-1003", 500, recipient="anna", sponsor="hotel", now=on(20))
    earnings.take_back("order-1001", id="back-1001", now=on(28))
    return Settlements(transactor, zone=lambda: UTC).settle("2026-12", now=datetime(2027, 1, 2, tzinfo=UTC))


def on(day: int) -> datetime:
    return datetime(2026, 12, day, 12, tzinfo=UTC)


def rows(settlement: Settlement) -> Iterator[str]:
    """The statements as the page's table, and the totals."""
    for statement in settlement.statements:
        party = f"{statement.kind} `{statement.party}`"
        for line in statement.lines:
            what = line.what if line.reverses is None else f"{line.what}, takes back entry {line.reverses_audit_index}"
            money = decimal_text(line.amount_minor, statement.currency)
            booked = f"{line.recorded_at.day} December"
            yield f"| {party} | {booked} | `{line.reference}`: {what} | {line.audit_index} | {money} |"
        total = decimal_text(statement.total_minor, statement.currency)
        yield f"| **{party}** | | **remains** | | **{total}** |"


def sums(settlement: Settlement) -> str:
    (totals,) = settlement.totals
    names = ("booked", "reversed", "attributed", "unattributed", "credits", "affiliates", "platform")
    said = {name: decimal_text(getattr(totals, f"{name}_minor"), totals.currency) for name in names}
    return (
        f"booked {said['booked']} less {said['reversed']} taken back is {said['attributed']} attributed and "
        f"{said['unattributed']} not;\n{said['attributed']} is {said['credits']} to recipients, {said['affiliates']} "
        f"to affiliates and {said['platform']} to the platform"
    )


def test_the_worked_month_is_what_the_service_computes():
    settlement = december()
    assert settlement.differences == ()
    page = PAGE.read_text(encoding="utf-8")
    table = page.partition("| statement | booked | line | entry | EUR |\n|---|---|---|---|---:|\n")[2].partition(
        "\n\n"
    )[0]
    assert table.splitlines() == list(rows(settlement))
    assert sums(settlement) in page

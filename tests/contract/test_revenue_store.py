from __future__ import annotations

import pytest

from guardrails.attribution.store import Place, StoredRevenue
from guardrails.attribution.values import Part, Revenue, Shortfall
from guardrails.errors import DependencyError
from stores import instant

PART = Part(
    decision_id="d-1",
    audit_index=7,
    at=instant(9),
    policy_revision="r1",
    amount_minor=1000,
    platform_minor=850,
    benefit_minor=100,
    benefit_form="credits",
    affiliate_minor=50,
    affiliate="partner",
    campaign="spring",
    offer="upgrade",
    arm="a",
)


def revenue(id_="rev-1", **changes) -> StoredRevenue:
    fields = {
        "id": id_,
        "amount_minor": 1000,
        "currency": "EUR",
        "at": instant(10, microsecond=1),
        "recorded_at": instant(11),
        "audit_index": 20,
        "model": "linear",
        "recipient": "r-1",
        "sponsor": "acme",
    }
    return StoredRevenue(Revenue(**(fields | changes)), id_.encode())


def append(do, *stored):
    do(lambda session: session.revenues.append(stored))


def ids(found):
    return [each.id for each in found]


def test_a_record_comes_back_as_it_was_kept(do):
    whole = revenue(conversion="c-1", parts=(PART,), transaction="t-1")
    bare = revenue("rev-2", recipient=None, sponsor=None, why="no_such_decision", amount_minor=2**53)
    append(do, whole, bare)
    assert do(lambda session: session.revenues.by_id(["rev-1", "rev-2", "rev-3"])) == {"rev-1": whole, "rev-2": bare}


def test_a_record_says_what_took_it_back(do):
    reversal = revenue(
        "back",
        amount_minor=-1000,
        reverses="rev-1",
        reason="returned",
        shortfalls=(Shortfall(kind="recipient", owner="r-1", amount_minor=3),),
        audit_index=21,
    )
    append(do, revenue(), reversal)
    found = do(lambda session: session.revenues.by_id(["rev-1", "back"]))
    assert found["rev-1"].revenue.reversed_by == "back"
    assert found["back"] == reversal


def earned(do, conversions):
    found = do(lambda session: session.revenues.by_conversion(conversions))
    return {conversion: each.id for conversion, each in found.items()}


def test_a_conversion_is_free_again_once_its_revenue_is_taken_back(do):
    append(do, revenue(conversion="c-1"), revenue("rev-2", conversion="c-2"))
    append(do, revenue("back", reverses="rev-1"))
    asked = ["c-1", "c-2", "c-3"]
    assert earned(do, asked) == {"c-2": "rev-2"}
    append(do, revenue("rev-3", conversion="c-1"))
    assert earned(do, asked) == {"c-1": "rev-3", "c-2": "rev-2"}
    (found,) = do(lambda session: session.revenues.by_conversion(["c-1"])).values()
    assert found == revenue("rev-3", conversion="c-1").revenue


def test_what_was_booked_is_read_in_order_and_in_pages(do):
    append(
        do,
        revenue("d", recorded_at=instant(12), audit_index=4),
        revenue("b", recorded_at=instant(11), audit_index=2),
        revenue("c", recorded_at=instant(11), audit_index=3),
        revenue("a", recorded_at=instant(10), audit_index=1),
        revenue("e", recorded_at=instant(13), audit_index=5),
    )
    start, until = Place(instant(10), -1), instant(13)
    first = do(lambda session: session.revenues.booked(start, until, 2))
    assert ids(first) == ["a", "b"]
    rest = do(lambda session: session.revenues.booked(Place(instant(11), 2), until, 9))
    assert ids(rest) == ["c", "d"]
    assert ids(do(lambda session: session.revenues.booked(Place(instant(10, microsecond=1), -1), until, 1))) == ["b"]


def test_what_is_recorded_of_a_recipient_is_read_oldest_first(do):
    append(
        do,
        revenue("late", recorded_at=instant(12)),
        revenue("other", recipient="r-2"),
        revenue("early"),
        revenue("nobody's", recipient=None),
    )
    assert ids(do(lambda session: session.revenues.of_recipient("r-1"))) == ["early", "late"]
    assert ids(do(lambda session: session.revenues.of_recipient("r-3"))) == []


def test_nothing_is_kept_of_a_unit_that_failed(do):
    def fails(session):
        session.revenues.append([revenue(conversion="c-1"), revenue("back", reverses="rev-1")])
        raise LookupError

    with pytest.raises(LookupError):
        do(fails)
    assert do(lambda session: session.revenues.by_id(["rev-1", "back"])) == {}
    assert do(lambda session: session.revenues.by_conversion(["c-1"])) == {}


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_a_database_refuses_a_second_reversal(do):
    append(do, revenue(), revenue("back", reverses="rev-1"))
    with pytest.raises(DependencyError, match=r"(?i)unique"):
        append(do, revenue("again", reverses="rev-1"))

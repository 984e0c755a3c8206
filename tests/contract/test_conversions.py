"""Conversion sessions as callers have them, on every store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conversions import FREE, NOON, RECIPIENT, conversions_over, offer, token
from guardrails.decide.entry import decode_entry
from guardrails.errors import CandidateError, ConflictError, GoneError, NotFoundError
from guardrails.offers.conversion_service import Changed, Conversions
from guardrails.offers.conversion_unit import convert
from guardrails.offers.conversions import KEPT, ConversionRequest, ConversionSession, StepDone, StepReport
from guardrails.offers.redemptions import Redemption
from stores import stored_decision

SECOND = timedelta(seconds=1)
ENDS = NOON + timedelta(seconds=300)


@pytest.fixture
def conversions(transactor) -> Conversions:
    return conversions_over(transactor)


def request(token_=None, recipient=RECIPIENT, id_=None) -> ConversionRequest:
    return ConversionRequest(token_ or token(), recipient, id_)


def refused(call, *arguments, now) -> tuple[type, str]:
    with pytest.raises(CandidateError) as refusal:
        call(*arguments, now=now)
    return type(refusal.value), refusal.value.code


def events(do) -> list[tuple[str, str | None, dict]]:
    found = do(lambda session: [decode_entry(entry) for _, entry in session.audit.read(0, 100)])
    return [(each.event, each.decision_id, each.body) for each in found]


def settle(do, id_, at) -> list[str]:
    return do(lambda session: [each.id for each in convert(session, {id_: at})])


def test_a_session_has_the_steps_and_the_time_of_its_offer(do, conversions):
    opened = conversions.open(request(), now=NOON)
    told = ConversionSession(
        id="k-1",
        decision_id="d-1",
        offer="upgrade",
        recipient=RECIPIENT,
        state="open",
        steps=("view", "confirm", "pay"),
        done=(),
        opened_at=NOON,
        ends_at=ENDS,
    )
    assert Changed(told, is_new=True) == opened
    assert conversions.find("k-1", now=NOON) == told
    assert events(do) == [
        (
            "conversion.opened",
            "d-1",
            {
                "id": "k-1",
                "offer": "upgrade",
                "steps": ["view", "confirm", "pay"],
                "ends_at": "2026-12-01T12:05:00Z",
            },
        )
    ]


def test_a_session_ends_with_its_token(conversions):
    ending = token(expires_at=NOON + timedelta(seconds=40))
    assert conversions.open(request(ending), now=NOON).conversion.ends_at == NOON + timedelta(seconds=40)


def test_a_request_sent_again_has_the_same_answer_even_when_its_token_expired(do, conversions):
    first = conversions.open(request(id_="mine"), now=NOON)
    assert conversions.open(request(id_="mine"), now=NOON + SECOND) == Changed(first.conversion, is_new=False)
    late = conversions.open(request(id_="mine"), now=NOON + timedelta(hours=2))
    assert (late.conversion.id, late.conversion.state, late.is_new) == ("mine", "ended", False)
    assert len(events(do)) == 1


def test_an_id_is_of_one_request(conversions):
    conversions.open(request(id_="mine"), now=NOON)
    taken = (ConflictError, "conversion.id_taken")
    assert refused(conversions.open, request(token("d-2"), id_="mine"), now=NOON) == taken
    assert refused(conversions.open, request(recipient="r-2", id_="mine"), now=NOON) == taken


@pytest.mark.parametrize(
    ("asked", "now", "wanted"),
    [
        (request("no token"), NOON, (CandidateError, "token.invalid")),
        (request(token()[:-4] + "AAAA"), NOON, (CandidateError, "token.invalid")),
        (request(), NOON + timedelta(hours=1), (GoneError, "token.expired")),
        (request(recipient="r-2"), NOON, (ConflictError, "token.other_recipient")),
        (request(token(of=offer("gone"))), NOON, (GoneError, "offer.withdrawn")),
        (request(token(of=offer("nobodys"))), NOON, (NotFoundError, "offer.unregistered")),
        (request(token("d-3")), NOON, (ConflictError, "decision.cancelled")),
        (request(token(expires_at=NOON + KEPT + SECOND)), NOON, (ConflictError, "token.early")),
        (request(token("d-2")), NOON, (ConflictError, "redemption.held")),
        (request(token(of=offer("later"))), NOON, (ConflictError, "offer.not_begun")),
    ],
)
def test_a_token_that_is_not_good_opens_nothing(do, transactor, asked, now, wanted):
    conversions = conversions_over(transactor, offer(), offer("gone"), offer("later", begins_at=NOON + SECOND))
    do(lambda session: session.offers.withdraw(["gone"], NOON))
    do(lambda session: session.decisions.insert([stored_decision(3, state="cancelled")]))
    redeem(do, "upgrade", "d-2")
    assert refused(conversions.open, asked, now=now) == wanted
    assert events(do) == []


def test_a_token_has_one_open_session_and_another_once_that_ended(conversions):
    conversions.open(request(), now=NOON)
    assert refused(conversions.open, request(), now=ENDS - SECOND) == (ConflictError, "conversion.second_tab")
    assert conversions.open(request(token("d-2")), now=ENDS - SECOND).is_new
    again = conversions.open(request(), now=ENDS)
    assert again.is_new
    assert refused(conversions.open, request(), now=ENDS + SECOND) == (ConflictError, "conversion.second_tab")


@pytest.mark.parametrize("of", [FREE, offer("paid", steps=("view", "confirm"))])
def test_steps_that_are_done_convert_nothing(do, transactor, of):
    conversions = conversions_over(transactor, of)
    conversions.open(request(token(of=of)), now=NOON)
    conversions.step("k-1", StepReport("view", 1), now=NOON + SECOND)
    last = conversions.step("k-1", StepReport("confirm", 2), now=NOON + 2 * SECOND)
    done = (StepDone("view", NOON + SECOND), StepDone("confirm", NOON + 2 * SECOND))
    assert (last.conversion.state, last.conversion.done, last.is_new) == ("open", done, True)
    assert conversions.find("k-1", now=ENDS).state == "ended"
    said = {"id": "k-1", "offer": of.id}
    assert events(do)[1:] == [
        ("conversion.step", "d-1", {**said, "step": "view", "number": 1}),
        ("conversion.step", "d-1", {**said, "step": "confirm", "number": 2}),
    ]


def test_a_step_reported_again_is_answered_and_not_recorded(do, conversions):
    conversions.open(request(), now=NOON)
    first = conversions.step("k-1", StepReport("view"), now=NOON + SECOND)
    assert conversions.step("k-1", StepReport("view"), now=NOON + 2 * SECOND) == Changed(first.conversion, is_new=False)
    assert len(events(do)) == 2


def test_a_step_that_is_refused_leaves_no_trace(do, conversions):
    opened = conversions.open(request(), now=NOON).conversion
    out_of_order = (ConflictError, "conversion.out_of_order")
    assert refused(conversions.step, "k-1", StepReport("pay"), now=NOON + SECOND) == out_of_order
    assert refused(conversions.step, "k-1", StepReport("view"), now=ENDS) == (GoneError, "conversion.late")
    assert conversions.find("k-1", now=NOON) == opened
    assert len(events(do)) == 1


def test_nothing_is_known_of_other_ids(conversions):
    with pytest.raises(NotFoundError, match=r"^no conversion `k-9` is kept$"):
        conversions.step("k-9", StepReport("view"), now=NOON)
    with pytest.raises(NotFoundError, match=r"^no conversion `k-9` is kept$"):
        conversions.find("k-9", now=NOON)


def test_a_session_converts_when_its_redemption_settles(do, conversions):
    conversions.open(request(), now=NOON)
    conversions.step("k-1", StepReport("view"), now=NOON + SECOND)
    conversions.step("k-1", StepReport("confirm"), now=NOON + 2 * SECOND)
    paid_at = ENDS + SECOND
    assert settle(do, "k-1", paid_at) == ["k-1"]
    found = conversions.find("k-1", now=paid_at)
    assert (found.state, found.converted_at, found.done[-1]) == ("converted", paid_at, StepDone("pay", paid_at))
    assert events(do)[-1] == ("conversion.converted", "d-1", {"id": "k-1", "offer": "upgrade", "steps": 3})
    assert settle(do, "k-1", paid_at + SECOND) == []
    assert settle(do, "k-unknown", paid_at) == []
    assert len(events(do)) == 4
    assert refused(conversions.open, request(), now=paid_at + SECOND) == (ConflictError, "conversion.done")


def test_a_payment_that_settles_late_ends_the_session_that_was_opened_meanwhile(do, conversions):
    conversions.open(request(), now=NOON)
    conversions.open(request(), now=ENDS + SECOND)
    paid_at = ENDS + 2 * SECOND
    assert settle(do, "k-1", paid_at) == ["k-1"]
    other = conversions.find("k-2", now=paid_at)
    assert (other.state, other.ends_at) == ("ended", paid_at)
    assert refused(conversions.step, "k-2", StepReport("view"), now=paid_at) == (GoneError, "conversion.late")
    assert settle(do, "k-2", paid_at) == []  # a token converts once
    assert conversions.find("k-2", now=paid_at).state == "ended"


def redeem(do, of, decision_id, recipient=RECIPIENT):
    taken = Redemption(
        id=f"r-{decision_id}",
        decision_id=decision_id,
        offer=of,
        recipient=recipient,
        sponsor="hotel-meridian",
        state="settled",
        method="none",
        amount_minor=0,
        currency="EUR",
        body_hash=b"1" * 32,
        recorded_at=NOON,
    )
    do(lambda session: (session.redemptions.insert([taken]), session.offers.take({of: 1})))


def test_a_payment_under_way_is_carried_on_though_its_offer_was_withdrawn(do, conversions):
    conversions.open(request(), now=NOON)
    do(lambda session: session.offers.withdraw(["upgrade"], NOON))
    for number, step in enumerate(("view", "confirm", "pay"), start=1):
        assert conversions.step("k-1", StepReport(step, number), now=NOON).is_new


def test_sessions_are_forgotten_after_thirty_days_when_their_token_is_over(conversions):
    conversions.open(request(token(expires_at=NOON + KEPT)), now=NOON)
    assert conversions.forget(ENDS + KEPT) == 0
    assert conversions.forget(ENDS + KEPT + SECOND) == 1
    with pytest.raises(NotFoundError):
        conversions.find("k-1", now=NOON)


def test_each_item_of_a_group_sees_those_before_it(do, transactor, conversions):
    """As many calls that arrive together are one unit: its items are taken one after the other."""
    from guardrails.offers.conversion_service import _open, _Opening, _step, _Stepping  # noqa: PLC0415
    from guardrails.offers.token_checks import TokenChecked  # noqa: PLC0415

    claims = TokenChecked(conversions._tokens().read_offer(token(), NOON))
    openings = [_Opening(id_, request(id_=id_), claims, NOON) for id_ in ("a", "b", "a")]
    first, second, third = do(lambda session: _open(session, openings))
    assert (first.is_new, second.code, third.is_new) == (True, "conversion.second_tab", False)
    steppings = [_Stepping("a", StepReport(step), NOON + SECOND) for step in ("view", "view", "confirm", "view")]
    results = do(lambda session: _step(session, steppings))
    assert [each.is_new for each in results[:3]] == [True, False, True]
    assert results[3].code == "conversion.out_of_order"
    assert len(conversions.find("a", now=NOON).done) == 2
    assert [event for event, _, _ in events(do)] == ["conversion.opened", "conversion.step", "conversion.step"]

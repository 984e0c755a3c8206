"""The way back of the spool: into the log in order, exactly once, whatever happens on the way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.audit import FileSpool, MemorySpool
from guardrails.decide.drain import STEP_ENTRIES, Drained
from guardrails.decide.outcomes import OutcomeReport
from guardrails.errors import DependencyError, NotFoundError
from guardrails.stores import open_stores
from route import KEEP, LEASE, NOW, TRANSACTIONAL, Route, candidate, codes, effects

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: one, kind: frequency_cap, limit: 1, per: [recipient], window: {rolling: 24h}}
  - {id: budget, kind: frequency_cap, limit: 1000, per: [], window: {calendar: day, timezone: UTC}}
"""


@pytest.fixture
def route(url, tmp_path):
    made = Route(open_stores(url), policies=POLICIES, spool=FileSpool(tmp_path / "spool"))
    yield made
    made.close()


def receipt(candidate_id="t", **rest):
    return candidate(candidate_id, **TRANSACTIONAL | rest)


def during_an_outage(route, *candidates):
    route.stores.is_down = True
    answers = route.decide(*candidates)
    route.stores.is_down = False
    return answers


def row_of(route, answer):
    return route.rows()[answer.decision.decision_id]


def test_where_nothing_waits_nothing_is_done(route):
    assert route.application.drain.step() == Drained(0, 0)
    assert route.entries() == []


def test_what_was_answered_is_in_the_log_as_it_was_answered(route):
    answers = during_an_outage(route, candidate("m"), receipt("t"))
    lines = list(route.spool.read())
    assert route.application.drain.step() == Drained(2, 0)
    assert [data for _, data in route.application.audit.entries()] == lines
    assert [entry.decision for entry in route.entries()] == [answer.decision for answer in answers]
    assert all(entry.decision.audit.spooled for entry in route.entries())
    assert route.spool.is_empty


def test_the_log_goes_on_behind_what_it_held(route):
    (before,) = route.decide(receipt("a"))
    (meanwhile,) = during_an_outage(route, receipt("b"))
    (after,) = route.decide(receipt("c"))
    route.drain()
    assert [entry.decision for entry in route.entries()] == [each.decision for each in (before, after, meanwhile)]
    assert row_of(route, meanwhile).audit_index == 2


def test_its_decisions_can_be_read_back_and_reported_on(route):
    (answer,) = during_an_outage(route, receipt())
    route.drain()
    record = route.application.records.read(answer.decision.decision_id)
    assert (record.decision, record.state, record.fault) == (answer.decision, "reserved", answer.fault)
    assert route.report(answer.decision.decision_id, "sent") == "sent"


def test_an_allow_holds_its_slots_and_a_deny_nothing(route):
    allowed, denied = during_an_outage(route, receipt(), candidate("m", recipient={"id": "r-2"}))
    route.drain()
    assert effects(route.decide(receipt("u"), candidate("n", recipient={"id": "r-2"}))) == ["deny", "allow"]
    allow, deny = row_of(route, allowed), row_of(route, denied)
    assert (allow.state, allow.lease_until, allow.due_at, len(allow.takes)) == ("reserved", NOW + LEASE, NOW + LEASE, 2)
    assert (deny.state, deny.lease_until, deny.due_at, deny.takes) == ("none", None, NOW + KEEP, ())


def test_a_lease_that_ended_meanwhile_holds_nothing_and_a_late_send_counts(route):
    (answer,) = during_an_outage(route, receipt())
    route.clock.now += timedelta(hours=1)
    route.drain()
    assert row_of(route, answer).state == "reserved"
    (between,) = route.decide(receipt("u"))
    assert between.decision.effect == "allow"
    assert route.report(between.decision.decision_id, "cancelled") == "cancelled"
    route.application.housekeeping.step(route.clock())
    assert row_of(route, answer).state == "expired"
    assert route.report(answer.decision.decision_id, "sent") == "sent"
    assert codes(route.decide(receipt("v"))[0]) == ["cap.exceeded"]


def test_it_is_kept_from_when_it_came_into_the_log(route):
    (answer,) = during_an_outage(route, candidate())
    route.clock.now += timedelta(days=30)
    route.drain()
    assert row_of(route, answer).due_at == NOW + timedelta(days=30) + KEEP


def test_a_candidate_that_has_its_answer_keeps_it(route):
    (before,) = route.decide(receipt())
    (meanwhile,) = during_an_outage(route, receipt())
    route.drain()
    assert route.decide(receipt())[0].body == before.body
    assert [row_of(route, answer).owns_candidate for answer in (before, meanwhile)] == [True, False]
    assert route.report(meanwhile.decision.decision_id, "sent") == "sent"
    assert len(route.entries()) == 3


def test_of_two_answers_from_spools_the_first_one_in_the_log_stands(route, tmp_path):
    other = Route(route.stores, policies=POLICIES, spool=FileSpool(tmp_path / "other machine"), name="other")
    (theirs,) = during_an_outage(other, receipt())
    (ours,) = during_an_outage(route, receipt())
    route.drain()
    other.drain()
    assert [entry.decision for entry in route.entries()] == [ours.decision, theirs.decision]
    assert [row_of(route, answer).owns_candidate for answer in (ours, theirs)] == [True, False]


def test_a_step_is_small(route):
    for start in range(0, STEP_ENTRIES + 1, 101):
        during_an_outage(route, *(candidate(f"c-{number}") for number in range(start, start + 101)))
    assert [route.application.drain.step() for _ in range(3)] == [
        Drained(STEP_ENTRIES, 0),
        Drained(2, 0),
        Drained(0, 0),
    ]
    assert len(route.entries()) == STEP_ENTRIES + 2


def test_what_can_not_be_read_is_put_aside_and_does_not_stop_the_rest(route, tmp_path):
    (first,) = during_an_outage(route, candidate("a"))
    route.spool.append({"b": b"nonsense"})
    (last,) = during_an_outage(route, candidate("c"))
    assert route.application.drain.step() == Drained(3, 1)
    assert [entry.decision for entry in route.entries()] == [first.decision, last.decision]
    assert (tmp_path / "spool.rejected").read_bytes() == b"nonsense\n"
    route.spool.append({"d": b"nothing but nonsense"})
    assert route.application.drain.step() == Drained(1, 1)


def test_what_can_not_even_be_put_aside_does_not_stop_the_rest(route, tmp_path):
    (first,) = during_an_outage(route, candidate("a"))
    route.spool.append({"b": b"nonsense"})
    (tmp_path / "spool.rejected").mkdir()
    assert route.application.drain.step() == Drained(2, 1)
    (second,) = during_an_outage(route, candidate("c"))
    assert route.application.drain.step() == Drained(1, 0)
    assert [entry.decision for entry in route.entries()] == [first.decision, second.decision]
    assert list(route.spool.read()) == [b"nonsense"]


# --- reported on before it is in the log ------------------------------------------------------------------------------


def test_what_is_reported_of_a_decision_that_still_waits_is_to_be_reported_again(route):
    (answer,) = during_an_outage(route, receipt())
    with pytest.raises(DependencyError, match="still being taken") as raised:
        route.report(answer.decision.decision_id, "sent")
    assert raised.value.dependency == "database"
    assert route.entries() == []
    route.drain()
    assert route.report(answer.decision.decision_id, "sent") == "sent"
    assert isinstance(route.report("d-unknown", "sent"), NotFoundError)


def test_while_others_wait_known_decisions_are_reported_on_and_batches_stay_whole(route):
    (known,) = route.decide(receipt("a"))
    (waits,) = during_an_outage(route, receipt("b"))
    assert route.report(known.decision.decision_id, "delivered") == "delivered"
    with pytest.raises(DependencyError, match="still being taken"):
        route.application.outcomes.report(
            [OutcomeReport(each.decision.decision_id, "complained") for each in (known, waits)]
        )
    assert row_of(route, known).state == "delivered"


class BlindSpool(MemorySpool):
    """A spool whose disk can't be asked."""

    @property
    def is_empty(self):
        raise PermissionError(13, "Permission denied")


def test_where_nobody_knows_what_waits_a_report_is_to_be_made_again(url):
    route = Route(open_stores(url), spool=BlindSpool())
    with pytest.raises(DependencyError, match="still being taken"):
        route.report("d-1", "sent")
    route.close()


# --- interrupted -----------------------------------------------------------------------------------------------------


def test_while_the_database_is_out_of_reach_everything_stays(route):
    during_an_outage(route, candidate())
    route.stores.is_down = True
    with pytest.raises(DependencyError):
        route.application.drain.step()
    route.stores.is_down = False
    assert (route.entries(), route.spool.is_empty) == ([], False)
    assert route.application.drain.step() == Drained(1, 0)


def test_a_step_that_is_too_much_for_the_database_becomes_smaller_and_grows_again(route):
    during_an_outage(route, *(candidate(f"c-{number}") for number in range(14)))
    route.stores.is_down = True
    steps = []
    for _ in range(4):
        with pytest.raises(DependencyError):
            route.application.drain.step()
        steps.append(route.application.drain._most)
    route.stores.is_down = False
    assert steps == [7, 3, 1, 1]
    assert [route.application.drain.step().entries for _ in range(5)] == [1, 2, 4, 7, 0]


def test_a_step_never_becomes_larger_than_it_was(route):
    during_an_outage(route, candidate())
    route.drain()
    assert route.application.drain._most == STEP_ENTRIES


def test_what_is_in_the_log_and_still_in_the_spool_is_passed_over(route):
    answers = during_an_outage(route, candidate("m"), receipt())
    route.stores.loses_answers = True
    with pytest.raises(DependencyError):
        route.application.drain.step()
    route.stores.loses_answers = False
    during_an_outage(route, candidate("n"))
    assert route.report(answers[1].decision.decision_id, "sent") == "sent"
    assert route.drain() == 3
    ids = [entry.decision.decision_id for entry in route.entries() if not hasattr(entry, "was")]
    assert ids == ["d-1", "d-2", "d-3"]
    assert row_of(route, answers[1]).state == "sent"


def test_where_all_is_in_the_log_already_nothing_is_written(route):
    during_an_outage(route, candidate())
    route.stores.loses_answers = True
    with pytest.raises(DependencyError):
        route.application.drain.step()
    route.stores.loses_answers = False
    assert route.application.drain.step() == Drained(1, 0)
    assert len(route.entries()) == 1


def test_the_same_line_twice_is_one_entry(route, tmp_path):
    (answer,) = during_an_outage(route, candidate())
    path = tmp_path / "spool"
    path.write_bytes(path.read_bytes() * 2)
    assert route.application.drain.step() == Drained(2, 0)
    assert [entry.decision for entry in route.entries()] == [answer.decision]


# --- what became durable unseen --------------------------------------------------------------------------------------


def unseen(route, *candidates):
    """Decided, durable, and given up: answered from the spool."""
    route.stores.loses_answers = True
    answers = route.decide(*candidates)
    route.stores.loses_answers = False
    return answers


def test_what_was_answered_takes_the_place_of_what_became_durable(route):
    (answer,) = unseen(route, candidate())
    route.drain()
    row = row_of(route, answer)
    assert (answer.decision.effect, row.answer, row.audit_index) == ("deny", answer.body, 1)
    assert [entry.decision.effect for entry in route.entries()] == ["allow", "deny"]
    assert route.decide(candidate())[0].body == answer.body


def test_an_allow_that_was_answered_as_a_deny_is_held_until_its_lease_ends(route):
    (answer,) = unseen(route, candidate())
    before = row_of(route, answer)
    route.drain()
    row = row_of(route, answer)
    assert (row.state, row.takes, row.lease_until, row.due_at) == ("reserved", before.takes, NOW + LEASE, NOW + LEASE)
    assert codes(route.decide(candidate("m"))[0]) == ["cap.exceeded"]
    route.clock.now += LEASE
    assert effects(route.decide(candidate("n"))) == ["allow"]


def test_a_send_on_an_allow_that_another_machine_was_given_counts(route, tmp_path):
    other = Route(route.stores, policies=POLICIES, spool=FileSpool(tmp_path / "other machine"), name="other")
    (denied,) = unseen(route, candidate())
    (allowed,) = other.decide(candidate())
    route.drain()
    assert [each.decision.effect for each in (denied, allowed)] == ["deny", "allow"]
    assert other.report(allowed.decision.decision_id, "sent") == "sent"
    route.clock.now += LEASE
    assert codes(route.decide(candidate("u"))[0]) == ["cap.exceeded"]


def test_where_that_lease_ended_before_a_late_send_counts_too(route):
    (answer,) = unseen(route, candidate())
    route.clock.now += LEASE
    route.application.housekeeping.step(route.clock())
    route.drain()
    assert row_of(route, answer).state == "expired"
    assert route.report(answer.decision.decision_id, "sent") == "sent"
    assert codes(route.decide(candidate("u"))[0]) == ["cap.exceeded"]


def test_a_deny_that_was_answered_as_an_allow_holds_what_that_takes(route):
    route.decide(receipt("first"))
    (answer,) = unseen(route, receipt())
    assert row_of(route, answer).state == "none"
    route.drain()
    row = row_of(route, answer)
    assert (answer.decision.effect, row.state, len(row.takes)) == ("allow", "reserved", 2)


def test_an_allow_goes_on_holding_its_slots(route):
    (answer,) = unseen(route, receipt())
    route.drain()
    row = row_of(route, answer)
    assert (answer.decision.degraded, row.state, row.answer, len(row.takes)) == (True, "reserved", answer.body, 2)
    assert codes(route.decide(receipt("u"))[0]) == ["cap.exceeded"]


def test_what_was_reported_of_it_since_then_stays(route):
    (answer,) = unseen(route, receipt())
    assert route.report(answer.decision.decision_id, "sent", NOW) == "sent"
    route.drain()
    row = row_of(route, answer)
    assert (row.state, row.sent_at, row.answer, row.audit_index) == ("sent", NOW, answer.body, 2)
    assert codes(route.decide(receipt("u"))[0]) == ["cap.exceeded"]


def test_a_send_of_what_was_denied_unseen_took_place(route):
    (answer,) = unseen(route, candidate())
    assert route.report(answer.decision.decision_id, "sent", NOW) == "sent"
    route.drain()
    row = row_of(route, answer)
    assert (answer.decision.effect, row.state, row.answer) == ("deny", "sent", answer.body)
    assert codes(route.decide(candidate("u"))[0]) == ["cap.exceeded"]


def test_that_is_done_once_too(route):
    (answer,) = unseen(route, candidate())
    route.stores.loses_answers = True
    with pytest.raises(DependencyError):
        route.application.drain.step()
    route.stores.loses_answers = False
    assert route.application.drain.step() == Drained(1, 0)
    assert len(route.entries()) == 2
    assert row_of(route, answer).answer == answer.body


# --- where the caps are out of reach ---------------------------------------------------------------------------------


def test_where_the_caps_are_out_of_reach_their_slots_are_left_for_later(route):
    allowed, denied = during_an_outage(route, receipt(), candidate("m"))
    route.stores.lost = {"caps.settle", "caps.reserve", "caps.read"}
    route.drain()
    assert [row_of(route, answer).is_caps_pending for answer in (allowed, denied)] == [True, False]


def test_what_nobody_saw_is_left_for_later_too(route):
    (answer,) = unseen(route, receipt())
    route.stores.lost = {"caps.settle"}
    route.report(answer.decision.decision_id, "failed")
    route.drain()
    row = row_of(route, answer)
    assert (row.state, row.is_caps_pending) == ("failed", True)


def test_what_is_pending_stays_pending(route):
    route.stores.lost = {"caps.read", "caps.reserve"}
    (answer,) = unseen(route, receipt())
    assert row_of(route, answer).is_caps_pending
    route.stores.lost = set()
    route.drain()
    row = row_of(route, answer)
    assert (row.state, row.is_caps_pending, row.answer) == ("reserved", True, answer.body)

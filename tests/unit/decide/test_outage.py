"""Outages: what is answered where the stores are out of reach, and that it stays the answer."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import msgspec
import pytest

from disks import as_nobody, bounded
from guardrails.audit import FileSpool, MemorySpool
from guardrails.decide.entry import decode_entry
from guardrails.errors import CandidateError, ConflictError, DependencyError
from guardrails.stores import open_stores
from route import LEASE, NOW, POLICIES, TRANSACTIONAL, Route, candidate, codes, effects
from spooling import waiting_for

CAPPED = """
apiVersion: guardrails/v1
policies:
  - {id: one, kind: frequency_cap, limit: 1, per: [recipient], window: {rolling: 24h}}
"""


def out_of_reach(**rest):
    """A route whose database does not answer."""
    route = Route(**rest)
    route.stores.is_down = True
    return route


def spooled(route):
    return [decode_entry(data) for data in route.spool.read()]


def test_the_monetized_lane_denies_and_the_transactional_lane_allows_degraded():
    route = out_of_reach()
    monetized, transactional = route.decide(candidate("m"), candidate("t", **TRANSACTIONAL))
    assert (monetized.decision.effect, codes(monetized)) == ("deny", ["facts.unavailable"] * 3)
    assert (transactional.decision.effect, transactional.decision.degraded) == ("allow", True)
    assert (monetized.decision.retry_at, monetized.decision.blocked_by) == (None, None)


def test_what_the_candidate_alone_shows_still_denies():
    route = out_of_reach()
    (answer,) = route.decide(
        candidate("t", lane="transactional", content={"class": "transactional", "topic": "blocked"})
    )
    assert (answer.decision.effect, codes(answer)) == ("deny", ["rule.denied"])


def test_a_policy_may_say_otherwise_for_the_transactional_lane():
    policies = POLICIES + "  - {id: strict, kind: consent_required, purpose: terms, on_missing: deny}\n"
    (answer,) = out_of_reach(policies=policies).decide(candidate("t", **TRANSACTIONAL))
    assert (answer.decision.effect, codes(answer)) == ("deny", ["facts.unavailable"])


def test_nothing_monetized_is_allowed_even_where_no_policy_asks_a_store():
    policies = "apiVersion: guardrails/v1\npolicies:\n  - {id: r, kind: rule, deny_when: {channel: sms}}\n"
    (answer,) = out_of_reach(policies=policies).decide(candidate())
    assert (answer.decision.effect, codes(answer), answer.decision.obligations) == ("deny", ["facts.unavailable"], ())


def test_every_decision_goes_to_the_spool():
    route = out_of_reach()
    answers = route.decide(candidate("m"), candidate("t", **TRANSACTIONAL))
    assert [entry.decision for entry in spooled(route)] == [answer.decision for answer in answers]
    assert all(answer.decision.audit.spooled for answer in answers)


def test_a_past_send_at_is_still_refused():
    past = candidate("past", send_at=(NOW - timedelta(seconds=1)).isoformat())
    (refused,) = out_of_reach().decide(past)
    assert isinstance(refused, CandidateError)


def test_what_is_no_json_is_refused_and_its_neighbours_are_decided():
    odd = msgspec.structs.replace(candidate("odd"), id="\ud800")
    refused, answer, again = out_of_reach().decide(odd, candidate(), candidate())
    assert isinstance(refused, CandidateError)
    assert answer.body == again.body


def test_a_refused_candidate_does_not_stand_in_the_way_of_another_with_its_id():
    past = candidate(send_at=(NOW - timedelta(seconds=1)).isoformat())
    refused, answer, conflict = out_of_reach().decide(past, candidate(), past)
    assert isinstance(refused, CandidateError)
    assert answer.decision.effect == "deny"
    assert isinstance(conflict, ConflictError)


def test_an_allow_has_a_lease_and_takes_its_slots_later():
    route = out_of_reach(policies=CAPPED)
    (answer,) = route.decide(candidate("t", **TRANSACTIONAL))
    (entry,) = spooled(route)
    assert (answer.decision.lease_until, entry.lease_until) == (NOW + LEASE, NOW + LEASE)
    assert [(take.cap, take.key) for take in entry.takes] == [("one", '["r-1"]')]


def test_what_went_wrong_is_recorded_and_told():
    route = out_of_reach()
    (answer,) = route.decide(candidate())
    assert answer.fault == spooled(route)[0].fault == "DependencyError: connection refused"


def test_a_batch_is_recorded_by_one_write():
    writes = []

    class NotingSpool(MemorySpool):
        def append(self, entries, /):
            writes.append(list(entries))
            return super().append(entries)

    route = out_of_reach(spool=NotingSpool())
    route.decide(candidate("a"), candidate("b", **TRANSACTIONAL), candidate("a"))
    assert writes == [["a", "b"]]


# --- one answer a candidate ------------------------------------------------------------------------------------------


def test_the_same_candidate_again_is_answered_with_the_same_bytes():
    route = out_of_reach()
    (first,) = route.decide(candidate("t", **TRANSACTIONAL))
    route.clock.now += timedelta(minutes=1)
    (second,) = route.decide(candidate("t", **TRANSACTIONAL))
    assert (second.body, second.repeated) == (first.body, True)
    assert len(spooled(route)) == 1


def test_the_same_candidate_twice_in_a_batch_is_decided_once():
    route = out_of_reach()
    first, second, other = route.decide(candidate(), candidate(), candidate(channel="email"))
    assert (second.body, first.repeated, second.repeated) == (first.body, False, True)
    assert isinstance(other, ConflictError)
    assert len(spooled(route)) == 1


def test_the_same_id_with_another_body_is_a_conflict():
    route = out_of_reach()
    route.decide(candidate())
    conflict, odd = route.decide(candidate(channel="email"), msgspec.structs.replace(candidate(), channel="\ud800"))
    assert isinstance(conflict, ConflictError)
    assert isinstance(odd, CandidateError)


def test_the_processes_of_a_machine_answer_a_candidate_once(tmp_path):
    routes = [out_of_reach(spool=FileSpool(tmp_path / "spool"), name=name) for name in ("a", "b")]
    ((first,), (second,)) = [route.decide(candidate()) for route in routes]
    assert (second.body, second.repeated) == (first.body, True)


class RacingSpool(MemorySpool):
    """A spool that another process puts its own entry into, between our look and our write."""

    def __init__(self, other):
        super().__init__()
        self._other = other

    def append(self, entries, /):
        super().append({each: self._other[each] for each in entries if each in self._other})
        return super().append(entries)


def test_who_is_second_to_write_answers_what_the_first_one_did():
    other = out_of_reach(name="other")
    (theirs,) = other.decide(candidate())
    route = out_of_reach(spool=RacingSpool(other.spool.answered(["c-1"])))
    ours, own, conflict = route.decide(candidate(), candidate("c-2"), candidate(channel="email"))
    assert (ours.body, ours.repeated, own.repeated) == (theirs.body, True, False)
    assert isinstance(conflict, ConflictError)


class DrainedSpool(MemorySpool):
    """A spool that another process empties between our look and our write."""

    def append(self, entries, /):
        self.hand_over(lambda _: (), 10)
        return super().append(entries)


def test_what_was_spooled_when_we_looked_is_the_answer():
    route = out_of_reach(spool=DrainedSpool())
    (first,) = route.decide(candidate())
    (second,) = route.decide(candidate())
    assert second.body == first.body


def test_once_the_stores_are_back_the_spool_still_answers(route):
    route.stores.is_down = True
    (first,) = route.decide(candidate("t", **TRANSACTIONAL))
    route.stores.is_down = False
    again, new, conflict = route.decide(
        candidate("t", **TRANSACTIONAL), candidate("u", **TRANSACTIONAL), candidate("t", channel="sms")
    )
    assert (again.body, again.repeated, new.decision.degraded) == (first.body, True, False)
    assert isinstance(conflict, ConflictError)
    assert [entry.decision for entry in route.entries()] == [new.decision]


def test_and_so_does_the_log_once_the_spool_is_drained(route):
    route.stores.is_down = True
    (first,) = route.decide(candidate("t", **TRANSACTIONAL))
    route.stores.is_down = False
    assert route.drain() == 1
    (again,) = route.decide(candidate("t", **TRANSACTIONAL))
    assert (again.body, again.repeated) == (first.body, True)


def test_what_was_answered_before_the_outage_is_the_answer_after_it(route):
    (before,) = route.decide(candidate("t", **TRANSACTIONAL))
    route.stores.is_down = True
    (meanwhile,) = route.decide(candidate("t", **TRANSACTIONAL))
    route.stores.is_down = False
    (after,) = route.decide(candidate("t", **TRANSACTIONAL))
    route.drain()
    (drained,) = route.decide(candidate("t", **TRANSACTIONAL))
    assert meanwhile.decision.decision_id != before.decision.decision_id
    assert after.body == drained.body == before.body


def test_what_became_durable_unseen_gives_way_to_what_was_answered(route):
    route.grant()
    route.stores.loses_answers = True
    (answered,) = route.decide(candidate())
    route.stores.loses_answers = False
    (again,) = route.decide(candidate())
    assert (answered.decision.effect, effects([again]), again.body) == ("deny", ["deny"], answered.body)
    assert route.rows()[answered.decision.decision_id].state == "reserved"
    route.drain()
    assert route.decide(candidate())[0].body == answered.body
    row = route.rows()[answered.decision.decision_id]
    assert (row.answer, row.state) == (answered.body, "reserved")  # a sender may have been given the allow


# --- two machines, which share the stores and no spool ----------------------------------------------------------------


def test_of_two_machines_that_answered_a_candidate_the_one_that_is_first_in_the_stores_answers_from_then_on(tmp_path):
    stores = open_stores("memory:")
    cut_off, other = (Route(stores, policies=CAPPED, name=name) for name in ("cut-off", "other"))
    receipt = candidate("t", **TRANSACTIONAL)
    cut_off.stores.is_down = True
    (spooled_answer,) = cut_off.decide(receipt)
    (stored_answer,) = other.decide(receipt)
    assert spooled_answer.body != stored_answer.body
    cut_off.stores.is_down = False
    assert cut_off.decide(receipt)[0].body == stored_answer.body
    assert cut_off.drain() == 1
    for machine in (cut_off, other):
        assert machine.decide(receipt)[0].body == stored_answer.body
    assert [entry.decision for entry in other.entries()] == [stored_answer.decision, spooled_answer.decision]
    rows = other.rows()
    assert [rows[answer.decision.decision_id].owns_candidate for answer in (stored_answer, spooled_answer)] == [
        True,
        False,
    ]
    # Each may be sent, so the cap counts both until one is said not to be.
    assert used(other) == 2
    assert other.report(spooled_answer.decision.decision_id, "cancelled") == "cancelled"
    assert used(other) == 1


def used(route):
    """How many sends the cap counts."""
    (usage,) = route.application.usage.read(candidate().recipient).caps
    return usage.used


# --- when the spool fails, too ---------------------------------------------------------------------------------------


class FailingSpool(MemorySpool):
    """A spool whose disk does not do as asked."""

    def __init__(self, failing):
        super().__init__()
        self._failing = failing

    def answered(self, candidate_ids, /):
        if "answered" in self._failing:
            raise OSError(5, "Input/output error")
        return super().answered(candidate_ids)

    def append(self, entries, /):
        if "append" in self._failing:
            raise OSError(28, "No space left on device")
        return super().append(entries)


def test_where_even_the_spool_fails_nothing_is_answered():
    route = out_of_reach(spool=FailingSpool({"append"}))
    with pytest.raises(DependencyError, match=r"can't be written: .*No space left") as caught:
        route.decide(candidate("t", **TRANSACTIONAL))
    assert caught.value.dependency == "spool"


def test_where_it_can_not_be_known_what_was_answered_nothing_is_answered():
    route = out_of_reach(spool=FailingSpool({"answered"}))
    route.decide(candidate("a"))
    route.stores.is_down = False
    with pytest.raises(DependencyError, match=r"can't be read: .*Input/output error") as caught:
        route.decide(candidate("b"))
    assert caught.value.dependency == "spool"


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"type":"outcome","decision_id":"d","was":"sent","is_now":"failed","at":"2026-12-01T12:00:00Z"}'],
)
def test_what_the_spool_holds_and_nobody_can_read_answers_nobody(line):
    route = Route()
    route.spool.append({"c-1": line})
    with pytest.raises(DependencyError, match="holds what can't be read"):
        route.decide(candidate("c-1"))
    assert route.decide(candidate("c-2"))[0].decision.effect == "deny"


def test_on_a_full_disk_all_that_is_answered_is_recorded(tmp_path):
    receipts = [candidate(str(number), **TRANSACTIONAL) for number in range(60)]
    path = tmp_path / "state"
    path.mkdir()
    answered, refused = [], 0
    with bounded(path, 16_384):
        route = out_of_reach(spool=FileSpool(path / "spool"))
        for first in range(0, 60, 3):
            try:
                answered += route.decide(*receipts[first : first + 3])
            except DependencyError as error:
                refused += error.dependency == "spool"
        assert [entry.decision for entry in spooled(route)] == [answer.decision for answer in answered]
        route.stores.is_down = False
        assert route.drain() == len(answered)
        assert [entry.decision for entry in route.entries()] == [answer.decision for answer in answered]
        route.stores.is_down = True
        assert not route.decide(candidate("once more", **TRANSACTIONAL))[0].repeated
    assert (len(answered) > 3, refused > 0) == (True, True)


def test_a_state_directory_that_may_not_be_written_costs_nothing_but_the_answers_of_an_outage():
    with as_nobody() as directory:
        directory.chmod(0o500)
        route = Route(spool=FileSpool(directory / "spool"))
        (answer,) = route.decide(candidate("a"))
        assert [entry.decision for entry in route.entries()] == [answer.decision]
        route.stores.is_down = True
        with pytest.raises(DependencyError, match=r"can't be written: .*Permission denied"):
            route.decide(candidate("b", **TRANSACTIONAL))


# --- where only the caps are out of reach ----------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["caps.read", "caps.reserve"])
def test_the_caps_alone_are_no_outage_of_the_log(url, lost):
    route = Route(open_stores(url))
    route.grant()
    route.stores.lost = {lost}
    monetized, transactional = route.decide(candidate("m"), candidate("t", **TRANSACTIONAL))
    assert (monetized.decision.effect, codes(monetized)) == ("deny", ["facts.unavailable"])
    assert (transactional.decision.effect, transactional.decision.degraded) == ("allow", False)
    assert [entry.decision for entry in route.entries()] == [monetized.decision, transactional.decision]
    assert route.spool.is_empty
    route.close()


@pytest.mark.parametrize("lost", ["caps.read", "caps.reserve"])
def test_slots_are_left_for_later_where_the_caps_are_out_of_reach(lost):
    route = Route(policies=CAPPED)
    route.stores.lost = {lost}
    (answer,) = route.decide(candidate("t", **TRANSACTIONAL))
    row = route.rows()[answer.decision.decision_id]
    assert (answer.decision.effect, answer.decision.degraded, row.is_caps_pending, len(row.takes)) == (
        "allow",
        True,
        True,
        1,
    )
    assert answer.fault == route.entries()[0].fault == "DependencyError: connection refused"
    assert [row.decision_id for row in route.read(lambda session: session.decisions.caps_pending(10))] == [
        answer.decision.decision_id
    ]


def test_who_takes_no_slot_leaves_none_for_later():
    route = Route(policies=CAPPED)
    route.stores.lost = {"caps.read", "caps.reserve"}
    (answer,) = route.decide(candidate())
    row = route.rows()[answer.decision.decision_id]
    assert (answer.decision.effect, row.is_caps_pending) == ("deny", False)


class Once(set):
    """Calls that don't get through the first time."""

    def __contains__(self, call):
        is_lost = super().__contains__(call)
        self.discard(call)
        return is_lost


def test_another_store_out_of_reach_within_a_unit_is_an_outage():
    route = Route()
    route.grant()
    route.stores.lost = Once({"consents.read"})
    (answer,) = route.decide(candidate())
    assert (codes(answer), answer.decision.audit.spooled) == (["facts.unavailable"] * 3, True)


# --- asked for twice at the same time --------------------------------------------------------------------------------


class StallingStores:
    """Stores that answer nobody until they are let go, and give up on the first one who asked."""

    def __init__(self, transactor):
        self._transactor = transactor
        self.calls = 0
        self.stalls = threading.Event()
        self.goes_on = threading.Event()

    def call(self, handler, item, **terms):
        self.calls += 1
        if self.calls == 1:
            self.stalls.set()
            assert self.goes_on.wait(60)
            raise DependencyError("no answer in time", dependency="database")
        return self._transactor.call(handler, item, **terms)

    def close(self):
        self._transactor.close()


def test_who_asks_while_the_first_one_still_waits_gets_the_same_answer():
    stores = StallingStores(open_stores("memory:"))
    route = Route(stores)
    answers = {}

    def ask(name, *candidates):
        answers[name] = route.decide(*candidates)

    receipts = {each: candidate(each, **TRANSACTIONAL) for each in "abc"}
    first = threading.Thread(target=ask, args=("first", receipts["a"], receipts["b"]))
    first.start()
    assert stores.stalls.wait(60)
    second = threading.Thread(target=ask, args=("second", receipts["b"], receipts["c"]))
    second.start()
    ask("other", candidate("d", **TRANSACTIONAL))
    while not route.application.decider._in_flight._fewer._waiters:
        time.sleep(0.001)
    stores.goes_on.set()
    first.join()
    second.join()
    assert (answers["second"][0].body, answers["second"][0].repeated) == (answers["first"][1].body, True)
    assert [answers[name][-1].decision.degraded for name in ("first", "second", "other")] == [True, False, False]


def test_who_asks_another_process_while_the_first_one_still_waits_gets_the_same_answer(tmp_path):
    path = tmp_path / "spool"
    shared, stalling = open_stores("memory:"), StallingStores(open_stores("memory:"))
    first, second = Route(stalling, spool=FileSpool(path), name="one"), Route(shared, spool=FileSpool(path), name="two")
    answers = {}

    def ask(name, route):
        answers[name] = route.decide(candidate(**TRANSACTIONAL))[0]

    threads = [threading.Thread(target=ask, args=asker) for asker in (("first", first), ("second", second))]
    threads[0].start()
    assert stalling.stalls.wait(60)
    threads[1].start()
    waiting_for(path.with_name("spool.in-flight"))
    stalling.goes_on.set()
    for thread in threads:
        thread.join()
    assert (answers["second"].body, answers["second"].repeated) == (answers["first"].body, True)
    assert second.entries() == []


def held_spool(error):
    """A spool that can't be locked."""

    class HeldSpool(MemorySpool):
        def alone(self, candidate_ids, /, *, timeout_seconds):
            raise error

    return HeldSpool()


def test_where_another_process_decides_it_for_ever_nothing_is_answered():
    route = Route(spool=held_spool(TimeoutError("somebody else has been deciding one of the candidates")))
    with pytest.raises(DependencyError, match="somebody else has been deciding") as caught:
        route.decide(candidate())
    assert (caught.value.dependency, route.entries()) == ("spool", [])


def test_a_process_that_has_no_descriptor_left_answers_nothing():
    with pytest.raises(DependencyError, match="Too many open files") as caught:
        Route(spool=held_spool(OSError(24, "Too many open files"))).decide(candidate())
    assert caught.value.dependency == "spool"


def test_where_the_disk_takes_no_locks_the_stores_still_answer():
    route = Route(spool=held_spool(OSError(30, "Read-only file system")))
    (answer,) = route.decide(candidate())
    assert [entry.decision for entry in route.entries()] == [answer.decision]

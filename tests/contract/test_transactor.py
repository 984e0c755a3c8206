from __future__ import annotations

import threading

import pytest

from guardrails.consent import ConsentEvent
from guardrails.core.needs import ConsentQuery, PreferenceQuery, Take, UsageQuery
from guardrails.decide.ports import Reservation
from guardrails.errors import ConflictError, DependencyError
from guardrails.preferences import PreferenceEvent
from stores import instant, stored_decision


def append(session, items: list[bytes]) -> list[int]:
    first = session.audit.next_index()
    session.audit.append(items)
    return list(range(first, first + len(items)))


def log(transactor) -> list[bytes]:
    return transactor.call(lambda session, items: [[entry for _, entry in session.audit.read(0, 10**6)]], None)


def test_a_call_returns_its_own_result(transactor):
    assert [transactor.call(append, entry) for entry in (b"a", b"b", b"c")] == [0, 1, 2]


def test_results_that_are_exceptions_are_raised_and_the_unit_is_kept(transactor):
    def refuse(session, items):
        session.audit.append(items)
        return [ConflictError("no")] * len(items)

    with pytest.raises(ConflictError, match="no"):
        transactor.call(refuse, b"kept")
    assert log(transactor) == [b"kept"]


def test_nothing_of_a_failed_handler_is_kept_in_any_room(transactor):
    event = ConsentEvent(
        id="e-1", recipient="r", purpose="p", state="granted", at=instant(9), method="m", recorded_at=instant(9)
    )
    preference = PreferenceEvent(recipient="r", toggle="t", is_on=True, at=instant(9), recorded_at=instant(9))
    reservation = Reservation(decision_id="d-1", takes=(Take("cap", "k"),), at=instant(9), lease_until=instant(10))
    kept = Reservation(decision_id="d-0", takes=(Take("cap", "k"),), at=instant(8), lease_until=instant(10))
    usage = UsageQuery("cap", "k", instant(0), 9)

    def keep(session, items):
        session.decisions.insert([stored_decision(0)])
        session.caps.reserve([kept])
        return items

    def fail(session, items):
        session.consents.append([event])
        session.preferences.append([preference])
        session.caps.reserve([reservation])
        session.caps.commit("d-0", "sent", instant(9))
        session.caps.release("d-0")
        session.decisions.insert([stored_decision(1)])
        session.decisions.move("d-0", "sent")
        session.audit.append([b"lost"])
        session.policies.keep("sha256:1", {}, instant(9))
        raise ZeroDivisionError

    def state(session, items):
        return [
            (
                session.consents.history("r"),
                session.consents.read([ConsentQuery("r", "p")])[ConsentQuery("r", "p")].status,
                session.preferences.read([PreferenceQuery("r")])[PreferenceQuery("r")].toggles,
                session.caps.read([usage], instant(9))[usage].times,
                session.decisions.by_id("d-0"),
                session.decisions.by_id("d-1"),
                dict(session.decisions.by_candidate(["c-1"])),
                session.audit.next_index(),
                session.policies.read("sha256:1"),
            )
        ]

    transactor.call(keep, None)
    before = ((), None, {}, (instant(8),), stored_decision(0), None, {}, 0, None)
    assert before == transactor.call(state, None)
    with pytest.raises(ZeroDivisionError):
        transactor.call(fail, None)
    assert before == transactor.call(state, None)


@pytest.mark.parametrize("results", [[], [1, 2]])
def test_a_handler_owes_one_result_an_item(transactor, results):
    def miscount(session, items):
        session.audit.append([b"lost"])
        return results

    with pytest.raises(ValueError, match=r"values|results"):
        transactor.call(miscount, None)
    assert log(transactor) == []


def test_calls_of_many_threads_are_each_done_once(transactor):
    indexes: dict[bytes, int] = {}

    def work(thread: int) -> None:
        for number in range(40):
            entry = b"%d-%d" % (thread, number)
            indexes[entry] = transactor.call(append, entry)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = log(transactor)
    assert len(entries) == 16 * 40
    assert {entry: index for index, entry in enumerate(entries)} == indexes


def test_a_cap_is_exact_however_many_threads_take_from_it(transactor):
    query = UsageQuery("cap", "k", instant(0), 0)
    taken = []

    def take_one(session, items):
        used = session.caps.read([query], instant(11))[query].older
        results = []
        for number in items:
            allowed = used < 7
            if allowed:
                used += 1
                session.caps.reserve(
                    [
                        Reservation(
                            decision_id=f"d-{number}",
                            takes=(Take("cap", "k"),),
                            at=instant(10),
                            lease_until=instant(12),
                        )
                    ]
                )
            results.append(allowed)
        return results

    def work(thread: int) -> None:
        taken.extend(transactor.call(take_one, 10 * thread + number) for number in range(10))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 73 + [True] * 7


def test_a_closed_transactor_refuses_and_closes_twice(transactor):
    transactor.call(append, b"a")
    transactor.close()
    transactor.close()
    with pytest.raises(DependencyError, match="closed") as caught:
        transactor.call(append, b"b")
    assert caught.value.dependency == "database"

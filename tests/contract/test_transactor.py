from __future__ import annotations

import random
import threading
import time
from collections import Counter

import msgspec
import pytest

from guardrails.consent import ConsentEvent
from guardrails.core.needs import ConsentQuery, PreferenceQuery, Take, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from guardrails.errors import CapsMoved, ConflictError, DependencyError
from guardrails.preferences import PreferenceEvent
from stores import instant, stored_decision

NOW = instant(11)
USED = UsageQuery("cap", "k", instant(0), 9, owner="r")


def holding(number: int) -> Holding:
    return Holding(
        decision_id=f"d-{number}",
        takes=(Take("cap", "k", owner="r", keep_seconds=86_400),),
        at=instant(8, microsecond=number),
        lease_until=instant(23),
    )


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
    preference = PreferenceEvent(recipient="r", name="toggle:t", value=True, at=instant(9), recorded_at=instant(9))
    kept = stored_decision(0)

    def keep(session, items):
        session.decisions.insert([kept])
        session.caps.reserve([Reservation(holding=holding(0))], NOW)
        return items

    def fail(session, items):
        session.consents.append([event])
        session.preferences.append([preference])
        session.caps.reserve([Reservation(holding=holding(1))], NOW)
        session.caps.settle([Settlement(before=holding(0), after=None)])
        session.decisions.insert([stored_decision(1)])
        session.decisions.update([msgspec.structs.replace(kept, state="failed")])
        session.audit.append([b"lost"])
        session.policies.keep("sha256:1", {}, instant(9))
        raise ZeroDivisionError

    def state(session, items):
        return [
            (
                session.consents.history("r"),
                session.consents.read([ConsentQuery("r", "p", "push")])[ConsentQuery("r", "p", "push")].status,
                session.preferences.read([PreferenceQuery("r")])[PreferenceQuery("r")].toggles,
                session.caps.read([USED], NOW)[USED].times,
                dict(session.decisions.by_id(["d-0", "d-1"])),
                dict(session.decisions.by_candidate(["c-1"])),
                session.audit.next_index(),
                session.policies.read("sha256:1"),
            )
        ]

    transactor.call(keep, None)
    before = ((), None, {}, (instant(8),), {"d-0": kept}, {}, 0, None)
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
    taken = []

    def take_one(session, items):
        used = len(session.caps.read([USED], NOW)[USED].times)
        results = []
        for number in items:
            allowed = used < 7
            if allowed:
                used += 1
                session.caps.reserve([Reservation(holding=holding(number))], NOW)
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


def test_where_the_caps_moved_the_handler_is_run_again(transactor):
    runs = []

    def take(session, items):
        runs.append(items)
        session.audit.append(items)
        if len(runs) < 3:
            raise CapsMoved
        return ["done"]

    assert transactor.call(take, b"kept") == "done"
    assert runs == [[b"kept"]] * 3
    assert log(transactor) == [b"kept"]


def test_caps_that_keep_moving_are_out_of_reach_and_nothing_is_kept(transactor):
    runs = []

    def take(session, items):
        runs.append(items)
        session.audit.append(items)
        raise CapsMoved

    with pytest.raises(DependencyError) as caught:
        transactor.call(take, b"lost")
    assert (caught.value.dependency, caught.value.in_doubt, len(runs)) == ("caps", False, 5)
    assert log(transactor) == []


def test_a_call_whose_turn_does_not_come_in_time_is_given_up_and_never_runs(transactor):
    entered, go_on = threading.Event(), threading.Event()

    def hold(session, items):
        entered.set()
        go_on.wait()
        return append(session, items)

    holder = threading.Thread(target=transactor.call, args=(hold, b"kept"))
    holder.start()
    entered.wait()
    for size in (1, 100):
        with pytest.raises(DependencyError, match="did not answer within 10 ms") as caught:
            transactor.call(append, b"lost", timeout_seconds=0.01, size=size)
        assert (caught.value.dependency, caught.value.in_doubt) == ("database", False)
    go_on.set()
    holder.join()
    assert log(transactor) == [b"kept"]
    assert transactor.call(append, b"next", timeout_seconds=10, size=100) == 1


@pytest.mark.parametrize("seed", range(2))
def test_what_returned_is_durable_once_and_of_what_raised_nothing_is_kept(transactor, seed):
    """Little time, handlers that dawdle or fail, batches among single calls: many threads, all at once."""
    told: dict[bytes, object] = {}
    threads = [threading.Thread(target=call_at_random, args=(transactor, seed, number, told)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = log(transactor)
    times = Counter(entries)
    for entry, outcome in told.items():
        if isinstance(outcome, int):
            assert (times[entry], entries[outcome]) == (1, entry)
        else:
            assert times[entry] <= (1 if getattr(outcome, "in_doubt", False) else 0)
    assert all(any(isinstance(outcome, kind) for outcome in told.values()) for kind in (int, DependencyError))
    assert times.keys() <= told.keys()


def call_at_random(transactor, seed: int, thread: int, told: dict[bytes, object]) -> None:
    """One thread's calls; `told` keeps what each was told."""
    chance = random.Random(100 * seed + thread)

    def shaky(session, items):
        written = append(session, items)
        if chance.random() < 0.3:
            time.sleep(chance.random() * 0.004)
        if chance.random() < 0.1:
            raise chance.choice([ZeroDivisionError, CapsMoved])
        return written

    for number in range(40):
        entry = b"%d-%d" % (thread, number)
        timeout_seconds, size = chance.choice([0.002, 0.005, 0.01, 10, 10]), chance.choice([1, 1, 1, 50])
        handler = chance.choice([shaky, append])
        try:
            told[entry] = transactor.call(handler, entry, timeout_seconds=timeout_seconds, size=size)
        except (DependencyError, ZeroDivisionError) as error:
            told[entry] = error


def test_a_closed_transactor_refuses_and_closes_twice(transactor):
    transactor.call(append, b"a")
    transactor.close()
    transactor.close()
    with pytest.raises(DependencyError, match="closed") as caught:
        transactor.call(append, b"b")
    assert caught.value.dependency == "database"

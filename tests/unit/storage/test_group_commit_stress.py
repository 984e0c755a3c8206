"""Many threads, little time, and everything that can fail: what is durable is what the callers were told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from guardrails.errors import CapsMoved, DependencyError
from list_store import ListStore, lost

THREADS = 16
CALLS = 60
TIMEOUTS_SECONDS = (0.001, 0.004, 0.01, 10.0, 10.0)
SIZES = (1, 1, 1, 3, 20)


class Shaky(ListStore):
    """Opens, works and commits late, and fails at each; of its commits in doubt, some hold."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)

    @contextmanager
    def unit(self):
        self._pause_or_fail("begin")
        written: list[object] = []
        yield written
        self._pause_or_fail("commit")
        in_doubt, holds = self._chance.random() < 0.1, self._chance.random() < 0.5
        if holds or not in_doubt:
            self.kept.extend(written)
        if in_doubt:
            raise lost("connection lost in commit", in_doubt=True)

    def handle(self, session, items):
        self._pause_or_fail("handler")
        if self._chance.random() < 0.05:
            raise CapsMoved
        if any(number % 17 == 0 for _, number in items):
            raise ZeroDivisionError
        session.extend(items)
        self._pause_or_fail("handler")
        return [("done", *item) for item in items]

    def _pause_or_fail(self, where: str) -> None:
        if self._chance.random() < 0.5:
            time.sleep(self._chance.random() * 0.002)
        if self._chance.random() < 0.02:
            raise lost(where)


@pytest.mark.parametrize("seed", range(4))
def test_what_returned_is_durable_once_and_of_what_raised_nothing_is_kept_but_in_doubt(seed):
    store = Shaky(seed)
    transactor = store.transactor(waiting_max=THREADS - 2, hang_seconds=0.01)
    told: dict[tuple[int, int], object] = {}

    def work(thread: int) -> None:
        chance = random.Random(seed * THREADS + thread)
        for number in range(CALLS):
            item = (thread, number)
            timeout_seconds, size = chance.choice(TIMEOUTS_SECONDS), chance.choice(SIZES)
            try:
                told[item] = transactor.call(store.handle, item, timeout_seconds=timeout_seconds, size=size)
            except (DependencyError, ZeroDivisionError) as error:
                told[item] = error
                time.sleep(0.001)  # whoever is refused at once would be through before the store is itself again

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transactor.close()

    kept = Counter(store.kept)
    endings = Counter()
    for item, outcome in told.items():
        endings[ending_of(outcome)] += 1
        if isinstance(outcome, tuple):
            assert outcome == ("done", *item)
            assert kept[item] == 1
        elif getattr(outcome, "in_doubt", False):
            assert kept[item] <= 1
        else:
            assert kept[item] == 0
    assert len(told) == THREADS * CALLS
    assert kept.keys() <= told.keys()
    assert {"returned", "in doubt", "raised"} <= endings.keys(), endings


def ending_of(outcome: object) -> str:
    if isinstance(outcome, tuple):
        return "returned"
    return "in doubt" if getattr(outcome, "in_doubt", False) else "raised"

"""Processes of a machine that ask for the same candidates at once, while the stores come and go for each by itself."""

from __future__ import annotations

import itertools
import random
import threading
import time
from contextlib import contextmanager

import pytest

from guardrails.audit import FileSpool
from guardrails.stores import open_stores
from route import TRANSACTIONAL, Route, candidate

WORKERS = 4
REQUESTS = 50
IDS = [f"c-{number}" for number in range(12)]


class Noting(FileSpool):
    """A spool that notes when, in the order of all, its worker decides."""

    def __init__(self, path, turns):
        super().__init__(path)
        self._turns = turns
        self.turn = None

    @contextmanager
    def alone(self, candidate_ids, /, *, timeout_seconds):
        with super().alone(candidate_ids, timeout_seconds=timeout_seconds):
            self.turn = next(self._turns)
            yield


class Worker:
    """A process, played by a thread: its own spool over the common file, its own way to the common stores."""

    def __init__(self, seed, stores, path, turns):
        self._chance = random.Random(seed)
        self._spool = Noting(path, turns)
        self._route = Route(stores, spool=self._spool, name=f"w{seed}")
        self._call, self._route.stores.call = self._route.stores.call, self._slowly
        self.answers = []  # turn, candidate id, answer

    def work(self):
        for _ in range(REQUESTS):
            self._route.stores.is_down = self._chance.random() < 0.4
            candidate_id = self._chance.choice(IDS)
            (answer,) = self._route.decide(candidate(candidate_id, **TRANSACTIONAL))
            self.answers.append((self._spool.turn, candidate_id, answer))
            self._route.stores.is_down = False
            if self._chance.random() < 0.1:
                self._route.application.drain.step()

    def final(self):
        self._route.drain()
        return [self._route.decide(candidate(each, **TRANSACTIONAL))[0] for each in IDS]

    def _slowly(self, handler, item, **how):
        time.sleep(self._chance.random() * 0.003)
        return self._call(handler, item, **how)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_answer_of_a_candidate_is_its_answer_whoever_is_asked_meanwhile(tmp_path, seed):
    stores, turns = open_stores("memory:"), itertools.count()
    workers = [Worker(seed * WORKERS + number, stores, tmp_path / "spool", turns) for number in range(WORKERS)]
    threads = [threading.Thread(target=worker.work) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = sorted(itertools.chain.from_iterable(worker.answers for worker in workers), key=lambda each: each[0])
    assert len(told) == WORKERS * REQUESTS
    for candidate_id, final in zip(IDS, workers[0].final(), strict=True):
        answers = [answer for _, whose, answer in told if whose == candidate_id]
        decided_in_the_stores = [place for place, each in enumerate(answers) if not (each.repeated or is_spooled(each))]
        assert decided_in_the_stores in ([], [0])  # nobody decides there what another has answered from the spool
        assert final.body == answers[0].body
        given = {answer.body for answer in answers if not answer.repeated}
        assert {answer.body for answer in answers} == given


def is_spooled(answer):
    return answer.decision.audit.spooled

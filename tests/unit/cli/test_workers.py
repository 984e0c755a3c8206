"""Workers that died are replaced, by and by where the system has no process to give."""

from __future__ import annotations

import errno

import pytest

from guardrails.cli.workers import Workers

REFUSALS = [BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), RuntimeError("can't start new thread")]


class Worker:
    """Granian's part of a worker, without the process."""

    def __init__(self, idx, refusal):
        self.idx = idx
        self.refusal = refusal

    def start(self):
        if self.refusal is not None:
            raise self.refusal

    def terminate(self):
        """It is dead."""

    def join(self, timeout=None):
        """It is dead."""

    def is_alive(self):
        return False


class ThreeWorkers(Workers):
    """Three of them, all dead; `refusals` are raised one by one while they last."""

    def __init__(self):
        super().__init__("unused", workers=3)
        self.refusals = []
        self.wrks = [Worker(idx, None) for idx in range(3)]

    def _spawn_worker(self, idx, target, callback_loader):
        return Worker(idx, self.refusals.pop(0) if self.refusals else None)


@pytest.fixture
def server():
    return ThreeWorkers()


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
def test_a_worker_that_can_not_be_started_keeps_its_place_and_is_tried_again(server, refusal):
    first, second, third = server.wrks
    server.refusals = [refusal]
    assert server._replace([first, third], None, None) == 1
    assert [worker.idx for worker in server.wrks] == [0, 1, 2]
    assert server.wrks[:2] == [first, second], "one could not be replaced, and the other did not have to be"
    assert server.wrks[2] is not third
    assert server._replace([first], None, None) == 0
    assert server.wrks[0] is not first


def test_what_is_wrong_with_the_code_is_not_tried_again(server):
    server.refusals = [ZeroDivisionError("a bug")]
    with pytest.raises(ZeroDivisionError):
        server._replace(server.wrks[:1], None, None)

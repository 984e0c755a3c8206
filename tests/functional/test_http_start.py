"""A service that has just started answers every kind of route.

A worker that was forked while another thread imported something waited for ever on that import: two of five starts.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from service import CANDIDATE, Service

STARTS = 6


@pytest.mark.parametrize("start_number", range(STARTS))
def test_a_service_that_just_started_answers_routes_with_parameters(tmp_path, start_number):
    service = Service(tmp_path)
    try:
        answer = service.send("PUT", "/v1/recipients/r-1/preferences", {"toggles": {"sponsored": True}})
        assert answer.status == 200
    finally:
        assert service.stop() == 0


def test_workers_end_with_the_process_that_looks_after_them(tmp_path):
    service = Service(tmp_path)
    service.process.kill()
    service.process.wait()
    service.until(lambda: not answers(service))
    again = Service(tmp_path, env={"GUARDRAILS_PORT": str(service.port)})
    assert again.send("GET", "/livez").status == 200
    assert again.stop() == 0


def workers(service) -> list[int]:
    """The processes that serve, by id."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in children.split() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_worker_that_dies_as_it_is_born_is_replaced_however_often(tmp_path):
    service = Service(tmp_path)
    killed: list[int] = []
    for _ in range(5):
        (born,) = service.until(lambda: [pid for pid in workers(service) if pid not in killed])
        os.kill(born, signal.SIGKILL)
        killed.append(born)
    service.until(lambda: answers(service))
    assert service.send("POST", "/v1/decisions", CANDIDATE).json()["effect"] == "allow"
    assert (service.stop(), len(set(killed))) == (0, 5)


def test_workers_that_die_at_the_same_time_are_all_replaced(tmp_path):
    service = Service(tmp_path, env={"GUARDRAILS_WORKERS": "2"})
    killed: set[int] = set()
    for _ in range(3):
        born = service.until(lambda: len(pids := [pid for pid in workers(service) if pid not in killed]) == 2 and pids)
        for pid in born:
            os.kill(pid, signal.SIGKILL)
        killed.update(born)
    service.until(lambda: answers(service) and len(workers(service)) == 2)
    assert service.stop() == 0


def answers(service) -> bool:
    try:
        return service.send("GET", "/livez").status == 200
    except OSError:
        return False

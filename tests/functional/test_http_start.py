"""A service that has just started answers every kind of route.

A worker that was forked while another thread imported something waited for ever on that import: two of five starts.
"""

from __future__ import annotations

import pytest

from service import Service

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


def answers(service) -> bool:
    try:
        return service.send("GET", "/livez").status == 200
    except OSError:
        return False

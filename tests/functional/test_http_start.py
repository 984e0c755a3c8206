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

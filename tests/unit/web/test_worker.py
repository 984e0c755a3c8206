"""What a worker looks after beside its requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from sqlalchemy import insert

from guardrails.bootstrap import in_memory_application
from guardrails.caps import SqlCaps
from guardrails.core.candidate import Candidate
from guardrails.settings import CAPS_IN_DATABASE, Settings
from guardrails.storage.connections import Database
from guardrails.storage.tables import cap_epochs
from guardrails.web.metrics import Metrics
from guardrails.web.worker import _upkeep
from servers import start_postgresql, wait_until
from service import CANDIDATE

LONG_AGO = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_it_keeps_house(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    metrics = Metrics()
    (housekeeping,) = [each for each in _upkeep(application, Settings(), metrics) if each.name == "housekeeping"]
    (answer,) = application.decider.decide([msgspec.convert(CANDIDATE, Candidate)], now=LONG_AGO)
    decision_id = answer.decision.decision_id
    assert application.audit.decision(decision_id).state == "reserved"
    housekeeping.turn()
    assert application.audit.decision(decision_id).state == "expired"
    housekeeping.turn()
    assert "guardrails_leases_expired_total 1.0" in metrics.render().decode().splitlines()


def test_it_looks_after_policies_stores_and_the_clock(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    names = {each.name for each in _upkeep(application, Settings(), Metrics())}
    assert names == {"policies", "spool", "housekeeping", "conversions", "redemptions", "payments", "clock"}


class Rebuild:
    """Caps in a store of their own, that are to be looked after."""

    def step(self):
        return False


@pytest.mark.parametrize("replay_clock", [False, True])
def test_caps_in_a_store_of_their_own_are_looked_after_by_whatever_clock(compiled, replay_clock):
    application = replace(in_memory_application(compiled.policy_set, compiled=compiled), caps_rebuild=Rebuild())
    names = {each.name for each in _upkeep(application, Settings(replay_clock=replay_clock), Metrics())}
    assert "caps" in names


def test_under_the_replay_clock_nobody_knows_what_ended(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    names = {each.name for each in _upkeep(application, Settings(replay_clock=True), Metrics())}
    assert names == {"policies", "spool"}


def test_caps_are_taken_back_from_redis_once_the_database_is_there(tmp_path, compiled, log_lines):
    with start_postgresql() as server:
        settings = Settings(database_url=server.create_database(), caps_url=CAPS_IN_DATABASE, state_directory=tmp_path)
        database = Database(settings.database_url)
        with database.unit() as connection:
            connection.execute(insert(cap_epochs).values(only=0, home="h", epoch="e.1", servers="[]", keeps="{}"))
        database.close()
        server.stop()
        application = in_memory_application(compiled.policy_set, compiled=compiled)
        (caps,) = [each for each in _upkeep(application, settings, Metrics()) if each.name == "caps"]
        caps.turn()
        server.start()
        wait_until(lambda: caps.turn() or log_lines[-1]["event"] == "upkeep.recovered", lambda: str(log_lines))
        database = Database(settings.database_url)
        with database.unit() as connection:
            SqlCaps(connection).keys_of("r-1")
        database.close()
    assert log_lines[0]["event"] == "upkeep.failed"

"""What a worker looks after beside its requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import msgspec
import pytest
from sqlalchemy import insert

from guardrails.bootstrap import in_memory_application
from guardrails.caps import SqlCaps
from guardrails.core.candidate import Candidate
from guardrails.settings import CAPS_IN_DATABASE, Settings
from guardrails.signing import SigningKeys
from guardrails.signing.key_file import change_keys
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
    assert names == {"policies", "spool", "signing_keys"} | {
        "housekeeping",
        "conversions",
        "redemptions",
        "payments",
        "clock",
    }


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
    assert names == {"policies", "spool", "signing_keys"}


def test_it_signs_with_the_keys_that_it_was_started_with_and_tells_of_a_file_that_it_can_not_read(
    tmp_path, compiled, log_lines
):
    path = tmp_path / "signing-keys.json"
    first = SigningKeys.open(path, now=LONG_AGO)
    keys = cache(lambda: SigningKeys.open(path, now=LONG_AGO))
    application = replace(in_memory_application(compiled.policy_set, compiled=compiled), signing_keys=keys)
    (upkeep,) = [each for each in _upkeep(application, Settings(), Metrics()) if each.name == "signing_keys"]
    rotated = change_keys(path, lambda old: old.rotated(LONG_AGO))
    path.chmod(0o644)
    upkeep.turn()
    upkeep.turn()
    path.chmod(0o600)
    upkeep.turn()
    assert keys().current == first.current
    assert keys().public().find(rotated.pairs[0].kid) is not None
    failed, recovered = log_lines
    assert (failed["event"], failed["upkeep"], failed["exc_info"]) == ("upkeep.failed", "signing_keys", None)
    assert "open to others" in failed["error"]
    assert recovered["event"] == "upkeep.recovered"


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

"""Whatever is killed, hangs, is slow, read-only or full: no answered decision is lost, no cap exceeded, no slot leaks.

`make soak` does the same, many times over. The table of all of it is printed at the end of the run.
"""

from __future__ import annotations

import pytest

from faults import kinds

DATABASE = "database"
SPOOL = "spool"
BOTH = "database and spool"

KILLS = [
    (kinds.workers_killed, "sqlite", 25),
    (kinds.one_worker_killed, "sqlite", 10),
    (kinds.service_killed, "sqlite", 8),
    (kinds.workers_killed, "postgresql", 25),
    (kinds.postgresql_killed, "postgresql", 40),
    (kinds.workers_killed, "postgresql and redis", 20),
    (kinds.postgresql_killed, "postgresql and redis", 20),
    (kinds.redis_killed_back_empty, "postgresql and redis", 20),
    (kinds.all_killed_at_once, "postgresql and redis", 6),
    (kinds.redis_killed_back_empty, "sqlite and redis", 20),
    (kinds.redis_node_killed_back_empty, "sqlite and a redis cluster", 8),
]
HANGS = [
    (kinds.file_locked_by_another_program, "sqlite", 8),
    (kinds.postgresql_hangs, "postgresql", 10),
    (kinds.postgresql_hangs_for_long, "postgresql", 4),
    (kinds.postgresql_hangs_in_commits, "postgresql", 10),
    (kinds.postgresql_is_slow, "postgresql", 6),
    (kinds.redis_hangs, "postgresql and redis", 10),
    (kinds.redis_hangs_for_long, "postgresql and redis", 4),
    (kinds.redis_is_slow, "postgresql and redis", 6),
    (kinds.redis_node_hangs, "sqlite and a redis cluster", 8),
]
UNWRITABLE = [
    (kinds.postgresql_read_only, "postgresql", 8),
    (kinds.redis_read_only, "postgresql and redis", 8),
    (kinds.redis_full, "postgresql and redis", 8),
]
DISKS = [
    (kinds.database_disk_hangs, "sqlite", 8, DATABASE),
    (kinds.file_read_only, "sqlite", 8, DATABASE),
    (kinds.small_disk_full, "sqlite", 8, DATABASE),
    (kinds.small_disk_full, "postgresql", 8, DATABASE),
]
NOWHERE_TO_RECORD = [
    (kinds.small_disk_full, "sqlite", 8, BOTH),
    (kinds.postgresql_hangs_and_small_disk_full, "postgresql", 8, SPOOL),
]


def named(plan):
    fault, store, _, *small = plan
    return "-".join([fault.__name__, store.replace(" ", "_"), *small])


@pytest.mark.parametrize("plan", [*KILLS, *HANGS, *UNWRITABLE, *DISKS], ids=named)
def test_nothing_is_lost_exceeded_or_leaked(suffer, plan):
    row = suffer(*plan)
    assert (row.lost, row.overshoot, row.leaked) == (0, 0, 0)
    assert row.answered > row.times


@pytest.mark.parametrize("plan", NOWHERE_TO_RECORD, ids=named)
def test_what_can_be_recorded_nowhere_is_refused(suffer, plan):
    row = suffer(*plan)
    assert (row.lost, row.overshoot, row.leaked) == (0, 0, 0)
    assert row.refused > 0


def test_two_hundred_of_them_are_kills():
    assert sum(times for _, _, times in KILLS) >= 200

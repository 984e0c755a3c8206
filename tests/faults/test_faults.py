"""Whatever is killed, hangs or is full: no answered decision is lost, no cap is exceeded, no slot leaks.

`make soak` does the same, many times over. The table of all of it is printed at the end of the run.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.rig import Rig, Row

HANG_SECONDS = 0.7
"""Longer than a decision's deadline, and shorter than what makes a server be taken for dead."""


@pytest.fixture
def rig(request, tmp_path, rows):
    """A rig over the stores that the test names, whose row joins the table."""
    rigs = []

    def start(store: str, database_url: str, caps_url: str | None = None) -> Rig:
        seed = len(rows) + 1
        rigs.append(Rig(tmp_path / "rig", store=store, database_url=database_url, caps_url=caps_url, seed=seed))
        return rigs[-1]

    yield start
    for each in rigs:
        each.service.stop()


def assert_nothing_broke(row: Row, rows: list[Row]) -> None:
    rows.append(row)
    assert (row.lost, row.overshoot, row.leaked) == (0, 0, 0)
    assert row.answered > row.times


@pytest.mark.parametrize(("fault", "times"), [("kill_workers", 25), ("kill_one_worker", 20), ("kill_service", 15)])
def test_a_killed_service_loses_nothing_on_sqlite(rig, rows, rounds, tmp_path, fault, times):
    with rig("sqlite", f"sqlite:///{tmp_path / 'guardrails.db'}") as it:
        it.fault(fault.replace("_", " "), getattr(it, fault), times=times * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_killed_service_loses_nothing_on_postgresql(rig, rows, rounds, postgres_url):
    with rig("postgresql", postgres_url) as it:
        it.fault("kill workers", it.kill_workers, times=20 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_killed_service_loses_nothing_with_redis(rig, rows, rounds, postgres_url, own_redis):
    with rig("postgresql and redis", postgres_url, own_redis.url) as it:
        it.fault("kill workers", it.kill_workers, times=20 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_killed_postgresql_loses_nothing(rig, rows, rounds, own_postgres):
    with rig("postgresql", own_postgres.create_database()) as it:
        it.fault("postgresql killed", own_postgres.restart, times=40 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_killed_postgresql_loses_nothing_with_redis(rig, rows, rounds, own_postgres, own_redis):
    with rig("postgresql and redis", own_postgres.create_database(), own_redis.url) as it:
        it.fault("postgresql killed", own_postgres.restart, times=20 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_redis_that_comes_back_empty_is_filled_before_anything_is_allowed(rig, rows, rounds, postgres_url, own_redis):
    with rig("postgresql and redis", postgres_url, own_redis.url) as it:
        it.fault("redis killed, back empty", own_redis.restart, times=40 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_redis_beside_sqlite_that_comes_back_empty_is_filled_too(rig, rows, rounds, tmp_path, own_redis):
    with rig("sqlite and redis", f"sqlite:///{tmp_path / 'guardrails.db'}", own_redis.url) as it:
        it.fault("redis killed, back empty", own_redis.restart, times=20 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_postgresql_that_hangs_is_not_waited_for(rig, rows, rounds, own_postgres):
    def hang() -> None:
        with own_postgres.paused():
            time.sleep(HANG_SECONDS)

    with rig("postgresql", own_postgres.create_database()) as it:
        it.fault("postgresql hangs", hang, times=6 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_redis_that_hangs_is_not_waited_for(rig, rows, rounds, postgres_url, own_redis):
    def hang() -> None:
        with own_redis.paused():
            time.sleep(HANG_SECONDS)

    with rig("postgresql and redis", postgres_url, own_redis.url) as it:
        it.fault("redis hangs", hang, times=6 * rounds)
        assert_nothing_broke(it.verdict(), rows)


def test_a_full_disk_stops_nothing_for_longer_than_it_is_full(rig, rows, rounds, small_disk):
    """The database's disk is full; the spool's is not."""

    def fill() -> None:
        with small_disk.filled():
            time.sleep(HANG_SECONDS)

    with rig("sqlite", f"sqlite:///{small_disk.path / 'guardrails.db'}") as it:
        it.fault("database's disk full", fill, times=6 * rounds)
        assert_nothing_broke(it.verdict(), rows)


@dataclass
class SmallDisk:
    """A file system of a few megabytes that can be filled."""

    path: Path

    @contextmanager
    def filled(self) -> Iterator[None]:
        """No byte is free within the block."""
        ballast = self.path / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    pass
        try:
            yield
        finally:
            ballast.unlink()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path], check=True)
    yield SmallDisk(path)
    subprocess.run(["umount", "--lazy", path], check=True)

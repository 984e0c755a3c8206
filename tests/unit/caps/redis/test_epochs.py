"""Epochs: no two have one name, and a copy of the database begins with one of its own."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import create_engine

from guardrails.caps.redis.epochs import CapEpoch, lineage_of
from guardrails.errors import DependencyError
from redis_stores import open_redis_stores, real_now
from stores import sqlite_url
from unit.caps.redis.making import OWN, decide, epoch, report_failed, used


def test_no_epoch_has_the_name_of_another():
    ids = iter(["f" * 24 + "a" * 8, "f" * 24 + "b" * 8])  # made at one time
    names = [CapEpoch().next_name(lambda: next(ids))]
    for _ in range(3):
        names.append(CapEpoch(name=names[-1]).next_name(lambda: next(ids)))
    assert names == ["aaaaaaaa.1", "aaaaaaaa.2", "aaaaaaaa.3", "aaaaaaaa.4"]
    assert CapEpoch(name=names[1], building=names[3]).next_name(lambda: next(ids)) == "aaaaaaaa.5"
    assert CapEpoch(building="aaaaaaaa.1").next_name(lambda: next(ids)) == "aaaaaaaa.2"
    assert CapEpoch().next_name(lambda: next(ids)) == "bbbbbbbb.1"


@pytest.fixture
def home(request, tmp_path):
    """A database, and how to copy it."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "original.db")

        def copy() -> str:
            shutil.copy(tmp_path / "original.db", tmp_path / "copy.db")
            return sqlite_url(tmp_path / "copy.db")

        return url, copy
    server = request.getfixturevalue("postgres_server")
    url = server.create_database()
    return url, lambda: server.create_database(template=url)


@pytest.mark.parametrize("home", ["sqlite", "postgresql"], indirect=True)
def test_a_copied_database_keeps_its_caps_apart_from_those_of_the_original(redis, home):
    url, copied = home
    with open_redis_stores(url, redis.url) as original:
        original.mend()
        decide(original, 1, OWN)
        before = epoch(original)
    with open_redis_stores(copied(), redis.url) as copy:
        with pytest.raises(DependencyError, match="are being rebuilt"):
            used(copy, real_now(), OWN)
        copy.mend()
        report_failed(copy, 1)
        assert used(copy, real_now(), OWN) == [0]
        assert lineage_of(epoch(copy).name) != lineage_of(before.name)
    with open_redis_stores(url, redis.url) as original:
        assert epoch(original) == before
        assert used(original, real_now(), OWN) == [1]


def test_whoever_is_told_to_be_another_database_begins_anew(stores, tmp_path):
    decide(stores, 1, OWN)
    before = epoch(stores)
    engine = create_engine(sqlite_url(tmp_path / "guardrails.db"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE cap_epochs SET home = ''")
    engine.dispose()
    with pytest.raises(DependencyError, match="are being rebuilt"):
        used(stores, real_now(), OWN)
    stores.mend()
    assert lineage_of(epoch(stores).name) != lineage_of(before.name)
    assert used(stores, real_now(), OWN) == [1]


def test_a_database_that_was_moved_is_the_same(redis, tmp_path):
    before, after = tmp_path / "before.db", tmp_path / "after.db"
    with open_redis_stores(sqlite_url(before), redis.url) as stores:
        stores.mend()
        known = epoch(stores)
    before.rename(after)
    with open_redis_stores(sqlite_url(after), redis.url) as stores:
        assert epoch(stores) == known

from __future__ import annotations

import os

import pytest

from faults.rig import Rig
from faults.stores import open_stores
from faults.table import table

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # noqa: TID251 - `make soak` asks for more of the same

_rows = pytest.StashKey()


@pytest.fixture
def suffer(pytestconfig, tmp_path):
    """Do a fault so many times (and more in a soak) to a service over stores; the row of the table that comes of it."""
    rows = pytestconfig.stash.setdefault(_rows, [])

    def row_of(fault, store, times, on_small_disk=""):
        with (
            open_stores(store, tmp_path, on_small_disk=on_small_disk) as stores,
            Rig(tmp_path, stores, seed=len(rows) + 1) as rig,
        ):
            rig.suffer(fault, times=times * ROUNDS)
            rows.append(rig.verdict())
        return rows[-1]

    return row_of


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(_rows, [])
    if rows:
        terminalreporter.ensure_newline()
        terminalreporter.write_line(table(rows))

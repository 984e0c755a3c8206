"""The benchmark of consents measures what it says: the command itself, all rows, and questions that find a record."""

from __future__ import annotations

import pytest
from benchmarks.consents import LookUp, Plan, Run, figures, look_up, run_commands

PLAN = Plan(few=1_000, many=2_000, rounds=1, growth=1.05)


def test_every_row_is_imported_once_and_every_question_is_asked(tmp_path):
    runs = run_commands(PLAN, tmp_path)
    assert [(run.command, run.rows) for run in runs] == [
        ("import", 1_000),
        ("import", 2_000),
        ("import", 2_000),
        ("export", 2_000),
    ]
    assert min(run.peak_mb for run in runs) > 10
    look_ups = list(look_up(PLAN, tmp_path / "many.db"))
    assert [(each.statements, each.statements_one_by_one) for each in look_ups] == [(1, 1_000), (1, 1_000)]


@pytest.mark.parametrize(("peak", "statements", "reached"), [(104.0, 1, True), (106.0, 1, False), (104.0, 2, False)])
def test_growing_memory_and_several_statements_are_missed_figures(peak, statements, reached):
    runs = [Run("import", 1, 1.0, 100.0), *[Run("import", 10, 1.0, peak)] * 2, Run("export", 10, 1.0, 1.0)]
    look_ups = [LookUp("SQLite", statements, 1.0, 1_000, 9.0)]
    assert all(figure.ok for figure in figures(PLAN, runs, look_ups)) is reached

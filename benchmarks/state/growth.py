"""What a decision costs on SQLite as more is stored: more recipients, and more sends under one shared budget.

A thousand recipients' day is decided by the route itself. A file for more of them has every row of that day again and
again, under other recipients' names: so each recipient finds as much as in the smallest file.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.state.application import application
from benchmarks.state.load import BATCHES, Effort, Measured, Source, measure
from benchmarks.state.process import Served, store_process
from benchmarks.state.workload import DAY, POLICIES, START, Traffic, record_consents

__all__ = ["Grown", "grow_budget", "grow_recipients"]

FIRST = 1_000
A_DAY = 1
AWAKE = ("email", "in_app")
"""Channels without quiet hours: the time of day, which passes more slowly for more recipients, makes no difference."""

BUDGET = """\
apiVersion: guardrails/v1
policies:
  - id: shared-budget
    kind: frequency_cap
    applies_to: {lane: monetized}
    limit: 1000000000
    window: {calendar: day, timezone: project}
    per: []
"""
QUARTER_MICROS = 15 * 60 * 1_000_000


class Grown(NamedTuple):
    """What was measured with so much stored, in a file of so many bytes."""

    stored: int
    bytes: int
    measured: Measured


def grow_recipients(
    levels: Sequence[int], effort: Effort, directory: Path, progress: Callable[[str], None]
) -> list[Grown]:
    """Decisions of batches with so many recipients each; `levels` are multiples of a thousand."""
    progress("a day of 1,000 recipients ...")
    day = _day(directory / "day.db", directory)
    paths = []
    for recipients in levels:
        progress(f"the same for {recipients:,} recipients ...")
        paths.append(directory / f"{recipients}.db")
        _multiply(day, paths[-1], recipients // FIRST)
    return _measured(levels, paths, levels, effort, directory)


def grow_budget(
    levels: Sequence[int], recipients: int, effort: Effort, directory: Path, progress: Callable[[str], None]
) -> list[Grown]:
    """Decisions of batches under one budget of the day, after so many sends each.

    `recipients` must be so many that the day is not over before all is measured: each of them has a candidate a day.
    """
    policies = _policies_with_budget(directory)
    progress(f"a day of {recipients:,} recipients under one budget ...")
    all_day = directory / "all.db"
    _multiply(_day(directory / "day.db", directory, policies), all_day, recipients // FIRST)
    paths = []
    for sends in levels:
        progress(f"the same after {sends:,} sends ...")
        paths.append(directory / f"{sends}-sends.db")
        shutil.copy(all_day, paths[-1])
        _count(paths[-1], sends)
    return _measured(levels, paths, [recipients] * len(levels), effort, directory, policies)


def _measured(
    levels: Sequence[int],
    paths: Sequence[Path],
    recipients: Sequence[int],
    effort: Effort,
    directory: Path,
    policies: Path = POLICIES,
) -> list[Grown]:
    traffics = [
        Traffic(number, name=f"more-{level}", start=START + DAY, channels=AWAKE, a_day=A_DAY)
        for level, number in zip(levels, recipients, strict=True)
    ]
    with ExitStack() as stack:
        sources = [
            Source.of_decisions(
                stack.enter_context(store_process(Served(directory, f"sqlite:///{path}", traffic, policies=policies))),
                BATCHES,
            )
            for path, traffic in zip(paths, traffics, strict=True)
        ]
        sizes = [path.stat().st_size for path in paths]
        measure(sources, effort)
    return [Grown(level, size, source.measured) for level, size, source in zip(levels, sizes, sources, strict=True)]


def _policies_with_budget(directory: Path) -> Path:
    policies = directory / "policies"
    shutil.copytree(POLICIES, policies)
    (policies / "budget.yaml").write_text(BUDGET, encoding="utf-8")
    return policies


def _day(path: Path, directory: Path, policies: Path = POLICIES) -> Path:
    """The file in which the first thousand recipients had their day."""
    with application(directory, f"sqlite:///{path}", policies=policies) as opened:
        record_consents(opened, FIRST)
        traffic = Traffic(FIRST, name="day", channels=AWAKE, a_day=A_DAY)
        for batch in traffic.batches(FIRST * A_DAY // BATCHES.size, BATCHES.size):
            opened.decider.decide(batch.candidates, now=batch.now)
    with _edited(path):  # what the log of writes still holds is moved into the file
        return path


def _multiply(day: Path, path: Path, copies: int) -> None:
    """The file with every row of the day for `copies` times as many recipients."""
    shutil.copy(day, path)
    with _edited(path) as connection:
        connection.execute("ATTACH ? AS day", (str(day),))
        connection.execute("CREATE TEMP TABLE copies (copy INTEGER)")
        connection.executemany("INSERT INTO copies VALUES (?)", ((copy,) for copy in range(1, copies)))
        for table in ("cap_slots", "consent_events", "decisions"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(_COPIED.get(column, f'"{column}"') for column in columns)
            ordered = {"cap_slots": "1, 2, 3, 4", "consent_events": "copy", "decisions": "1"}[table]
            connection.execute(  # the names are our own
                f"INSERT INTO {table} SELECT {values} FROM day.{table}, copies ORDER BY {ordered}"  # noqa: S608
            )


_COPIED = {
    "owner": f"'r-' || (substr(owner, 3) + {FIRST} * copy)",
    "recipient": f"'r-' || (substr(recipient, 3) + {FIRST} * copy)",
    "key": f"""replace("key", '"' || owner || '"', '"r-' || (substr(owner, 3) + {FIRST} * copy) || '"')""",
    "id": "id || '.' || copy",
    "seq": f"seq + 10 * {FIRST} * copy",
    "decision_id": "decision_id || '.' || copy",
    "candidate_id": "candidate_id || '.' || copy",
    "owned_candidate": "owned_candidate || '.' || copy",
}
"""What is another in each copy of a row, by column."""


def _count(path: Path, sends: int) -> None:
    """Let so many sends count under the budget of the day that is measured, evenly over the hours that are gone."""
    now = int((START + DAY).timestamp()) * 1_000_000
    quarters = [now - number * QUARTER_MICROS for number in range(1, 21)]
    with _edited(path) as connection:
        for table in ("cap_tallies", "cap_tally_leases"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        connection.executemany(
            "INSERT INTO cap_tallies (cap, key, quarter, sends, keep_until) VALUES ('shared-budget', '[]', ?, ?, ?)",
            [
                (quarter, sends // len(quarters) + (place < sends % len(quarters)), now + 100 * 96 * QUARTER_MICROS)
                for place, quarter in enumerate(quarters)
            ],
        )


@contextmanager
def _edited(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, to be written quickly and by nobody else."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            yield connection

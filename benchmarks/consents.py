"""`make bench-consents`: a million consents imported with flat memory, and a thousand looked up in one round trip.

The import is the command itself, in a process of its own, whose peak of resident memory the kernel tells. Questions are
asked of the records that were imported, as a batch of decisions asks them and one by one.
"""

from __future__ import annotations

import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
import msgspec
from sqlalchemy import Connection, event

from guardrails.bootstrap import utc_now
from guardrails.consent import SqlConsents
from guardrails.consent.transfer import BATCH, ConsentTransfer
from guardrails.consent.values import ConsentRow
from guardrails.core.needs import ConsentQuery
from guardrails.storage.connections import Database
from guardrails.stores import open_stores
from servers import start_postgresql

SOUND, FINDINGS = 0, 1
POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - {id: offers, title: Offers, lawful_basis: consent, benefit: lower prices, retention: 365d}
policies:
  - {id: ask-first, kind: consent_required, applies_to: {lane: monetized}, purpose: offers}
"""
HEADER = "recipient,purpose,state,method,at,channels,evidence\n"
GRANTED_AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
QUICKER_LEAST = {"SQLite": 2.0, "PostgreSQL": 5.0}
"""SQLite is asked without a trip to anywhere."""

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class Plan(msgspec.Struct, frozen=True):
    """How many rows are imported, a few and many, and how often a thousand questions are asked.

    With many rows the peak of memory is at most `growth` times that with few. SQLite's cache is full after some 60,000.
    """

    few: int
    many: int
    rounds: int
    growth: float


FULL = Plan(few=100_000, many=1_000_000, rounds=11, growth=1.05)
QUICK = Plan(few=5_000, many=20_000, rounds=3, growth=1.25)


class Run(msgspec.Struct, frozen=True):
    """One run of a command: its rows, how long it took and the most memory that it held."""

    command: str
    rows: int
    seconds: float
    peak_mb: float


class LookUp(msgspec.Struct, frozen=True):
    """A thousand questions at once and one by one: statements and seconds of each."""

    store: str
    statements: int
    seconds: float
    statements_one_by_one: int
    seconds_one_by_one: float


class Figure(msgspec.Struct, frozen=True):
    """What is wanted, and what was reached."""

    name: str
    wanted: str
    reached: float
    ok: bool


@click.command()
@click.option("--quick", is_flag=True, help="Fewer rows: under twenty seconds.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the figures as JSON.")
def main(*, quick: bool, json_wanted: bool) -> None:
    """Import, export and look up consents, and hold the figures against what is to be reached.

    Exits with 1 where one isn't.
    """
    plan = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="guardrails-") as name:
        runs = run_commands(plan, Path(name))
        look_ups = list(look_up(plan, Path(name) / "many.db"))
    reached = figures(plan, runs, look_ups)
    if json_wanted:
        click.echo(msgspec.json.encode({"runs": runs, "look_ups": look_ups, "figures": reached}))
    else:
        _print(runs, look_ups, reached)
    sys.exit(SOUND if all(figure.ok for figure in reached) else FINDINGS)


def figures(plan: Plan, runs: Sequence[Run], look_ups: Sequence[LookUp]) -> list[Figure]:
    """What there is to be reached."""
    few, many, again, _ = runs
    found = []
    for what, run in (("many rows", many), ("many rows again", again)):
        growth = run.peak_mb / few.peak_mb
        wanted = f"at most {plan.growth:g}x"
        found.append(Figure(f"peak memory, {what} against few", wanted, growth, growth <= plan.growth))
    for each in look_ups:
        quicker, least = each.seconds_one_by_one / each.seconds, QUICKER_LEAST[each.store]
        found.append(Figure(f"{each.store}: statements of a batch", "1", each.statements, each.statements == 1))
        found.append(
            Figure(
                f"{each.store}: a batch against one by one",
                f"at least {least:g}x quicker",
                quicker,
                quicker >= least,
            )
        )
    return found


# --- import and export ------------------------------------------------------------------------------------------


def run_commands(plan: Plan, directory: Path) -> list[Run]:
    """Few rows imported, many, the same again, and an export of them."""
    (directory / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    runs = []
    for name, rows in (("few", plan.few), ("many", plan.many)):
        with closing(open_stores(f"sqlite:///{directory / name}.db")) as transactor:
            ConsentTransfer(transactor, purposes=dict).last()
        with (directory / f"{name}.csv").open("w", encoding="utf-8") as file:
            file.write(HEADER)
            file.writelines(_line(number) for number in range(rows))
        runs.append(_imported(directory, name, rows))
    runs.append(_imported(directory, "many", plan.many))
    with Path(os.devnull).open("wb") as nowhere:
        export = ("export", "--format", "csv", "--database", f"sqlite:///{directory / 'many.db'}")
        runs.append(_timed(export, plan.many, nowhere))
    with closing(sqlite3.connect(directory / "many.db")) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM consent_events").fetchone()
    if kept != plan.many:
        message = f"{kept} of {plan.many} rows are recorded"
        raise RuntimeError(message)
    return runs


def _line(number: int) -> str:
    return f'r-{number},offers,granted,form,2026-03-10T12:00:00Z,push email,"{{""page"": ""/offers/{number}""}}"\n'


def _imported(directory: Path, name: str, rows: int) -> Run:
    options = ("--policies", directory / "policies.yaml", "--database", f"sqlite:///{directory / name}.db")
    return _timed(("import", directory / f"{name}.csv", *options), rows, None)


def _timed(arguments: Sequence[str | Path], rows: int, out: IO[bytes] | None) -> Run:
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - the command line itself
        [sys.executable, "-m", "guardrails", "consent", *arguments], stdout=out or subprocess.DEVNULL
    )
    peak_mb = 0.0
    while process.poll() is None:
        peak_mb = _peak_mb(process.pid) or peak_mb
        time.sleep(0.01)
    if process.returncode != 0:
        message = f"`guardrails consent {arguments[0]}` ended with {process.returncode}"
        raise RuntimeError(message)
    return Run(str(arguments[0]), rows, time.perf_counter() - begun, peak_mb)


def _peak_mb(process_id: int) -> float | None:
    """The most memory that a process has held so far; `ru_maxrss` would count what it was forked from as well."""
    found = _PEAK.search(Path(f"/proc/{process_id}/status").read_text(encoding="ascii"))
    return None if found is None else int(found[1]) / 1024


# --- looking up -------------------------------------------------------------------------------------------------


def look_up(plan: Plan, path: Path) -> Iterator[LookUp]:
    """A thousand questions on SQLite, over all that was imported, and on PostgreSQL, over a few."""
    yield _looked_up("SQLite", f"sqlite:///{path}", plan.many, plan.rounds)
    with start_postgresql() as server, server.database() as url:
        with closing(open_stores(url)) as transactor:
            transfer = ConsentTransfer(transactor, purposes=dict)
            for start in range(0, plan.few, BATCH):
                transfer.record([_row(number) for number in range(start, start + BATCH)], now=utc_now())
        yield _looked_up("PostgreSQL", url, plan.few, plan.rounds)


def _row(number: int) -> ConsentRow:
    return ConsentRow(recipient=f"r-{number}", purpose="offers", state="granted", method="form", at=GRANTED_AT)


def _looked_up(store: str, url: str, rows: int, rounds: int) -> LookUp:
    step = max(1, rows // 1_000)
    queries = [ConsentQuery(f"r-{number * step}", "offers", "push") for number in range(1_000)]
    with closing(Database(url)) as database, database.unit() as connection:
        consents = SqlConsents(connection)

        def together() -> int:
            return len([state for state in consents.read(queries).values() if state.record])

        def one_by_one() -> int:
            return len([query for query in queries if consents.read([query])[query].record])

        counts, seconds = zip(*(_measured(connection, ask, rounds) for ask in (together, one_by_one)), strict=True)
    return LookUp(store, counts[0], seconds[0], counts[1], seconds[1])


def _measured(connection: Connection, ask: Callable[[], int], rounds: int) -> tuple[int, float]:
    """The statements of one round, and the median of its seconds."""
    with _statements(connection) as said:
        answered = ask()
    if answered != 1_000:
        message = f"{answered} of 1,000 questions found a record"
        raise RuntimeError(message)
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begun)
    return len(said), statistics.median(taken)


@contextmanager
def _statements(connection: Connection) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(connection, "before_cursor_execute", note)


# --- told -------------------------------------------------------------------------------------------------------


def _print(runs: Sequence[Run], look_ups: Sequence[LookUp], reached: Sequence[Figure]) -> None:
    for run in runs:
        a_second = run.rows / run.seconds
        print(f"{run.command}  {run.rows:>9,} rows  {run.seconds:8.1f} s  {a_second:8,.0f}/s  {run.peak_mb:6.1f} MB")
    for each in look_ups:
        told = f"{each.seconds * 1000:7.1f} ms in {each.statements} statement"
        alone = f"{each.seconds_one_by_one * 1000:7.1f} ms in {each.statements_one_by_one:,}"
        print(f"{each.store:<10}  1,000 questions: {told}, one by one {alone}")
    for figure in reached:
        mark = "ok    " if figure.ok else "MISSED"
        print(f"{mark}  {figure.name}: {figure.reached:.2f} ({figure.wanted})")


if __name__ == "__main__":
    main()

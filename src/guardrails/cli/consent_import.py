"""`guardrails consent import`: record the consents of a file, as many as it holds."""

from __future__ import annotations

import io
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from guardrails.bootstrap import utc_now
from guardrails.cli import exit_codes
from guardrails.cli.consent_rows import Form, Row, RowReader
from guardrails.cli.counting import counted
from guardrails.cli.documented import Documented
from guardrails.cli.opening import require_records
from guardrails.cli.options import json_option, recorded_policies_option, records_option
from guardrails.cli.progress import progress
from guardrails.cli.terminal import print_json
from guardrails.consent.transfer import BATCH, ConsentTransfer
from guardrails.decoding import in_place
from guardrails.errors import CandidateError, DependencyError, MalformedError, SettingsError
from guardrails.policyfile.loader import load_policies
from guardrails.stores import open_stores

__all__ = ["form_option", "import_"]

SHOWN_MOST = 20
"""So many bad rows are shown where a file takes all of them."""

form_option = click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "ndjson"]),
    help="CSV, whose first line names the columns, or NDJSON, an object a line.",
)


class _Problem(msgspec.Struct, frozen=True):
    column: str | None
    message: str


class _BadRow(msgspec.Struct, frozen=True):
    """A row that was not recorded, as `--errors` tells of it."""

    line: int
    problems: tuple[_Problem, ...]

    @classmethod
    def from_error(cls, line: int, error: CandidateError) -> _BadRow:
        """What `error` says of the row that begins in `line`."""
        told = error.problems or (("", str(error)),)
        return cls(line, tuple(_Problem(pointer.split("/")[1] if pointer else None, said) for pointer, said in told))


@click.command(
    cls=Documented,
    name="import",
    examples=(
        "guardrails consent import consents.csv",
        "guardrails consent import consents.ndjson --errors bad.ndjson --json",
        "gunzip -c consents.csv.gz | guardrails consent import -",
    ),
    exits={0: "all rows are recorded", 1: "all but those that were named", 2: "could not run, or not to the end"},
)
@click.argument("file", type=click.File("rb"))
@form_option
@recorded_policies_option
@records_option
@click.option(
    "--errors",
    "errors_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write every bad row here, NDJSON: `line` and `problems`.",
)
@json_option
def import_(
    *, file: BinaryIO, form: Form | None, policies: Path, database: str, errors_file: Path | None, as_json: bool
) -> int:
    """Record the consents in FILE (`-`: standard input): CSV or NDJSON, which its first line tells.

    Good rows are recorded, 1,000 at a time; of each bad one the line, the column and the reason are said. What is
    recorded already is left as it is: the same file may be imported again, after an interruption or mended. A row has
    the fields of `POST /v1/consents`; one without `id` needs `at`, and gets an id that follows from what it says.
    """
    if database == "memory:":
        raise SettingsError("consents are recorded in a database; `memory:` keeps nothing")
    require_records(database)
    name = str(getattr(file, "name", "<stdin>"))
    _check_errors_file(Path(name), errors_file)
    declared = load_policies(policies).purposes
    with ExitStack() as stack:
        transactor = stack.enter_context(closing(open_stores(database)))
        out = None if errors_file is None else stack.enter_context(errors_file.open("wb"))
        run = _Import(ConsentTransfer(transactor, purposes=lambda: declared), name, out)
        run.carry_out(RowReader(file, form), _size(file))
    if as_json:
        print_json({"recorded": run.recorded, "known": run.known, "bad": run.bad})
    else:
        bad = f", {counted(run.bad, 'bad row')}" if run.bad else ""
        click.echo(f"{counted(run.recorded, 'consent')} recorded, {run.known:,} known already{bad}")
    return exit_codes.FINDINGS if run.bad else exit_codes.FINE


class _Import:
    """One run, and what has come of it so far."""

    def __init__(self, transfer: ConsentTransfer, name: str, out: BinaryIO | None) -> None:
        self._transfer = transfer
        self._name = name
        self._out = out
        self.recorded = 0
        self.known = 0
        self.bad = 0

    def carry_out(self, reader: RowReader, size: int | None) -> None:
        """Record all rows. Raises what is wrong with the file as a whole, or what kept it from being recorded."""
        with progress("importing", size) as advance:
            try:
                for batch in _batches(iter(reader)):
                    self._record(batch)
                    advance(reader.bytes_read)
            except MalformedError as error:
                raise MalformedError(f"{self._name} {error}") from None
            except DependencyError as error:
                done = counted(self.recorded + self.known, "row")
                said = f"{error}; {done} recorded so far: run again to record the others"
                raise DependencyError(said, dependency=error.dependency, in_doubt=error.in_doubt) from error

    def _record(self, batch: list[Row]) -> None:
        now = utc_now()
        results = in_place([row.request for row in batch], lambda rows: self._transfer.record(rows, now=now))
        for row, result in zip(batch, results, strict=True):
            if isinstance(result, CandidateError):
                self._tell(_BadRow.from_error(row.line, result))
            else:
                self.recorded += result.is_new
                self.known += not result.is_new

    def _tell(self, row: _BadRow) -> None:
        self.bad += 1
        if self._out is not None:
            self._out.write(msgspec.json.encode(row) + b"\n")
        if self._out is None or self.bad <= SHOWN_MOST:
            for problem in row.problems:
                column = "" if problem.column is None else f" {problem.column}:"
                click.echo(f"{self._name}:{row.line}:{column} {problem.message}", err=True)
        elif self.bad == SHOWN_MOST + 1:
            click.echo("further bad rows are in the file of --errors only", err=True)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


def _size(file: BinaryIO) -> int | None:
    """How long the file is, or None where that shows at its end only."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, io.UnsupportedOperation):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _check_errors_file(source: Path, errors_file: Path | None) -> None:
    if errors_file is not None and errors_file.exists() and source.exists() and errors_file.samefile(source):
        raise click.BadParameter("is the file to import", param_hint="--errors")

"""`guardrails replay`: decide every recorded decision again, and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from guardrails.audit.service import AuditService
from guardrails.bootstrap import compiler
from guardrails.cli import exit_codes
from guardrails.cli.counting import counted
from guardrails.cli.documented import Documented
from guardrails.cli.opening import require_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import errors_console, output_console, print_json
from guardrails.decide.replay import Difference, Replay
from guardrails.errors import NotFoundError
from guardrails.stores import open_stores, refuse_to_migrate

__all__ = ["files_of", "replay"]

Entry = tuple[int, bytes]


@click.command(
    cls=Documented,
    examples=(
        "guardrails replay",
        "guardrails replay --database sqlite:///guardrails.db --from 1000 --to 2000",
        "guardrails replay --json | jq '.differences[].index'",
    ),
    exits={0: "no difference", 1: "a difference", 2: "could not run"},
)
@records_option
@click.option("--from", "start", metavar="INDEX", type=click.IntRange(min=0), default=0, help="The first audit entry.")
@click.option("--to", "stop", metavar="INDEX", type=click.IntRange(min=0), help="The audit entry to stop before.")
@json_option
def replay(*, database: str, start: int, stop: int | None, as_json: bool) -> int:
    """Decide every recorded decision again, from its audit entry and its policies alone; report any difference.

    There must be none. A difference means that the log, or the software, is not what it was. Decisions that a fault
    or an outage made can't be decided again; they are counted as skipped. Of those that an older release recorded,
    what it recorded is compared. Entries that other rooms wrote, such as redemptions, are counted as events.
    """
    require_records(database)
    transactor = open_stores(database, on_old_schema=refuse_to_migrate)
    try:
        audit = AuditService(transactor)
        size = audit.size()
        stop = size if stop is None else min(stop, size)
        again = Replay(files_of=lambda revision: files_of(audit, revision), compile_set=compiler("native"))
        with _progress(max(stop - start, 0)) as advance:
            differences = list(again.check(advance(audit.entries(start, max(start, stop)))))
    finally:
        transactor.close()
    if as_json:
        counts = {"decisions": again.decisions, "skipped": again.skipped, "older": again.older, "events": again.events}
        print_json(counts | {"differences": differences})
    else:
        _show(again, differences, output_console())
    return exit_codes.FINDINGS if differences else exit_codes.FINE


def files_of(audit: AuditService, revision: str) -> Mapping[str, str] | None:
    """The files of the policy set of a revision, or None where they are not kept."""
    try:
        return audit.policy_files(revision)
    except NotFoundError:
        return None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Iterable[Entry]], Iterator[Entry]]]:
    """What passes entries on and moves a bar along, where a person watches."""
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    console = errors_console()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replaying", total=total)

        def advance(entries: Iterable[Entry]) -> Iterator[Entry]:
            for entry in entries:
                yield entry
                progress.advance(task)

        yield advance


def _show(again: Replay, differences: list[Difference], console: Console) -> None:
    for each in differences:
        console.print(
            Text.assemble((f"entry {each.index}", "bold"), f"  decision {each.decision_id}", (f"  {each.what}", "red"))
        )
        console.print(Text.assemble(("  recorded  ", "dim"), _shown(each.recorded)))
        console.print(Text.assemble(("  computed  ", "dim"), _shown(each.computed)))
    said = f"{counted(again.decisions, 'decision')} replayed, {counted(len(differences), 'difference')}"
    skipped = f", {again.skipped:,} skipped" if again.skipped else ""
    console.print(f"{said}{skipped}", style="bold red" if differences else "bold green")
    if again.events:
        console.print(f"{counted(again.events, 'event')} passed over: they decide nothing", style="dim")
    if again.older:
        recorded = f"{counted(again.older, 'decision')} recorded by an older release"
        less = "which wrote less of leases, slots and consents: all that it wrote was compared"
        console.print(f"{recorded}, {less}", style="dim")


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()

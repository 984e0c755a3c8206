"""`guardrails consent impact`: every decision that relied on a notice, a consent record or a purpose."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator

import click
import msgspec
from rich.console import Console
from rich.text import Text

from guardrails.audit.service import AuditService
from guardrails.bootstrap import new_id, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.counting import counted
from guardrails.cli.decision_view import moment
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.progress import progress_of_output
from guardrails.cli.replay import files_of
from guardrails.cli.terminal import output_console
from guardrails.consent import ConsentService, NoticeService
from guardrails.decide.impact import Impact, OfNotice, OfPurpose, OfRecord, Relying, Sought
from guardrails.decide.ports import Transactor
from guardrails.errors import SettingsError
from guardrails.policyfile.problems import did_you_mean

__all__ = ["impact"]

Entry = tuple[int, bytes]


@click.command(
    cls=Documented,
    examples=(
        "guardrails consent impact --notice partner-offers@2026-03",
        "guardrails consent impact --record consent-1 --database sqlite:///guardrails.db",
        "guardrails consent impact --purpose sponsored_content --json | jq 'select(.is_open).decision_id'",
    ),
    exits={0: "listed, be it none", 2: "could not run"},
)
@click.option("--notice", metavar="ID@VERSION", help="Consents given on this notice; without @VERSION, on any version.")
@click.option("--record", metavar="ID", help="The consent record with this id.")
@click.option("--purpose", metavar="ID", help="Any consent record of this purpose.")
@records_option
@json_option
def impact(*, notice: str | None, record: str | None, purpose: str | None, database: str, as_json: bool) -> int:
    """List every decision that relied on a notice, on a consent record, or on any record of a purpose.

    That is, by which an enforced policy of it decided. The whole log is read; of each decision its audit index is told,
    what became of it by now, and whether its reservation is still open, so that it may still be sent.
    """
    sought = _sought(notice, record, purpose)
    if database == "memory:":
        raise SettingsError("decisions are read from what is on record; `memory:` keeps no records")
    told: Counter[str] = Counter()
    console = None if as_json else output_console()
    with opened_records(database) as transactor:
        _demand_kept(sought, transactor)
        audit = AuditService(transactor)
        size = audit.size()
        search = Impact(transactor, files_of=lambda revision: files_of(audit, revision), now=utc_now())
        for each in search.find(sought, _read(audit, size)):
            told.update((each.effect, "open") if each.is_open else (each.effect,))
            _tell(each, console)
    if isinstance(sought, OfPurpose) and search.decisions and not search.untold:
        _demand_asked(sought.purpose, search.purposes)
    if not as_json:
        click.echo(_summary(told, search))
    return exit_codes.FINE


def _sought(notice: str | None, record: str | None, purpose: str | None) -> Sought:
    if [notice, record, purpose].count(None) != 2:  # noqa: PLR2004 - one of the three
        raise click.UsageError("say one of --notice, --record and --purpose")
    if record is not None:
        return OfRecord(record)
    if purpose is not None:
        return OfPurpose(purpose)
    notice_id, has_version, version = (notice or "").rpartition("@")
    if not has_version:
        notice_id, version = version, ""
    if not notice_id and not version:
        raise click.BadParameter("names no notice", param_hint="--notice")
    return OfNotice(notice_id or None, version or None)


def _demand_kept(sought: Sought, transactor: Transactor) -> None:
    """Refuse to look for what was never there: nothing can have relied on it, and it is some other that is meant.

    Raises NotFoundError, click.BadParameter. Of versions of no notice in particular, nothing is kept to look it up in.
    """
    if isinstance(sought, OfRecord):
        ConsentService(transactor, purposes=dict, new_id=new_id).read(sought.record)
    if not isinstance(sought, OfNotice) or sought.notice_id is None:
        return
    notices = NoticeService(transactor, purposes=dict)
    versions = {each.version for each in notices.versions(sought.notice_id)}
    if not versions:
        said = f"no notice `{sought.notice_id}` is kept"
        raise click.BadParameter(
            _with_hint(said, sought.notice_id, [each.id for each in notices.every()]), param_hint="--notice"
        )
    if sought.version is not None and sought.version not in versions:
        said = f"no version `{sought.version}` of notice `{sought.notice_id}` is kept"
        raise click.BadParameter(_with_hint(said, sought.version, versions), param_hint="--notice")


def _demand_asked(purpose: str, asked: Collection[str]) -> None:
    """Refuse a purpose that no enforced policy asked for in any decision. Raises click.BadParameter."""
    if purpose not in asked:
        said = f"in no decision an enforced policy asked for a consent to `{purpose}`"
        raise click.BadParameter(_with_hint(said, purpose, asked), param_hint="--purpose")


def _with_hint(said: str, word: str, known: Collection[str]) -> str:
    hint = did_you_mean(word, sorted(known))
    return f"{said}; {hint}" if hint else said


def _read(audit: AuditService, size: int) -> Iterator[Entry]:
    with progress_of_output("reading the log", size) as advance:
        for index, data in audit.entries(0, size):
            yield index, data
            if index % 1_000 == 0:
                advance(index)


def _tell(found: Relying, console: Console | None) -> None:
    if console is None:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    state = "no longer kept" if found.state is None else "held nothing" if found.state == "none" else found.state
    open_until = f"reserved until {moment(found.lease_until)}" if found.is_open and found.lease_until else state
    console.print(
        Text.assemble(
            f"{found.audit_index:>8}  {moment(found.evaluated_at)}  ",
            (f"{found.effect:<5}", "green" if found.effect == "allow" else "red"),
            f"  {found.decision_id}  {found.recipient}  ",
            (open_until, "bold yellow" if found.is_open else "dim"),
        )
    )


def _summary(told: Counter[str], search: Impact) -> str:
    relied = told["allow"] + told["deny"]
    which = f"{counted(told['allow'], 'allow')}, {counted(told['deny'], 'deny', 'denies')}"
    said = f"{relied:,} of {counted(search.decisions, 'decision')} relied on it: {which}"
    untold = f"; of {search.untold:,} the purpose can't be told: their policies don't load" if search.untold else ""
    return f"{said}; {counted(told['open'], 'reservation')} still open{untold}"

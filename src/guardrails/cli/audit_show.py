"""`guardrails audit show`: entries of the log by their index, such as a statement's lines name."""

from __future__ import annotations

import click

from guardrails.audit.service import AuditService
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import records_option

__all__ = ["show"]


@click.command(
    cls=Documented,
    examples=("guardrails audit show 17", "guardrails audit show 17 18 | jq -r .type"),
    exits={0: "printed", 1: "the log has no such entry", 2: "could not run"},
)
@click.argument("indices", metavar="INDEX...", nargs=-1, required=True, type=click.IntRange(min=0))
@records_option
def show(*, indices: tuple[int, ...], database: str) -> int:
    """Print the entry of each INDEX of the log: a line of JSON each, byte for byte as it was written.

    Statements of `guardrails settle` name the entries that prove their lines (`audit_index`). The first entry's index
    is 0.
    """
    code = exit_codes.FINE
    with opened_records(database) as transactor:
        audit = AuditService(transactor)
        size = audit.size()
        for index in indices:
            if index < size:
                ((_, entry),) = audit.entries(index, index + 1)
                click.echo(entry)
            else:
                click.echo(f"guardrails: there is no entry {index}; the log holds {size}, from 0 on", err=True)
                code = exit_codes.FINDINGS
    return code

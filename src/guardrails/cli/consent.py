"""`guardrails consent`: the commands on what recipients agreed to. Each is one line here and one module."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "consent"]

COMMANDS: Mapping[str, Entry] = {
    "history": Entry("guardrails.cli.consent_history", "Show what a recipient consented to, now or at any time."),
    "import": Entry("guardrails.cli.consent_import", "Record the consents of a file, CSV or NDJSON.", "import_"),
    "export": Entry("guardrails.cli.consent_export", "Print every consent on record."),
    "impact": Entry("guardrails.cli.consent_impact", "List every decision that relied on a notice or a record."),
    "receipt": Entry("guardrails.cli.receipts", "Print the signed receipt for a consent."),
    "verify": Entry("guardrails.cli.receipts", "Say whether a receipt holds, by the published keys."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def consent() -> None:
    """Record what recipients agreed to, and look at it: when it was said, and how."""

"""`guardrails schema`: the JSON Schema that editors complete by."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from guardrails.cli.documented import Documented

__all__ = ["schema"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails schema --output policy.schema.json",
        "guardrails schema --tests --output policy_test.schema.json",
    ),
    exits={0: "printed", 2: "could not run"},
)
@click.option("--tests", is_flag=True, help="The schema of policy tests instead of policies.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead of the terminal.",
)
def schema(*, tests: bool, output: Path | None) -> None:
    """Print the JSON Schema (2020-12) of policies, or of policy tests.

    Editors with the yaml-language-server complete kinds and fields, and underline mistakes, in files whose first line
    is `# yaml-language-server: $schema=policy.schema.json`.
    """
    text = msgspec.json.format(msgspec.json.encode(_schema_of(tests=tests)), indent=2).decode()
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


def _schema_of(*, tests: bool) -> object:
    if tests:
        from guardrails.policytest.schema import policy_test_schema  # noqa: PLC0415 - only what is asked for is imported

        return policy_test_schema()
    from guardrails.policyfile.schema import policy_schema  # noqa: PLC0415 - as above

    return policy_schema()

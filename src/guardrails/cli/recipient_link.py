"""`guardrails recipient link`: a link to a recipient's own page, as the service would make it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from guardrails.bootstrap import utc_now
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.options import json_option, signing_keys_option
from guardrails.cli.terminal import print_json
from guardrails.core.candidate import Id, Language
from guardrails.errors import SettingsError
from guardrails.settings import parse_public_url
from guardrails.signing import Links, SigningKeys

__all__ = ["link"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails recipient link r-42 --public-url https://notify.example.org",
        "guardrails recipient link r-42 --public-url https://notify.example.org --language de --json | jq -r .url",
    ),
    exits={0: "printed", 2: "could not run"},
)
@click.argument("recipient")
@click.option("--public-url", required=True, metavar="URL", help="What recipients reach the service by.")
@click.option(
    "--language", help="The language to greet them in, such as `de`. Else the one that their browser asks for."
)
@signing_keys_option
@json_option
def link(*, recipient: str, public_url: str, language: str | None, signing_keys: Path, as_json: bool) -> int:
    """Print a link to the page of the recipient with the id RECIPIENT, where they see and change what is theirs.

    Whoever has the link has the page: send it to nobody else. It must be signed with the service's own keys, and works
    from now on for as long as the service says (`--page-links`).
    """
    _check(recipient, Id, "RECIPIENT", "no id can be like this: it is empty, too long, or holds control characters")
    _check(language, Language | None, "--language", "no language can be called this; try `de` or `en-GB`")
    try:
        base_url = parse_public_url(public_url)
    except ValueError as error:
        raise click.BadParameter(f"`{public_url}` {error}", param_hint="--public-url") from None
    if not signing_keys.is_file():
        raise SettingsError(f"there are no signing keys at `{signing_keys}`; `guardrails serve` makes them")
    now = utc_now()
    url = Links(base_url, SigningKeys.open(signing_keys, now=now).link_secret).preferences(recipient, now, language)
    if as_json:
        print_json({"url": url})
    else:
        click.echo(url)
    return exit_codes.FINE


def _check(value: str | None, type_: object, hint: str, message: str) -> None:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        raise click.BadParameter(message, param_hint=hint) from None

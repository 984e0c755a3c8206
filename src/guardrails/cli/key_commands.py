"""`guardrails keys list | rotate | remove`: look after the file of signing keys. No secret is ever printed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
import msgspec

from guardrails.bootstrap import utc_now
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.options import json_option, signing_keys_option
from guardrails.cli.terminal import output_console, print_json, print_words
from guardrails.errors import SettingsError
from guardrails.signing.jwk import KeyPair, KeySet
from guardrails.signing.key_file import change_keys, read_keys

__all__ = ["list", "remove", "rotate"]


class KeyLine(msgspec.Struct, frozen=True):
    """What is told of a key."""

    kid: str
    use: Literal["receipts", "links"]
    state: Literal["signs", "retired"]
    created_at: datetime


@click.command(
    cls=Documented,
    name="list",
    examples=("guardrails keys list", "guardrails keys list --signing-keys /etc/guardrails/keys.json --json"),
    exits={0: "shown", 2: "could not run"},
)
@signing_keys_option
@json_option
def list(*, signing_keys: Path, as_json: bool) -> int:  # noqa: A001 - named like its command
    """Show the keys: which sign receipts, tokens and links now, and which are retired and only verify."""
    _show(_existing(signing_keys, read_keys), as_json=as_json)
    return exit_codes.FINE


@click.command(
    cls=Documented,
    examples=("guardrails keys rotate",),
    exits={0: "rotated", 2: "could not run"},
)
@signing_keys_option
@json_option
def rotate(*, signing_keys: Path, as_json: bool) -> int:
    """Put a new key for receipts and tokens and a new one for links in front; the former ones stay, and only verify.

    The private half of the former key for receipts and tokens is destroyed. A running service accepts the new keys at
    once, and signs with them once it is started anew: so where several machines serve, copy the file to each of them
    first.
    """
    changed = _existing(signing_keys, lambda path: change_keys(path, lambda keys: keys.rotated(utc_now())))
    _show(changed, as_json=as_json)
    return exit_codes.FINE


@click.command(
    cls=Documented,
    examples=("guardrails keys remove 5RnNcpmHC9FgJQGS9h1UTn3fVGI-5lGXJMc5kAMvVFY",),
    exits={0: "removed", 2: "could not run"},
)
@click.argument("kid")
@signing_keys_option
@json_option
def remove(*, kid: str, signing_keys: Path, as_json: bool) -> int:
    """Remove the retired key with the id KID: what it signed is worth nothing from now on.

    That ends every link that was signed with it, unsubscribe links in messages that were sent included; or leaves the
    receipts that it signed without proof, and refuses every offer token and attribution that it signed. Do it where a
    key may have leaked, after `guardrails keys rotate`.
    """

    def without(keys: KeySet) -> KeySet:
        try:
            return keys.without(kid)
        except ValueError as error:
            raise SettingsError(f"{signing_keys}: {error}") from None

    _show(_existing(signing_keys, lambda path: change_keys(path, without)), as_json=as_json)
    return exit_codes.FINE


def _existing(path: Path, use: Callable[[Path], KeySet]) -> KeySet:
    if not path.exists():
        raise SettingsError(f"there are no signing keys at `{path}`; `guardrails serve` makes them")
    return use(path)


def _show(keys: KeySet, *, as_json: bool) -> None:
    lines = [
        KeyLine(
            kid=key.kid,
            use="receipts" if isinstance(key, KeyPair) else "links",
            state="signs" if keys.is_current(key) else "retired",
            created_at=key.created_at,
        )
        for key in keys.keys
    ]
    if as_json:
        print_json({"keys": lines})
        return
    console = output_console()
    for line in lines:
        print_words(
            (
                (f"{line.kid}  ", "name"),
                (f"{line.use:<9}", "plain"),
                (f"{line.state:<8}", "good" if line.state == "signs" else "quiet"),
                (f"since {line.created_at:%Y-%m-%d}", "quiet"),
            ),
            console,
        )

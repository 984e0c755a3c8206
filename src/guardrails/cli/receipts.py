"""`guardrails consent receipt | verify`: a signed receipt for a consent, and whether one holds."""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import click
import msgspec

from guardrails.bootstrap import open_application, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.opening import require_records
from guardrails.cli.options import json_option, recorded_policies_option, records_option, signing_keys_option
from guardrails.cli.terminal import output_console, print_json, print_words
from guardrails.consent.receipts import Receipt, verify_receipt
from guardrails.errors import SettingsError
from guardrails.settings import Settings, is_loopback, read_controller
from guardrails.signing import PublicKeys, SignatureError

__all__ = ["receipt", "verify"]

JWKS_BYTES = 1024 * 1024
JWKS_SECONDS = 10


@click.command(
    cls=Documented,
    examples=(
        "guardrails consent receipt consent-1 > receipt.json",
        "guardrails consent receipt consent-1 | jq -r .jws",
    ),
    exits={0: "issued", 2: "could not run, or there is no such consent"},
)
@click.argument("consent_id", metavar="ID")
@recorded_policies_option
@records_option
@signing_keys_option
@click.option(
    "--controller-file",
    type=click.Path(path_type=Path),
    help="Who answers for the recipients' data, JSON; see docs/operations.md.",
)
def receipt(*, consent_id: str, policies: Path, database: str, signing_keys: Path, controller_file: Path | None) -> int:
    """Print the signed receipt for the consent with the id ID, as `GET /v1/consents/ID/receipt` answers it.

    It must be signed with the service's own keys: others can't be verified by what the service publishes.
    """
    if database == "memory:":
        raise SettingsError("a receipt is for what is on record; `memory:` keeps no records")
    require_records(database)
    if not signing_keys.is_file():
        raise SettingsError(f"there are no signing keys at `{signing_keys}`; `guardrails serve` makes them")
    try:
        controller = None if controller_file is None else read_controller(controller_file)
    except ValueError as error:
        raise SettingsError(f"--controller-file: `{controller_file}` {error}") from None
    settings = Settings(
        policies=policies,
        database_url=database,
        signing_keys=signing_keys,
        controller=controller,
        engine="native",
    )
    with closing(open_application(settings)) as application:
        print_json(application.receipts.issue(consent_id, now=utc_now()))
    return exit_codes.FINE


@click.command(
    cls=Documented,
    examples=(
        "guardrails consent verify receipt.json --jwks https://notify.example.org/.well-known/jwks.json",
        "guardrails consent verify receipt.jws --jwks jwks.json --json | jq .receipt",
    ),
    exits={0: "it holds", 1: "it does not hold", 2: "could not run"},
)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--jwks",
    required=True,
    metavar="FILE|URL",
    help="The published keys: a file, or where the service has them.",
)
@json_option
def verify(*, file: IO[bytes], jwks: str, as_json: bool) -> int:
    """Say whether the receipt in FILE (`-`: standard input) was signed by one of the published keys, and is unaltered.

    FILE is what `guardrails consent receipt` prints, or the JWS alone. Nothing but the keys is needed: with a file of
    them, no network. Who publishes the keys is for you to know; take them from the service's own address.
    """
    keys = _published(jwks)
    try:
        said = _verified(file.read(), keys)
    except SignatureError as error:
        _show_refusal(str(error), as_json=as_json)
        return exit_codes.FINDINGS
    if as_json:
        print_json({"holds": True, "receipt": said})
    else:
        _show(said)
    return exit_codes.FINE


def _verified(content: bytes, keys: PublicKeys) -> dict[str, Any]:
    """The receipt that was signed. Raises SignatureError where it does not hold, or another one stands beside it."""
    try:
        issued = msgspec.json.decode(content, type=Receipt)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return verify_receipt(content.strip().decode(errors="replace"), keys)
    signed = verify_receipt(issued.jws, keys)
    if signed != issued.receipt:
        raise SignatureError("the receipt in the file is not the one that was signed")
    return signed


def _published(jwks: str) -> PublicKeys:
    """The keys at a URL or in a file. Raises SettingsError."""
    content = _fetched(jwks) if "://" in jwks else Path(jwks).read_bytes()
    try:
        return PublicKeys.from_jwks(content)
    except ValueError as error:
        raise SettingsError(f"{jwks}: this is no JWK set to verify by: {error}") from None


def _fetched(url: str) -> bytes:
    """What is at a URL: over https, so that the keys are those of whom the address names."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise SettingsError(f"`{url}` must be https: whoever is in between could put other keys there")
    try:
        with urllib.request.build_opener(_NoRedirect).open(url, timeout=JWKS_SECONDS) as answer:
            content: bytes = answer.read(JWKS_BYTES)
    except (urllib.error.URLError, TimeoutError) as error:
        raise SettingsError(f"{url}: the keys can't be fetched: {error}") from error
    return content


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - urllib's own
        """Refuse: what was asked for is not there."""


class _Named(msgspec.Struct, frozen=True, rename={"name": "dct:identifier", "type": "@type"}):
    """Something that a receipt names."""

    name: str = ""
    type: str = ""


class _Process(msgspec.Struct, frozen=True, rename={"purpose": "dpv:hasPurpose"}):
    purpose: _Named


class _Status(
    msgspec.Struct,
    frozen=True,
    rename={"type": "@type", "at": "dpv:isIndicatedAtTime", "how": "dpv:hasIndicationMethod"},
):
    type: str | tuple[str, ...]
    at: str
    how: str

    @property
    def state(self) -> str:
        """What became of the consent."""
        first = self.type if isinstance(self.type, str) else self.type[0]
        return first.removeprefix("dpv:")


class _Record(
    msgspec.Struct,
    frozen=True,
    rename={
        "name": "dct:identifier",
        "recipient": "dpv:hasDataSubject",
        "process": "dpv:hasProcess",
        "states": "dpv:hasConsentStatus",
    },
):
    name: str
    recipient: _Named
    process: _Process
    states: tuple[_Status, ...]


class _Shown(
    msgspec.Struct,
    frozen=True,
    rename={"at": "dct:created", "by": "dct:publisher", "record": "dpv:hasRecordOfActivity"},
):
    """What a person is told of a receipt."""

    at: str
    record: _Record
    by: str = ""


def _show_refusal(why: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"holds": False, "problem": why})
    else:
        print_words((("does not hold", "bad"), (f": {why}", "plain")), output_console())


def _show(said: dict[str, Any]) -> None:
    receipt_ = msgspec.convert(said, _Shown)
    console, record = output_console(), receipt_.record
    by = f" by {receipt_.by}" if receipt_.by else ""
    print_words((("holds", "good"), (f": issued {receipt_.at}{by}", "plain")), console)
    print_words(
        ((f"consent {record.name}", "name"), (f" of {record.recipient.name}, {record.process.purpose.name}", "plain")),
        console,
    )
    for state in record.states:
        print_words(((f"  {state.at}  {state.state}  {state.how}", "plain"),), console)

"""The settings: frozen, read once, from the environment and the flags of `serve`.

Nothing else reads the environment, but for three of these variables that `cli.options` names.

    Settings.load({"GUARDRAILS_PORT": "9000"}, host="127.0.0.1")

A flag wins over a variable, a variable over the default. Everything wrong is said at once, an unknown `GUARDRAILS_*`
variable included: a misspelt setting that is silently ignored is a setting that somebody relies on.

The keys file is JSON Lines, one key a line; the key itself (at least 20 random bytes) is nowhere in it:

    {"name": "sender", "sha256": "9f86d081884c7d65...", "scopes": ["decide"]}

A hash without salt and stretching is enough because a key is random and long, unlike a password.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from guardrails.core.controller import Controller
from guardrails.core.timing import parse_duration
from guardrails.errors import SettingsError
from guardrails.payments.standard_webhooks import WebhookSecrets

__all__ = [
    "CAPS_IN_DATABASE",
    "EngineName",
    "Key",
    "LogLevel",
    "Scope",
    "Settings",
    "is_loopback",
    "parse_deadline",
    "parse_keep",
    "parse_lease",
    "parse_payment_attempts",
    "parse_payments_url",
    "parse_public_url",
    "read_controller",
    "read_keys",
    "read_webhook_secrets",
]

EngineName = Literal["paired", "native", "durable"]
LogLevel = Literal["debug", "info", "warning", "error"]

Scope = Literal[
    "decide",
    "consent:write",
    "consent:read",
    "audit:read",
    "policy:read",
    "policy:admin",
    "offers:write",
    "offers:read",
    "revenue:write",
    "revenue:read",
    "conversions:write",
    "wallet:write",
    "wallet:read",
]

CAPS_IN_DATABASE = "database"
"""In place of the URL of the caps: they live in the database, also where they have lived in Redis so far."""

PREFIX = "GUARDRAILS_"
DEADLINE_MOST_MS = 60_000
PUBLIC_URL_MOST = 200


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One API key: a name for the log, the SHA-256 of the key in hexadecimal, and what it may do."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one process runs. Each field's variable is in `_VARIABLES`, and explained in docs/operations.md.

    `state_directory` is for what is local to the machine: the audit spool, and the cases on which engines disagreed.
    `signing_keys` is the file of the keys that sign receipts, tokens and links, where it isn't in there. `public_url`
    is what recipients reach the service by; without it, it makes no links. `page_link_seconds` and
    `confirmation_link_seconds` are how long two kinds of them hold. `controller` is who answers for the recipients'
    data, as receipts name it.
    `port` 0 picks a free one. `lease_seconds` is how long an allow holds its capacity before an outcome must be
    reported, `deadline_ms` how long all store calls of a decision may take together, and `keep_seconds` how long a
    decision answers for its candidate. `caps_url` names a Redis or Valkey for the caps; without it they live in the
    database, and where it is `CAPS_IN_DATABASE` they do so from now on. `payments_url` is the payment service,
    which shares the `payments_secrets`; `payments_timeout_ms` is how long it may take to answer, `payments_retry_ms`
    about how long after its first silence it is asked again, and after `payments_attempts` of them an authorisation is
    given up. Without `keys` nobody is asked for one, so the host must be loopback. `replay_clock`
    lets a caller set the time of a request, and is for loopback only.
    """

    policies: Path = Path("policies")
    database_url: str = "sqlite:///guardrails.db"
    state_directory: Path = Path("guardrails-state")
    signing_keys: Path | None = None
    public_url: str | None = None
    page_link_seconds: int = 30 * 86_400
    confirmation_link_seconds: int = 7 * 86_400
    controller: Controller | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    threads: int = 16
    engine: EngineName = "paired"
    caps_url: str | None = None
    lease_seconds: int = 600
    deadline_ms: int = 250
    keep_seconds: int = 7 * 86_400
    payments_url: str | None = None
    payments_secrets: WebhookSecrets | None = None
    payments_timeout_ms: int = 10_000
    payments_retry_ms: int = 1_000
    payments_attempts: int = 8
    replay_clock: bool = False
    keys: tuple[Key, ...] = ()
    log_level: LogLevel = "info"

    @classmethod
    def load(cls, environ: Mapping[str, str], **flags: object) -> Settings:
        """Read `environ`, let the `flags` that are not None win, and check that the whole makes sense.

        Raises SettingsError that names every problem.
        """
        problems: list[str] = []
        given = _from_environment(environ, problems)
        given.update({name: value for name, value in flags.items() if value is not None})
        settings = cls(**given)
        problems.extend(_contradictions(settings))
        if problems:
            raise SettingsError("; ".join(problems))
        return settings

    @property
    def redis_url(self) -> str | None:
        """Where the caps live, if not in the database."""
        return None if self.caps_url == CAPS_IN_DATABASE else self.caps_url

    @property
    def signing_keys_file(self) -> Path:
        """Where the signing keys are."""
        return self.signing_keys or self.state_directory / "signing-keys.json"

    @property
    def is_open(self) -> bool:
        """Whether anybody who reaches the port may call: no keys are configured."""
        return not self.keys


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys in a keys file. Raises ValueError that says what is wrong with it, and in which line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    keys = tuple(_key(number, line) for number, line in enumerate(lines, start=1) if line.strip())
    if not keys:
        raise ValueError("holds no key")
    for column in ("name", "sha256"):
        values = [getattr(key, column) for key in keys]
        if len(set(values)) < len(values):
            raise ValueError(f"holds two keys with the same {column}")
    return keys


_decode_key = msgspec.json.Decoder(Key).decode
_decode_controller = msgspec.json.Decoder(Controller).decode


def _key(number: int, line: bytes) -> Key:
    try:
        return _decode_key(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"line {number}: {error}; a line is a JSON object of name, sha256 and scopes") from None


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}{_near(text, words)}")
        return text

    return parse


def _switch(text: str) -> bool:
    return _one_of(("on", "off"))(text) == "on"


def _text(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _path(text: str) -> Path:
    return Path(_text(text))


def parse_lease(text: str) -> int:
    """The seconds of a lease such as `10m`. Raises ValueError that says what is wrong with it."""
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("is not a duration from `1s` to `3650d`, such as `90s`, `10m` or `24h`") from None


def parse_keep(text: str) -> int:
    """The seconds of a keeping time such as `7d`. Raises ValueError that says what is wrong with it."""
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("is not a duration from `1s` to `3650d`, such as `24h` or `7d`") from None


def parse_public_url(text: str) -> str:
    """The URL that recipients reach the service by. Raises ValueError that says what is wrong with it.

    It must be https, since its links are all that a recipient needs to show; http is for this machine only.
    """
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port  # a port that is none is found when it is asked for
    except ValueError:
        url, host = urlsplit(""), None
    if not host or url.scheme not in {"http", "https"} or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("is no URL such as `https://notify.example.org`")
    if "@" in url.netloc or "?" in text or "#" in text or len(text) > PUBLIC_URL_MOST:
        raise ValueError(f"must be at most {PUBLIC_URL_MOST} letters, without a user, a query or a fragment")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https, but on this machine")
    return text.rstrip("/")


def parse_payments_url(text: str) -> str:
    """The URL of a payment service. Raises ValueError that says what is wrong with it, as for a public URL."""
    parse_public_url(text)
    return text


def parse_payment_attempts(text: str) -> int:
    """How often an authorisation is tried. Raises ValueError that says what is wrong with it."""
    return _integer(1, 100)(text)


def read_webhook_secrets(path: Path) -> WebhookSecrets:
    """The secrets of a file, one a line. Raises ValueError that says what is wrong with it, and no secret."""
    try:
        return WebhookSecrets.parse(path.read_text(encoding="ascii"))
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("holds what is no secret: a line is `whsec_` and base64") from None


def read_controller(path: Path) -> Controller:
    """The controller that a JSON file describes. Raises ValueError that says what is wrong with it."""
    try:
        return _decode_controller(path.read_bytes())
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{error}; it is a JSON object of name, address and contact") from None


def parse_deadline(text: str) -> int:
    """The milliseconds of a deadline such as `250ms` or `2s`. Raises ValueError that says what is wrong with it."""
    match = re.fullmatch(r"([0-9]{1,6})(ms|s)", text)
    milliseconds = int(match[1]) * (1000 if match[2] == "s" else 1) if match else 0
    if not 1 <= milliseconds <= DEADLINE_MOST_MS:
        raise ValueError("is not a time from `1ms` to `60s`, such as `250ms` or `2s`")
    return milliseconds


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "GUARDRAILS_POLICIES": ("policies", _path),
    "GUARDRAILS_DATABASE_URL": ("database_url", _text),
    "GUARDRAILS_STATE_DIRECTORY": ("state_directory", _path),
    "GUARDRAILS_SIGNING_KEYS": ("signing_keys", _path),
    "GUARDRAILS_PUBLIC_URL": ("public_url", parse_public_url),
    "GUARDRAILS_PAGE_LINKS": ("page_link_seconds", parse_keep),
    "GUARDRAILS_CONFIRMATION_LINKS": ("confirmation_link_seconds", parse_keep),
    "GUARDRAILS_CONTROLLER_FILE": ("controller", lambda text: read_controller(_path(text))),
    "GUARDRAILS_HOST": ("host", _text),
    "GUARDRAILS_PORT": ("port", _integer(0, 65_535)),
    "GUARDRAILS_WORKERS": ("workers", _integer(1, 256)),
    "GUARDRAILS_THREADS": ("threads", _integer(1, 1024)),
    "GUARDRAILS_ENGINE": ("engine", _one_of(get_args(EngineName))),
    "GUARDRAILS_CAPS_URL": ("caps_url", _text),
    "GUARDRAILS_LEASE": ("lease_seconds", parse_lease),
    "GUARDRAILS_DEADLINE": ("deadline_ms", parse_deadline),
    "GUARDRAILS_KEEP_DECISIONS": ("keep_seconds", parse_keep),
    "GUARDRAILS_PAYMENTS_URL": ("payments_url", parse_payments_url),
    "GUARDRAILS_PAYMENTS_SECRET_FILE": ("payments_secrets", lambda text: read_webhook_secrets(_path(text))),
    "GUARDRAILS_PAYMENTS_TIMEOUT": ("payments_timeout_ms", parse_deadline),
    "GUARDRAILS_PAYMENTS_RETRY": ("payments_retry_ms", parse_deadline),
    "GUARDRAILS_PAYMENTS_ATTEMPTS": ("payments_attempts", parse_payment_attempts),
    "GUARDRAILS_REPLAY_CLOCK": ("replay_clock", _switch),
    "GUARDRAILS_KEYS_FILE": ("keys", lambda text: read_keys(_path(text))),
    "GUARDRAILS_LOG_LEVEL": ("log_level", _one_of(get_args(LogLevel))),
}


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """The fields that `environ` sets; what is wrong with it goes to `problems`."""
    given: dict[str, Any] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        known = _VARIABLES.get(variable)
        if known is None:
            problems.append(f"{variable}: unknown setting{_near(variable, _VARIABLES, shared=PREFIX)}")
            continue
        field, parse = known
        try:
            given[field] = parse(environ[variable])
        except ValueError as error:
            problems.append(f"{variable}: `{environ[variable]}` {error}")
    return given


def _near(word: str, known: Iterable[str], *, shared: str = "") -> str:
    """The hint that names the nearest known word; what all words share says nothing about which is near."""
    names = {name.removeprefix(shared): name for name in known}
    close = difflib.get_close_matches(word.removeprefix(shared), names, n=1)
    return f"; did you mean `{names[close[0]]}`?" if close else ""


def _contradictions(settings: Settings) -> list[str]:
    problems = []
    if settings.database_url == "memory:" and settings.workers > 1:
        problems.append(
            f"with `memory:` each of the {settings.workers} workers would keep decisions and caps of its own; "
            "serve with one, or from a database"
        )
    if (settings.payments_url is None) != (settings.payments_secrets is None):
        problems.append(
            "a payment service needs both its URL and the secrets that are shared with it: "
            "GUARDRAILS_PAYMENTS_URL and GUARDRAILS_PAYMENTS_SECRET_FILE"
        )
    if is_loopback(settings.host):
        return problems
    if settings.is_open:
        problems.append(
            f"host `{settings.host}` can be reached from elsewhere and no keys are configured; "
            "set GUARDRAILS_KEYS_FILE, or bind to 127.0.0.1"
        )
    if settings.replay_clock:
        problems.append(
            f"the replay clock lets a caller choose the time, so it is refused where others reach it; "
            f"host `{settings.host}` is not loopback"
        )
    return problems

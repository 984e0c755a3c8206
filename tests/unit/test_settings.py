from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from guardrails.core.controller import Controller
from guardrails.errors import SettingsError
from guardrails.payments.standard_webhooks import WebhookSecrets
from guardrails.settings import Key, Settings, is_loopback, read_keys

ANYWHERE = "0.0.0.0"  # noqa: S104 - named, never bound
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of a published example
HASH = hashlib.sha256(b"a key").hexdigest()
LINE = f'{{"name": "sender", "sha256": "{HASH}", "scopes": ["decide", "audit:read"]}}\n'


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys.jsonl"
    path.write_text(LINE, encoding="utf-8")
    return path


@pytest.fixture
def controller_file(tmp_path):
    path = tmp_path / "controller.json"
    path.write_text('{"name": "Acme", "address": "Main Street 1", "contact": "privacy@acme.example"}', encoding="utf-8")
    return path


def test_nothing_given_is_a_local_service_on_sqlite():
    settings = Settings.load({"PATH": "/bin"})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.database_url, settings.engine) == (
        "127.0.0.1",
        8080,
        "sqlite:///guardrails.db",
        "paired",
    )
    assert settings.is_open


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "payments.secret"
    path.write_text(f"{SECRET}\n")
    return path


def test_every_variable_is_read(keys_file, controller_file, secret_file):
    settings = Settings.load(
        {
            "GUARDRAILS_POLICIES": "rules",
            "GUARDRAILS_DATABASE_URL": "postgresql://db/name",
            "GUARDRAILS_STATE_DIRECTORY": "state",
            "GUARDRAILS_SIGNING_KEYS": "secrets/keys.json",
            "GUARDRAILS_PUBLIC_URL": "https://notify.example.org/gate/",
            "GUARDRAILS_PAGE_LINKS": "10d",
            "GUARDRAILS_CONFIRMATION_LINKS": "48h",
            "GUARDRAILS_CONTROLLER_FILE": str(controller_file),
            "GUARDRAILS_HOST": "::1",
            "GUARDRAILS_PORT": "0",
            "GUARDRAILS_WORKERS": "2",
            "GUARDRAILS_THREADS": "4",
            "GUARDRAILS_ENGINE": "native",
            "GUARDRAILS_CAPS_URL": "redis://localhost",
            "GUARDRAILS_LEASE": "90s",
            "GUARDRAILS_DEADLINE": "2s",
            "GUARDRAILS_KEEP_DECISIONS": "30d",
            "GUARDRAILS_PAYMENTS_URL": "https://pay.example/v1/",
            "GUARDRAILS_PAYMENTS_SECRET_FILE": str(secret_file),
            "GUARDRAILS_PAYMENTS_TIMEOUT": "3s",
            "GUARDRAILS_PAYMENTS_RETRY": "200ms",
            "GUARDRAILS_PAYMENTS_ATTEMPTS": "5",
            "GUARDRAILS_REPLAY_CLOCK": "on",
            "GUARDRAILS_KEYS_FILE": str(keys_file),
            "GUARDRAILS_LOG_LEVEL": "debug",
        }
    )
    assert settings == Settings(
        policies=Path("rules"),
        database_url="postgresql://db/name",
        state_directory=Path("state"),
        signing_keys=Path("secrets/keys.json"),
        public_url="https://notify.example.org/gate",
        page_link_seconds=10 * 86_400,
        confirmation_link_seconds=2 * 86_400,
        controller=Controller(name="Acme", address="Main Street 1", contact="privacy@acme.example"),
        host="::1",
        port=0,
        workers=2,
        threads=4,
        engine="native",
        caps_url="redis://localhost",
        lease_seconds=90,
        deadline_ms=2000,
        keep_seconds=30 * 86_400,
        payments_url="https://pay.example/v1/",
        payments_secrets=WebhookSecrets.parse(SECRET),
        payments_timeout_ms=3000,
        payments_retry_ms=200,
        payments_attempts=5,
        replay_clock=True,
        keys=(Key("sender", HASH, frozenset({"decide", "audit:read"})),),
        log_level="debug",
    )


def test_a_deadline_is_in_milliseconds_or_seconds():
    assert Settings.load({"GUARDRAILS_DEADLINE": "40ms"}).deadline_ms == 40


def test_a_flag_wins_over_a_variable_and_an_absent_flag_does_not():
    settings = Settings.load({"GUARDRAILS_PORT": "9000", "GUARDRAILS_WORKERS": "3"}, port=9001, workers=None)
    assert (settings.port, settings.workers) == (9001, 3)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("GUARDRAILS_PORT", "70000", "GUARDRAILS_PORT: `70000` is not a whole number from 0 to 65535"),
        ("GUARDRAILS_PORT", "80 80", "GUARDRAILS_PORT: `80 80` is not a whole number from 0 to 65535"),
        ("GUARDRAILS_PORT", "²", "GUARDRAILS_PORT: `²` is not a whole number from 0 to 65535"),
        ("GUARDRAILS_WORKERS", "0", "GUARDRAILS_WORKERS: `0` is not a whole number from 1 to 256"),
        (
            "GUARDRAILS_ENGINE",
            "pared",
            "GUARDRAILS_ENGINE: `pared` is not one of paired, native, durable; did you mean `paired`?",
        ),
        (
            "GUARDRAILS_DEADLINE",
            "250",
            "GUARDRAILS_DEADLINE: `250` is not a time from `1ms` to `60s`, such as `250ms` or `2s`",
        ),
        (
            "GUARDRAILS_DEADLINE",
            "0ms",
            "GUARDRAILS_DEADLINE: `0ms` is not a time from `1ms` to `60s`, such as `250ms` or `2s`",
        ),
        (
            "GUARDRAILS_DEADLINE",
            "61s",
            "GUARDRAILS_DEADLINE: `61s` is not a time from `1ms` to `60s`, such as `250ms` or `2s`",
        ),
        (
            "GUARDRAILS_KEEP_DECISIONS",
            "for ever",
            "GUARDRAILS_KEEP_DECISIONS: `for ever` is not a duration from `1s` to `3650d`, such as `24h` or `7d`",
        ),
        (
            "GUARDRAILS_LEASE",
            "10",
            "GUARDRAILS_LEASE: `10` is not a duration from `1s` to `3650d`, such as `90s`, `10m` or `24h`",
        ),
        (
            "GUARDRAILS_LEASE",
            "0s",
            "GUARDRAILS_LEASE: `0s` is not a duration from `1s` to `3650d`, such as `90s`, `10m` or `24h`",
        ),
        ("GUARDRAILS_REPLAY_CLOCK", "yes", "GUARDRAILS_REPLAY_CLOCK: `yes` is not one of on, off"),
        ("GUARDRAILS_POLICIES", "", "GUARDRAILS_POLICIES: `` is empty"),
        ("GUARDRAILS_PROT", "1", "GUARDRAILS_PROT: unknown setting; did you mean `GUARDRAILS_PORT`?"),
        ("GUARDRAILS_XYZZY", "1", "GUARDRAILS_XYZZY: unknown setting"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(variable, value, expected):
    with pytest.raises(SettingsError) as refused:
        Settings.load({variable: value})
    assert str(refused.value) == expected


def test_everything_wrong_is_said_at_once():
    with pytest.raises(SettingsError) as refused:
        Settings.load({"GUARDRAILS_PORT": "x", "GUARDRAILS_ENGIN": "paired", "GUARDRAILS_HOST": ANYWHERE})
    problems = str(refused.value).split("; ")
    assert [problem.partition(":")[0] for problem in problems if problem.startswith("GUARDRAILS")] == [
        "GUARDRAILS_ENGIN",
        "GUARDRAILS_PORT",
    ]
    assert f"host `{ANYWHERE}` can be reached from elsewhere and no keys are configured" in problems


@pytest.mark.parametrize("host", [ANYWHERE, "::", "192.0.2.7", "example.org"])
def test_without_keys_only_loopback_is_served(host):
    with pytest.raises(SettingsError, match="no keys are configured"):
        Settings.load({}, host=host)


def test_with_keys_any_host_is_served(keys_file):
    settings = Settings.load({"GUARDRAILS_KEYS_FILE": str(keys_file)}, host=ANYWHERE)
    assert (settings.host, settings.is_open) == (ANYWHERE, False)


def test_the_replay_clock_is_refused_where_others_reach_it(keys_file):
    with pytest.raises(SettingsError, match="the replay clock lets a caller choose the time"):
        Settings.load({"GUARDRAILS_KEYS_FILE": str(keys_file), "GUARDRAILS_REPLAY_CLOCK": "on"}, host=ANYWHERE)


def test_what_is_kept_in_memory_is_served_by_one_worker():
    assert Settings.load({"GUARDRAILS_DATABASE_URL": "memory:"}).workers == 1
    with pytest.raises(SettingsError) as caught:
        Settings.load({"GUARDRAILS_DATABASE_URL": "memory:"}, workers=2)
    kept = "with `memory:` each of the 2 workers would keep decisions and caps of its own"
    assert str(caught.value) == f"{kept}; serve with one, or from a database"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        (ANYWHERE, False),
        ("::", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host, expected):
    assert is_loopback(host) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no key"),
        ("\n\n", "holds no key"),
        ("sender:decide\n", "line 1: JSON is malformed"),
        (LINE + LINE.replace("sender", "other"), "holds two keys with the same sha256"),
        (LINE + LINE.replace(HASH, "0" * 64), "holds two keys with the same name"),
        (LINE + "\n" + LINE.replace('"decide"', '"decid"'), "line 3: Invalid enum value 'decid'"),
        (LINE.replace(HASH, "a key"), "line 1: Expected `str` matching regex"),
        (LINE.replace("}", ', "note": "x"}'), "line 1: Object contains unknown field `note`"),
    ],
    ids=["empty", "blank", "no-json", "same-hash", "same-name", "scope", "plain-key", "unknown"],
)
def test_a_wrong_keys_file_is_refused_by_line(tmp_path, text, expected):
    path = tmp_path / "keys.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r".") as refused:
        read_keys(path)
    assert str(refused.value).startswith(expected)


def test_a_missing_keys_file_is_refused_by_its_variable(tmp_path):
    path = tmp_path / "nowhere"
    with pytest.raises(SettingsError) as refused:
        Settings.load({"GUARDRAILS_KEYS_FILE": str(path)})
    assert str(refused.value) == f"GUARDRAILS_KEYS_FILE: `{path}` can't be read: No such file or directory"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("notify.example.org", "is no URL such as `https://notify.example.org`"),
        ("ftp://example.org", "is no URL such as `https://notify.example.org`"),
        ("https://", "is no URL such as `https://notify.example.org`"),
        ("https://example.org:99999", "is no URL such as `https://notify.example.org`"),
        ("https://exa mple.org", "is no URL such as `https://notify.example.org`"),
        ("https://exämple.org", "is no URL such as `https://notify.example.org`"),
        ("https://example.org/\r\nBcc:x", "is no URL such as `https://notify.example.org`"),
        ("https://user@example.org", "must be at most 200 letters, without a user, a query or a fragment"),
        ("https://example.org?a=b", "must be at most 200 letters, without a user, a query or a fragment"),
        ("https://example.org/#top", "must be at most 200 letters, without a user, a query or a fragment"),
        (f"https://example.org/{'x' * 200}", "must be at most 200 letters, without a user, a query or a fragment"),
        ("http://example.org", "must be https, but on this machine"),
    ],
)
def test_a_public_url_that_links_can_not_begin_with_is_refused(url, problem):
    with pytest.raises(SettingsError) as refused:
        Settings.load({"GUARDRAILS_PUBLIC_URL": url})
    assert str(refused.value) == f"GUARDRAILS_PUBLIC_URL: `{url}` {problem}"


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org:8443/a", "http://localhost:8080"])
def test_links_may_begin_with_https_or_lead_to_this_machine(url):
    assert Settings.load({"GUARDRAILS_PUBLIC_URL": url}).public_url == url


def test_signing_keys_are_in_the_state_directory_unless_they_are_named():
    assert Settings(state_directory=Path("state")).signing_keys_file == Path("state/signing-keys.json")
    assert Settings(signing_keys=Path("keys.json")).signing_keys_file == Path("keys.json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Input data was truncated; it is a JSON object of name, address and contact"),
        ('{"name": "A", "address": "B"}', "Object missing required field `contact`"),
        ('{"name": "A", "address": "B", "contact": "C", "phone": "1"}', "Object contains unknown field `phone`"),
        (
            '{"name": "A", "address": "B", "contact": "C", "storage_locations": ["Germany"]}',
            "Expected `str` matching regex",
        ),
    ],
)
def test_a_wrong_controller_file_is_refused(tmp_path, text, problem):
    path = tmp_path / "controller.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        Settings.load({"GUARDRAILS_CONTROLLER_FILE": str(path)})
    assert str(refused.value).startswith(f"GUARDRAILS_CONTROLLER_FILE: `{path}` {problem}")


def test_a_missing_controller_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        Settings.load({"GUARDRAILS_CONTROLLER_FILE": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must hold 1 to 10 secrets, one a line"),
        (SECRET[6:], "line 1 is no secret: `whsec_` and base64"),
        ("whsec_ä", "holds what is no secret: a line is `whsec_` and base64"),
    ],
)
def test_a_wrong_file_of_secrets_is_refused(tmp_path, text, problem):
    path = tmp_path / "payments.secret"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        Settings.load({"GUARDRAILS_PAYMENTS_SECRET_FILE": str(path)}, payments_url="https://pay.example")
    assert f"GUARDRAILS_PAYMENTS_SECRET_FILE: `{path}` {problem}" in str(refused.value)


def test_a_missing_file_of_secrets_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        Settings.load({"GUARDRAILS_PAYMENTS_SECRET_FILE": str(tmp_path / "nowhere")})


def test_a_payment_service_needs_its_url_and_the_secrets(secret_file):
    for environ in (
        {"GUARDRAILS_PAYMENTS_URL": "https://pay.example"},
        {"GUARDRAILS_PAYMENTS_SECRET_FILE": str(secret_file)},
    ):
        with pytest.raises(SettingsError, match="needs both its URL and the secrets"):
            Settings.load(environ)


@pytest.mark.parametrize(
    "url", ["pay.example", "http://pay.example", "https://a:b@pay.example", "https://p.example?x=1"]
)
def test_what_is_no_url_of_a_payment_service_is_refused(url):
    with pytest.raises(SettingsError, match="GUARDRAILS_PAYMENTS_URL"):
        Settings.load({"GUARDRAILS_PAYMENTS_URL": url})


def test_settings_do_not_print_secrets(secret_file):
    settings = Settings.load(
        {"GUARDRAILS_PAYMENTS_SECRET_FILE": str(secret_file)}, payments_url="http://127.0.0.1:9000/pay"
    )
    assert SECRET[6:] not in repr(settings)
    assert repr(WebhookSecrets.parse(SECRET)) in repr(settings)

"""The client of a payment service against a real one, in a process of its own, that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count

import pytest

from guardrails.payments.port import Payment
from guardrails.payments.provider import NoAnswerError, Patience, Provider
from guardrails.payments.provider_calls import SignedCalls
from guardrails.payments.standard_webhooks import WebhookSecrets
from payment_service import SECRET, PaymentService

TIMEOUT_SECONDS = 0.3


@pytest.fixture
def service(tmp_path):
    with PaymentService(tmp_path / "payments") as service:
        yield service


def clock():
    return datetime.now(UTC)  # noqa: TID251 - the service's own clock is compared with it


def calls_to(url, secret=SECRET, timeout_seconds=TIMEOUT_SECONDS):
    return SignedCalls(url, secrets=WebhookSecrets.parse(secret), timeout_seconds=timeout_seconds, clock=clock)


def provider_of(service, **changes):
    ids = count(1)
    started = time.monotonic_ns()
    return Provider(
        calls_to(service.url, **changes),
        patience=Patience(first_seconds=0.01, authorise_attempts=5),
        clock=clock,
        new_id=lambda: f"{started}-{next(ids)}",
        chance=lambda: 0.5,
    )


def payment(step, id_="p-1", recipient="r-1", attempts=0, refunds=0):
    return Payment(
        id=id_,
        offer="upgrade",
        recipient=recipient,
        sponsor="acme",
        amount_minor=250,
        currency="EUR",
        step=step,
        attempts=attempts,
        refunds=refunds,
    )


def carry(provider, step, **changes):
    """Ask until there is an outcome; how often it took, and the outcome."""
    for attempts in range(20):
        result = provider.carry_on(payment(step, attempts=attempts, **changes))
        if result.state not in {"pending", "unknown"}:
            return attempts + 1, result.step, result.state
    raise AssertionError(result)


def test_a_payment_is_authorised_captured_and_refunded(service):
    provider = provider_of(service)
    for step in ("authorise", "capture", "refund"):
        assert carry(provider, step) == (1, step, "done")
    assert service.books() == {"p-1": ("refunded", 250, "EUR")}
    assert provider.carry_on(payment("refund")).reference == "ref-p-1"


def test_who_can_t_pay_is_declined_and_why_is_told(service):
    result = provider_of(service).carry_on(payment("authorise", recipient="poor-1"))
    assert (result.state, result.reason) == ("declined", "payment.insufficient_funds")


@pytest.mark.parametrize("step", ["authorise", "capture", "refund", "void"])
@pytest.mark.parametrize(
    "mood",
    ["slow", "lost_before", "lost_after", "error_before", "error_after", "closed_before", "closed_after", "nonsense"],
)
def test_a_step_is_done_once_whatever_becomes_of_its_answer(service, step, mood):
    provider = provider_of(service)
    for before in {"authorise": [], "capture": ["authorise"], "void": ["authorise"]}.get(
        step, ["authorise", "capture"]
    ):
        carry(provider, before)
    service.misbehave(mood)
    assert carry(provider, step) == (2, step, "done")
    assert service.captures("p-1") == (step in {"capture", "refund"})
    assert len(set(service.asked(f"payment.{step}"))) == 1


@pytest.mark.parametrize("mood", ["closed_before", "error_before", "lost_before", "closed_after", "lost_after"])
def test_a_refund_is_not_declined_by_the_reason_of_an_earlier_one(service, mood):
    """A look still tells why the first was refused: only the answer to its own id is about this one."""
    provider = provider_of(service)
    for step in ("authorise", "capture"):
        carry(provider, step, recipient="kept-1")
    service.misbehave(mood)
    assert carry(provider, "refund", recipient="kept-1", refunds=1)[1:] == ("refund", "declined")
    service.misbehave(mood, "closed_after")
    assert carry(provider, "refund", recipient="kept-1", refunds=2)[1:] == ("refund", "done")
    assert service.books() == {"p-1": ("refunded", 250, "EUR")}
    assert len(set(service.asked("payment.refund"))) == 2


def test_a_look_that_is_lost_is_asked_again(service):
    service.misbehave("lost_after", "lost_before", "error_after", "")
    assert carry(provider_of(service), "authorise") == (4, "authorise", "done")
    assert len(service.asked("payment.authorise")) == 1


def test_a_service_that_is_busy_is_given_the_time_that_it_asks_for(service):
    service.misbehave("busy")
    result = provider_of(service).carry_on(payment("authorise"))
    assert (result.state, result.retry_after_seconds) == ("unknown", 1.0)


def test_a_void_holds_against_the_authorisation_that_arrives_after_it(service):
    provider = provider_of(service)
    assert carry(provider, "void") == (1, "void", "done")
    assert carry(provider, "authorise") == (1, "authorise", "declined")
    assert service.books() == {"p-1": ("voided", 250, "EUR")}


def test_an_authorisation_that_lapsed_is_given_up_and_voided(service):
    provider = provider_of(service)
    carry(provider, "authorise", recipient="lapsed-1")
    assert carry(provider, "capture", recipient="lapsed-1") == (1, "capture", "abandoned")
    assert carry(provider, "void", recipient="lapsed-1") == (1, "void", "done")


def test_another_secret_is_refused_and_nothing_is_done(service):
    provider = provider_of(service, secret="whsec_" + "A" * 32)
    result = provider.carry_on(payment("authorise"))
    assert result.state == "unknown"
    assert service.books() == {}


def test_what_a_service_did_before_it_was_killed_is_found_after(service):
    provider = provider_of(service)
    carry(provider, "authorise")
    service.misbehave("lost_after")
    assert provider.carry_on(payment("capture")).state == "unknown"
    service.kill()
    assert provider.carry_on(payment("capture", attempts=1)).state == "unknown"
    service.start()
    assert provider.carry_on(payment("capture", attempts=2)).state == "done"
    assert service.captures("p-1") == 1


def test_all_payments_are_listed(service):
    provider = provider_of(service)
    for number in range(3):
        carry(provider, "authorise", id_=f"p-{number}")
    listed = provider.listed(None)
    assert [(each.payment, each.standing) for each in listed.payments] == [(f"p-{n}", "authorised") for n in range(3)]
    assert listed.next_after is None
    assert [each.payment for each in provider.listed("p-1").payments] == ["p-2"]


# --- what is no such service at all


@contextmanager
def raw(*said: bytes, pause_seconds: float = 0.0):
    """The URL of somebody who sends bytes to the first who connects, each before a pause."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve():
            connection, _ = server.accept()
            with closing(connection), suppress(OSError):
                connection.recv(65_536)
                for each in said:
                    connection.sendall(each)
                    time.sleep(pause_seconds)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        (),
        (b"nonsense\r\n\r\n",),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",),
        (OK % 100 + b'{"payment": "p-1"',),
        (OK % (1 << 21), b"x" * (1 << 21)),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000,),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,),
        (b"HTTP/1.1 503 No\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",),
    ],
)
def test_what_is_no_answer_is_told_apart_from_one(said):
    with raw(*said) as url, pytest.raises(NoAnswerError):
        calls_to(url)("id", b"{}")


def test_an_answer_that_comes_drop_by_drop_is_not_waited_for():
    drops = [b"x"] * 50
    with raw(OK % 50, *drops, pause_seconds=TIMEOUT_SECONDS / 3) as url, pytest.raises(NoAnswerError):
        calls_to(url)("id", b"{}")


def test_nobody_there_is_no_answer():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoAnswerError, match="ConnectionRefusedError"):
        calls_to(f"http://127.0.0.1:{port}/")("id", b"{}")


def test_a_certificate_that_nobody_vouches_for_is_not_trusted():
    with raw(b"") as url, pytest.raises(NoAnswerError, match="SSL"):
        calls_to(url.replace("http", "https"))("id", b"{}")
    tls = calls_to("https://pay.example/")._tls
    assert (tls.check_hostname, tls.verify_mode.name) == (True, "CERT_REQUIRED")

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from guardrails.payments.standard_webhooks import TOLERANCE, UnsignedError, WebhookSecrets, webhook_id

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - published with the vector
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SECRETS = WebhookSecrets.parse(SECRET)

# The vector that the specification's reference implementations are tested with.
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
AT = datetime.fromtimestamp(1614265330, UTC)
HEADERS = {
    "webhook-id": ID,
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SIGNATURE = HEADERS["webhook-signature"]


def test_the_vector_of_the_reference_implementations_is_signed_as_there():
    assert SECRETS.sign(ID, BODY, now=AT) == HEADERS


def test_the_vector_of_the_reference_implementations_is_taken():
    assert SECRETS.verify(HEADERS, BODY, now=AT) == ID


@given(body=st.text(max_size=200), id_=st.text(min_size=1, max_size=20))
def test_the_reference_implementation_takes_what_we_sign_and_signs_what_we_take(body, id_):
    theirs = Webhook(SECRET)
    now = datetime.now(UTC)  # noqa: TID251 - theirs reads the clock
    data = body.encode()
    theirs.verify(data, SECRETS.sign(webhook_id(id_), data, now=now), json_parse=False)
    seconds = int(now.timestamp())
    signed = {
        "webhook-id": webhook_id(id_),
        "webhook-timestamp": str(seconds),
        "webhook-signature": theirs.sign(webhook_id(id_), datetime.fromtimestamp(seconds, UTC), body),
    }
    assert SECRETS.verify(signed, data, now=now) == webhook_id(id_)


def test_while_secrets_are_replaced_both_sign_and_both_are_taken():
    both = WebhookSecrets.parse(f"{OTHER}\n{SECRET}\n")
    headers = both.sign(ID, BODY, now=AT)
    assert headers["webhook-signature"].split(" ")[1] == SIGNATURE
    for each in (both, SECRETS, WebhookSecrets.parse(OTHER)):
        assert each.verify(headers, BODY, now=AT) == ID


@pytest.mark.parametrize(
    "signature", [f"v1a,AAAA {SIGNATURE}", f"v1,AAAA {SIGNATURE}", f"v1,* {SIGNATURE}", f" x {SIGNATURE}"]
)
def test_one_that_holds_among_others_is_enough(signature):
    assert SECRETS.verify(HEADERS | {"webhook-signature": signature}, BODY, now=AT) == ID


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"webhook-id": ""}, "webhook-id"),
        ({"webhook-id": "x" * 256}, "webhook-id"),
        ({"webhook-id": "é"}, "webhook-id"),
        ({"webhook-id": ID + "x"}, "holds no `v1` signature"),
        ({"webhook-timestamp": ""}, "webhook-timestamp"),
        ({"webhook-timestamp": "1614265331"}, "holds no `v1` signature"),
        ({"webhook-timestamp": "1614265330.0"}, "webhook-timestamp"),
        ({"webhook-timestamp": "-1"}, "webhook-timestamp"),
        ({"webhook-timestamp": "9" * 12}, "webhook-timestamp"),
        ({"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"}, "webhook-timestamp"),
        ({"webhook-signature": ""}, "holds no `v1` signature"),
        ({"webhook-signature": SIGNATURE.replace("v1", "v1a")}, "holds no `v1` signature"),
        ({"webhook-signature": SIGNATURE.removeprefix("v1,")}, "holds no `v1` signature"),
        ({"webhook-signature": SIGNATURE.replace("g0h", "g1h")}, "holds no `v1` signature"),
        ({"webhook-signature": SIGNATURE.replace("=", "")}, "holds no `v1` signature"),
        ({"webhook-signature": "v1,"}, "holds no `v1` signature"),
        ({"webhook-signature": " ".join(["v1,AAAA"] * 20 + [SIGNATURE])}, "holds no `v1` signature"),
    ],
)
def test_what_is_not_signed_is_refused(changes, says):
    with pytest.raises(UnsignedError, match=says):
        SECRETS.verify(HEADERS | changes, BODY, now=AT)


def test_a_missing_header_is_refused():
    for name in HEADERS:
        with pytest.raises(UnsignedError):
            SECRETS.verify({key: value for key, value in HEADERS.items() if key != name}, BODY, now=AT)


def test_every_byte_of_the_body_is_signed():
    for place in range(len(BODY)):
        changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        with pytest.raises(UnsignedError):
            SECRETS.verify(HEADERS, changed, now=AT)


def test_five_minutes_either_way_are_tolerated_and_no_second_more():
    for way in (TOLERANCE, -TOLERANCE):
        assert SECRETS.verify(HEADERS, BODY, now=AT + way) == ID
    for way in (TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)):
        with pytest.raises(UnsignedError, match="5 minutes"):
            SECRETS.verify(HEADERS, BODY, now=AT + way)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n \n",
        SECRET.removeprefix("whsec_"),
        "whsec_ä",
        "whsec_*",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        f"{SECRET}\n" * 11,
    ],
)
def test_what_is_no_secret_is_refused_and_not_told(text):
    with pytest.raises(ValueError, match=r"secret") as raised:
        WebhookSecrets.parse(text)
    assert text.strip() == "" or text.strip() not in str(raised.value)


def test_secrets_are_not_printed():
    assert repr(SECRETS) == "<WebhookSecrets: 1>"


@given(st.lists(st.text(), min_size=1, max_size=3), st.lists(st.text(), min_size=1, max_size=3))
def test_ids_differ_where_their_parts_do(one, other):
    assert (webhook_id(*one) == webhook_id(*other)) == (one == other)
    assert "." not in webhook_id(*one)
    assert webhook_id(*one).isascii()

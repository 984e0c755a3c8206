"""A form as a browser sends it: fields by name, read from at most so many bytes."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from guardrails.web.exchange import Exchange
from guardrails.web.problems import Refusal

__all__ = ["read_form"]

FORM_BYTES = 64 * 1024
FIELDS_MOST = 1000
URL_ENCODED = "application/x-www-form-urlencoded"


def read_form(exchange: Exchange) -> Mapping[str, str]:
    """The fields of the exchange's form, the last of each name.

    Raises Refusal: 403 where another site sent it, 415 where it is no form, 413 where it is too large, 400 where it
    can't be read.
    """
    environ = exchange.environ
    # The token in the URL is what counts, and no other site knows it; this is a second lock on the same door.
    if environ.get("HTTP_SEC_FETCH_SITE") in {"cross-site", "same-site"}:
        raise Refusal("forbidden", "the form was sent by another site")
    declared, _, _ = environ.get("CONTENT_TYPE", "").partition(";")
    if declared.strip().lower() != URL_ENCODED:
        raise Refusal("unsupported-media-type", f"a form is sent as `{URL_ENCODED}`")
    body: bytes = environ["wsgi.input"].read(FORM_BYTES + 1)
    if len(body) > FORM_BYTES:
        raise Refusal("too-large", f"the form is larger than the {FORM_BYTES} bytes that are taken")
    try:
        return dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MOST)
        )
    except ValueError:
        raise Refusal("malformed", "the form can't be read") from None

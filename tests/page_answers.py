"""What a recipient's page answers, and what its address says, as the tests of the page read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from guardrails.preferences import PreferenceRequest

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_TEXT = "2026-11-20T12:00:00Z"


def title_of(answer):
    return re.search(r"<h1>(.*?)</h1>", answer.text)[1]


def told(answer):
    """The green line at the top."""
    found = re.search(r'<div class="told" role="status"><p>(.*?)</p></div>', answer.text)
    return None if found is None else found[1]


def follow(site, answer, *, at=NOW_TEXT):
    return site.send("GET", site.link() + answer.headers["Location"], at=at)


def request(**chosen):
    return msgspec.convert(chosen, PreferenceRequest)

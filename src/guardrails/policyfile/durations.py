"""Durations as authors write them, such as `24h`, with a problem where one lies out of bounds."""

from __future__ import annotations

import re

from guardrails.core.timing import parse_duration
from guardrails.policyfile.document import Path, Reporter
from guardrails.policyfile.problems import quote
from guardrails.policyfile.schema import DURATION_PATTERN

__all__ = ["read_duration"]


def read_duration(text: object, path: Path, report: Reporter) -> int:
    """The seconds of the duration at `path`; 1 where it is none, which the schema or this reports."""
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):  # the schema has reported it
        return 1
    try:
        return parse_duration(text)
    except ValueError:
        report.problem("out-of-bounds", f"{quote(text)} is out of bounds", path, "a duration is `1s` to `3650d`")
        return 1

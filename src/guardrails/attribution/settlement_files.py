"""A settlement as files: JSON, CSV, and a page to print. Amounts are decimal text of their currency.

The CSV (RFC 4180, UTF-8) has a row for each line of each statement and nothing else, so that its amounts can be summed.
INVARIANT: no cell of it is a formula: a text that a spreadsheet would take for one begins with an apostrophe.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from datetime import datetime
from pathlib import Path
from string import ascii_uppercase
from typing import Any
from urllib.parse import quote

import jinja2
import msgspec

from guardrails.attribution.settlement import Settlement
from guardrails.attribution.statements import Line, Statement
from guardrails.core.money import decimal_text
from guardrails.core.zones import zone_named

__all__ = ["FORMATS", "file_name", "only", "to_csv", "to_html", "to_json"]

HERE = Path(__file__).parent
NAME_MOST = 150
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"

_COLUMNS = (
    "statement",
    "party",
    "currency",
    "booked_at",
    "what",
    "reference",
    "reverses",
    "reverses_audit_index",
    "reverses_booked_at",
    "campaign",
    "offer",
    "recipient",
    "form",
    "why",
    "decision_id",
    "decision_audit_index",
    "audit_index",
    "amount",
)
_FORMULA = re.compile(r"(^|[;|,\t])(\s*[=+\-@\t\r＝＋－＠])")  # noqa: RUF001 - the wide ones start one, too

_encoder = msgspec.json.Encoder()


def to_json(settlement: Settlement) -> str:
    """All of it: each amount in minor units (`total_minor`) and, beside them, as decimal text (`total`)."""
    whole = msgspec.to_builtins(settlement)
    for currencies in (whole["totals"], whole["statements"], whole["differences"]):
        for each in currencies:
            _add_texts(each, each["currency"])
            for line in each.get("lines", ()):
                _add_texts(line, each["currency"])
    return msgspec.json.format(_encoder.encode(whole), indent=2).decode() + "\n"


def to_csv(settlement: Settlement) -> str:
    """Every line of every statement."""
    out = io.StringIO()
    writer = csv.writer(out)  # its lines end with CR LF
    writer.writerow(_COLUMNS)
    for statement in settlement.statements:
        writer.writerows(_row(statement, line, settlement) for line in statement.lines)
    return out.getvalue()


def to_html(settlement: Settlement) -> str:
    """A page that stands alone: no script, nothing loaded."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["money"] = _grouped
    environment.filters["local"] = lambda at: _local(at, settlement)
    return environment.get_template("settlement.html").render(settlement=settlement)


FORMATS = {"json": to_json, "csv": to_csv, "html": to_html}


def only(settlement: Settlement, statement: Statement) -> Settlement:
    """The same month with one statement, to be handed to its party: nothing else of others is in it."""
    return msgspec.structs.replace(settlement, statements=(statement,), totals=(), differences=())


def file_name(settlement: Settlement, statement: Statement | None, extension: str) -> str:
    """What the file of a statement is called, or that of all of them; ids are percent-encoded."""
    if statement is None:
        return f"settlement-{settlement.month}.{extension}"
    party = "unnamed" if statement.party is None else "id-" + _short(statement.party)
    return f"settlement-{settlement.month}-{statement.kind}-{party}-{statement.currency}.{extension}"


def _short(party: str) -> str:
    """An id in a file's name: no two ids share one, nor would they where a file system ignores case.

    After `~` stand, in hexadecimal, the places of its capitals or, where it is too long, its digest.
    """
    text = quote(party, safe="").replace("~", "%7E")
    if len(text) > NAME_MOST:
        return f"{text[:100]}~{hashlib.sha256(party.encode()).hexdigest()[:32]}"
    capitals = sum(1 << place for place, letter in enumerate(party) if letter in ascii_uppercase)
    return f"{text}~{capitals:x}" if capitals else text


def _add_texts(amounts: dict[str, Any], currency: str) -> None:
    texts = {
        name.removesuffix("_minor"): decimal_text(value, currency)
        for name, value in amounts.items()
        if name.endswith("_minor")
    }
    amounts.update(texts)


def _local(at: datetime, settlement: Settlement) -> datetime:
    return at.astimezone(zone_named(settlement.zone))


def _grouped(amount_minor: int, currency: str) -> str:
    """An amount as people read it: its digits in threes, as ISO 80000-1 has it, with a true minus sign."""
    whole, point, rest = decimal_text(abs(amount_minor), currency).partition(".")
    sign = MINUS if amount_minor < 0 else ""
    return sign + f"{int(whole):,}".replace(",", THIN_SPACE) + point + rest


def _row(statement: Statement, line: Line, settlement: Settlement) -> list[str]:
    taken_back = line.reverses_recorded_at
    said = {
        "statement": statement.kind,
        "party": statement.party,
        "currency": statement.currency,
        "booked_at": _local(line.recorded_at, settlement).isoformat(),
        "reverses_booked_at": None if taken_back is None else _local(taken_back, settlement).isoformat(),
    }
    texts = [_cell(said[name] if name in said else getattr(line, name)) for name in _COLUMNS[:-1]]
    return [*texts, decimal_text(line.amount_minor, statement.currency)]


def _cell(value: str | int | None) -> str:
    text = "" if value is None else str(value)
    return _FORMULA.sub(r"\1'\2", text)

"""Files of consents: CSV, whose first line names the columns, or NDJSON, an object a line.

Rows are read as they come, each with the line it begins in, and what is wrong with one spoils no other. No line, cell
or row may be so long that reading it would fill the memory. Where a quoted cell of a CSV doesn't end, what follows
can't be told from its text any more: reading stops there, rather than take a part of some text for a consent.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, Literal, NamedTuple

import msgspec

from guardrails.consent.values import ConsentEvent, ConsentRow
from guardrails.decoding import Decoder, Error, invalid
from guardrails.errors import CandidateError, MalformedError
from guardrails.policyfile.problems import did_you_mean, quote

__all__ = ["COLUMNS", "Form", "Row", "RowReader", "write_csv", "write_ndjson"]

Form = Literal["csv", "ndjson"]

COLUMNS: tuple[str, ...] = ConsentRow.__struct_fields__
REQUIRED = ("recipient", "purpose", "state", "method")
ROW_BYTES = 1024 * 1024

_MAGIC = {
    b"\x1f\x8b": "is compressed by gzip; unpack it first: `gunzip -c FILE | guardrails consent import -`",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd; unpack it first: `zstdcat FILE | guardrails consent import -`",
    b"PK\x03\x04": "is a ZIP archive, or a spreadsheet; unpack it, or save it as CSV in UTF-8, first",
    b"\xff\xfe": "is UTF-16; save it as UTF-8 first",
    b"\xfe\xff": "is UTF-16; save it as UTF-8 first",
}
_BOM = b"\xef\xbb\xbf"
_ROW = Decoder(ConsentRow)
_between_channels = re.compile(r"[\s|]+").split


class Row(NamedTuple):
    """What a row asks to have recorded, or what is wrong with it, and the line that it begins in, counted from 1."""

    line: int
    request: ConsentRow | CandidateError


class RowReader:
    """Reads the rows of a stream; `bytes_read` of it so far. Without a `form` the first line tells which it is.

    Raises CandidateError where the stream is neither, or its columns can't be used.
    """

    def __init__(self, stream: BinaryIO, form: Form | None = None) -> None:
        self._stream = stream
        self._form = form
        self._line = 0
        self.bytes_read = 0

    def __iter__(self) -> Iterator[Row]:
        """The rows, in order."""
        lines = self._lines()
        first = next((line for line in lines if line.strip()), b"")
        form = self._form or ("ndjson" if first.lstrip().startswith(b"{") else "csv")
        if form == "ndjson":
            yield from self._objects(itertools.chain([first], lines))
        elif not first:
            raise MalformedError("is empty; a CSV begins with the names of its columns")
        else:
            yield from self._records(first, lines)

    def _lines(self) -> Iterator[bytes]:
        """Every line; of one that is too long, so much that it can be seen to be."""
        while line := self._stream.readline(ROW_BYTES + 1):
            if not self.bytes_read:
                _check_magic(line)
            self._line += 1
            self.bytes_read += len(line)
            yield line.removeprefix(_BOM) if self._line == 1 else line
            while len(line) > ROW_BYTES and not line.endswith(b"\n"):
                line = self._stream.readline(ROW_BYTES + 1)
                self.bytes_read += len(line)

    # --- NDJSON -------------------------------------------------------------------------------------------------

    def _objects(self, lines: Iterable[bytes]) -> Iterator[Row]:
        for line in lines:
            if len(line) > ROW_BYTES:
                yield Row(self._line, CandidateError(f"the line is longer than {ROW_BYTES:,} bytes"))
            elif line.strip():
                yield Row(self._line, _object(line))

    # --- CSV ----------------------------------------------------------------------------------------------------

    def _records(self, first: bytes, lines: Iterator[bytes]) -> Iterator[Row]:
        begun = _Begun(self._line)
        reader = csv.reader(self._texts(itertools.chain([first], lines), begun), strict=True)
        columns: Sequence[str] | None = None
        while True:
            begun.taken = 0
            try:
                cells = next(reader, None)
            except (csv.Error, _EndlessError) as error:
                if columns is None:
                    raise MalformedError(f"the names of its columns can't be read: {error}") from None
                is_last = isinstance(error, _EndlessError) or begun.line != self._line
                yield Row(begun.line, _unreadable(error, is_last=is_last))
                if is_last:
                    return
                continue
            if cells is None:
                return
            if columns is None:
                columns = _columns(cells)
            elif cells:
                yield Row(begun.line, _request(columns, cells))

    def _texts(self, lines: Iterable[bytes], begun: _Begun) -> Iterator[str]:
        """Lines as text. What is not UTF-8 is kept as halves of surrogate pairs, to be seen in its cell."""
        for line in lines:
            begun.line = begun.line if begun.taken else self._line
            begun.taken += len(line)
            if begun.taken > ROW_BYTES:
                raise _EndlessError(f"it is longer than {ROW_BYTES:,} bytes")
            yield line.decode("utf-8", "surrogateescape")


def _object(line: bytes) -> ConsentRow | CandidateError:
    """The row of a line. A name that stands twice is refused: of two states, nobody could say which is meant."""
    row = _ROW.try_decode(line)
    if isinstance(row, CandidateError):
        return row
    try:
        json.loads(line, object_pairs_hook=_check_names, parse_int=str, parse_float=str)
    except _TwiceError as twice:
        return CandidateError(f"{quote(twice.name)} stands there twice")
    except RecursionError:  # a little sooner than in the decoder
        return MalformedError("the JSON is nested too deep")
    return row


def _check_names(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _TwiceError(name)
        seen.add(name)


class _TwiceError(Exception):
    """A name stands twice in one object."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Begun:
    """The row being read: the line that it begins in, and the bytes taken of it."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.taken = 0


class _EndlessError(Exception):
    """A row has become too long."""


def _check_magic(beginning: bytes) -> None:
    for magic, told in _MAGIC.items():
        if beginning.startswith(magic):
            raise MalformedError(told)
    if beginning.lstrip().startswith(b"["):
        raise MalformedError("is a JSON array; an object on each line is wanted: `jq -c '.[]' FILE`")


def _columns(cells: Sequence[str]) -> Sequence[str]:
    """The names of the columns. Raises MalformedError where one can't be used, or is missing."""
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and re.search(r"[;\t]", names[0]):
        raise MalformedError("columns are separated by commas; this file has another separator")
    for place, name in enumerate(names):
        if name not in COLUMNS:
            hint = did_you_mean(name, COLUMNS) or f"known are {', '.join(COLUMNS)}"
            shown = name.encode(errors="replace").decode()
            raise MalformedError(f"column {place + 1:,} of {len(names):,} is {quote(shown)}, which is none; {hint}")
        if name in names[:place]:
            raise MalformedError(f"the column `{name}` stands there twice")
    missing = [f"`{name}`" for name in REQUIRED if name not in names]
    if missing:
        raise MalformedError(f"{', '.join(missing)} is missing; the first line names the columns")
    return names


def _unreadable(error: Exception, *, is_last: bool) -> CandidateError:
    behind = "; nothing behind its first line was read: mend it, and run again" if is_last else ""
    return MalformedError(f"the row can't be read: {error}{behind}")


def _request(columns: Sequence[str], cells: Sequence[str]) -> ConsentRow | CandidateError:
    if len(cells) != len(columns):
        return CandidateError(f"the row has {len(cells):,} cells; {len(columns)} columns are named")
    problems: list[Error] = []
    said: dict[str, object] = {}
    for name, cell in zip(columns, cells, strict=True):
        if not cell:
            continue
        try:
            said[name] = _value(name, cell)
        except ValueError as error:
            problems.append((f"/{name}", str(error)))
    if problems:
        return invalid(tuple(problems))
    try:
        return _ROW.convert(said)
    except CandidateError as error:
        return error


def _value(name: str, cell: str) -> object:
    """What a cell says. Raises ValueError with what is wrong with it."""
    try:
        encoded = cell.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    if name == "channels":
        return [channel for channel in _between_channels(cell) if channel]
    if name == "evidence":
        try:
            return msgspec.json.decode(encoded)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"is no JSON: {error}") from None
    return cell


# --- writing --------------------------------------------------------------------------------------------------------


def write_ndjson(events: Iterable[ConsentEvent], out: BinaryIO) -> None:
    """Write records, an object a line."""
    encoder = msgspec.json.Encoder()
    out.writelines(encoder.encode(event) + b"\n" for event in events)


def write_csv(events: Iterable[ConsentEvent], out: BinaryIO) -> None:
    """Write records below the names of all columns."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for event in events:
            cells = msgspec.to_builtins(event)
            writer.writerow([_cell(name, cells) for name in COLUMNS])
    finally:
        text.detach()


def _cell(name: str, cells: Mapping[str, object]) -> object:
    value = cells.get(name)
    if name == "channels" and isinstance(value, Iterable):
        return " ".join(map(str, value))
    if name == "evidence" and value:
        return msgspec.json.encode(value).decode()
    return value

"""What a set declares for its policies to name: purposes, each read into a `Purpose` or its problems, and contexts.

A purpose with problems is declared all the same: policies that name it have no problem of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from guardrails.core.purposes import DEFAULT_LANGUAGE, Purpose
from guardrails.policyfile.document import Reporter
from guardrails.policyfile.durations import read_duration
from guardrails.policyfile.problems import quote
from guardrails.policyfile.schema_problems import validate_purpose
from guardrails.policyfile.set_checks import Entry

__all__ = ["NOTHING_DECLARED", "Declared", "read_purposes"]

msgspec.json.Decoder(Purpose)  # ready to be read by several threads, which msgspec is not at a type's first use


class Declared:
    """The purposes that the set declares, by id, in order. `is_complete` where nothing that stands there went unread.

    `contexts` are the kinds of context it declares; None where a file that may say so was not read.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        purposes: Mapping[str, Purpose],
        *,
        is_complete: bool,
        contexts: tuple[str, ...] | None = (),
    ) -> None:
        self.entries = entries
        self.purposes = purposes
        self.is_complete = is_complete
        self.contexts = contexts

    def lacks(self, purpose_id: str) -> bool:
        """Whether it is sure that purposes are declared, and this one is not."""
        return self.is_complete and bool(self.entries) and purpose_id not in self.entries


NOTHING_DECLARED = Declared({}, {}, is_complete=True)


def read_purposes(
    reports: Sequence[Reporter],
    *,
    is_complete: bool,
    language: str = DEFAULT_LANGUAGE,
    contexts: tuple[str, ...] | None = None,
) -> Declared:
    """Every purpose of a set that is written in `language`, where all of its files are read if `is_complete`.

    With them go the `contexts` that its project declares. Reports what is wrong with the purposes.
    """
    contexts = contexts if is_complete else None
    entries: dict[str, Entry] = {}
    purposes: dict[str, Purpose] = {}
    for entry in _written(reports):
        purpose = _read_purpose(entry, language)
        if not isinstance(entry.written, dict) or entry.id is None:
            is_complete = False
        elif entry.id in entries:
            message = f"the purpose {quote(entry.id)} is declared already, at {entries[entry.id].place(('id',))}"
            entry.report.problem("duplicate-purpose", message, (*entry.path, "id"))
        else:
            entries[entry.id] = entry
            if purpose is not None:
                purposes[entry.id] = purpose
    is_complete = is_complete and all(isinstance(_list(report), list) for report in reports)
    return Declared(entries, purposes, is_complete=is_complete, contexts=contexts)


def _written(reports: Iterable[Reporter]) -> Iterator[Entry]:
    for report in reports:
        listed = _list(report)
        for place, written in enumerate(listed if isinstance(listed, list) else ()):
            yield Entry(written, ("purposes", place), report)


def _list(report: Reporter) -> Any:  # noqa: ANN401 - the schema of the file reports what is no list
    return report.document.value.get("purposes", [])


def _read_purpose(entry: Entry, language: str) -> Purpose | None:
    """The purpose, or None where the schema finds anything wrong with it."""
    is_valid = validate_purpose(entry.written, entry.path, entry.report)
    if not isinstance(entry.written, dict):
        return None
    said: dict[str, object] = {name: value for name, value in entry.written.items() if name != "retention"}
    if "retention" in entry.written:
        path = (*entry.path, "retention")
        said["retention_seconds"] = read_duration(entry.written["retention"], path, entry.report)
    if not is_valid:
        return None
    purpose = msgspec.convert(said | {"language": language}, Purpose)
    for tag in purpose.translations:
        _check_translation(entry, purpose, tag)
    return purpose


def _check_translation(entry: Entry, purpose: Purpose, tag: str) -> None:
    """Report where a translation says less or more than the purpose: nobody would be told everything."""
    path, translation = (*entry.path, "translations", tag), purpose.translations[tag]
    if tag.lower() == purpose.language.lower():
        message = f"{quote(tag)} is no translation: the set is written in it"
        entry.report.key_problem("bad-translation", message, path, "name another `language` under `project`")
    for name in ("benefit", "data", "shared_with"):
        said, wanted = _size(getattr(translation, name)), _size(getattr(purpose, name))
        if said != wanted:
            message = f"{quote(tag)} says {'less' if said < wanted else 'more'} of {quote(name)} than the purpose"
            entry.report.key_problem("bad-translation", message, (*path, name) if said else path)


def _size(said: str | Sequence[object] | None) -> int:
    return int(said is not None) if said is None or isinstance(said, str) else len(said)

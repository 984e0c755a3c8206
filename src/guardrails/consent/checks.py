"""What a record must satisfy beyond its form: its times, its purpose, its proof, and the notice that it names.

Each check gives the problems that it finds, as JSON pointer into the request and text. Whatever ends a consent is held
to less than what gives one: a purpose that is no longer declared can still be withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from guardrails.consent.keywords import letters
from guardrails.consent.notices import Notice, NoticeKey, undeclared
from guardrails.consent.values import ConsentEvent, ConsentRow
from guardrails.core.candidate import YEARS
from guardrails.core.purposes import DOUBLE_OPT_IN, OS_PERMISSION, Purpose
from guardrails.decoding import invalid
from guardrails.errors import CandidateError
from guardrails.storage.instants import LAST_MICROS, to_micros

__all__ = [
    "GIVING",
    "Problem",
    "confirmation_problems",
    "lone_problems",
    "notice_key",
    "notice_problems",
    "purpose_problems",
    "refusal",
]

Problem = tuple[str, str]

GIVING = frozenset({"granted", "pending"})
"""The states that give a consent, or would once confirmed; all others end one, or say that there is none."""

_KEEP_FIRST = "keep it first, by `POST /v1/notices` or `guardrails notice add`"

_PLACES = {f"/{name}": place for place, name in enumerate(ConsentRow.__struct_fields__)}


def lone_problems(event: ConsentEvent, declared: Mapping[str, Purpose]) -> Iterator[Problem]:
    """What is wrong with the record whatever else is recorded."""
    yield from _time_problems(event)
    yield from _method_problems(event)
    yield from _proof_problems(event, declared.get(event.purpose))
    if event.notice_id is not None and event.notice_version is None:
        yield "/notice_version", "is needed beside `notice_id`: it says which version they were shown"
    if event.notice_hash is not None and event.notice_id is None:
        yield "/notice_hash", "is of a notice, and `notice_id` names none"


def purpose_problems(event: ConsentEvent, declared: Mapping[str, Purpose], *, is_on_record: bool) -> Iterator[Problem]:
    """What is wrong with its purpose. `is_on_record`: the recipient has records of it, which may always be ended."""
    if not declared or event.purpose in declared:
        return
    if event.state in GIVING or not is_on_record:
        yield "/purpose", undeclared(event.purpose, declared)


def notice_key(event: ConsentEvent) -> NoticeKey | None:
    """The notice that the record names, if it names one."""
    if event.notice_id is None or event.notice_version is None:
        return None
    return NoticeKey(event.notice_id, event.notice_version, event.language)


def notice_problems(event: ConsentEvent, key: NoticeKey, found: Sequence[Notice]) -> Iterator[Problem]:
    """What is wrong with the notice that it names; `found` are those that are kept under the name."""
    if not found:
        language = "" if key.language is None else f" in `{key.language}`"
        yield (
            "/notice_id",
            f"no notice `{key.id}` of version `{key.version}`{language} is kept; {_KEEP_FIRST}",
        )
    elif len(found) > 1:
        languages = ", ".join(f"`{notice.language}`" for notice in found)
        yield "/language", f"the notice is kept in {languages}: say which of them they were shown"
    elif event.notice_hash not in {None, found[0].hash}:
        yield "/notice_hash", f"the notice `{key.id}` of version `{key.version}` that is kept here says something else"
    elif event.state in GIVING and not found[0].is_about(event.purpose):
        about = ", ".join(f"`{each.id}`" for each in found[0].purposes)
        yield "/notice_id", f"the notice `{key.id}` tells of {about}, not of `{event.purpose}`"


def confirmation_problems(
    event: ConsentEvent, pending: ConsentEvent | None, known: ConsentEvent | None
) -> Iterator[Problem]:
    """What is wrong with what it says it confirms: `pending` has that id, and `known` confirms that already."""
    if event.state != "granted" or event.method != DOUBLE_OPT_IN:
        yield "/confirms", f"only a grant by `{DOUBLE_OPT_IN}` confirms another record"
    elif pending is None:
        yield "/confirms", f"no consent `{event.confirms}` is recorded"
    elif pending.state != "pending" or (pending.recipient, pending.purpose) != (event.recipient, event.purpose):
        yield "/confirms", f"consent `{pending.id}` is no pending one of this recipient and purpose"
    elif known is not None:
        yield "/confirms", f"consent `{known.id}` confirms `{pending.id}` already"


def refusal(problems: Iterable[Problem]) -> CandidateError | None:
    """The error that tells of all problems, in the order of the request; None where there are none."""
    told = tuple(sorted(problems, key=lambda problem: _PLACES[problem[0]]))
    return invalid(told) if told else None


def _time_problems(event: ConsentEvent) -> Iterator[Problem]:
    if event.at > event.recorded_at:
        yield "/at", f"`{event.at.isoformat()}` lies in the future"
    elif event.at.year not in YEARS:
        yield "/at", f"`{event.at.isoformat()}` lies before {YEARS.start}"
    if event.expires_at is None:
        return
    if event.state not in GIVING:
        yield "/expires_at", f"only a grant expires, and this is `{event.state}`"
    elif event.expires_at <= event.at:
        yield "/expires_at", f"`{event.expires_at.isoformat()}` is not after the grant itself"
    elif to_micros(event.expires_at) > LAST_MICROS:
        yield "/expires_at", f"`{event.expires_at.isoformat()}` lies beyond the calendar"


def _method_problems(event: ConsentEvent) -> Iterator[Problem]:
    """A device's permission is told from a consent by this one word, so that none may be taken for the other."""
    is_meant = event.method != OS_PERMISSION and letters(event.method) == letters(OS_PERMISSION)
    if is_meant and event.state in GIVING:
        yield "/method", f"write `{OS_PERMISSION}`, as it is: by any other name it would count as a consent"


def _proof_problems(event: ConsentEvent, purpose: Purpose | None) -> Iterator[Problem]:
    if event.state != "granted":
        return
    if event.method == DOUBLE_OPT_IN:
        if not event.evidence and event.confirms is None:
            yield "/evidence", "is needed: it shows how and when the grant was confirmed"
    elif purpose is not None and purpose.double_opt_in:
        yield "/state", f"`{purpose.id}` is granted by double opt-in: record it as `pending`, and have it confirmed"

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from guardrails.consent import Notice, NoticeRequest, NoticeService
from guardrails.consent.notices import NoticeRow
from guardrails.core.purposes import Purpose, Sharing, Translation
from guardrails.errors import CandidateError, ConflictError
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session

DECLARED = {
    "offers": Purpose(
        id="offers",
        title="Offers",
        benefit="lower prices",
        data=("what you book",),
        shared_with=(Sharing(whom="Acme", what="id"),),
    ),
    "badges": Purpose(id="badges", title="Badges"),
}


class Declared:
    """What the active policies declare, as they change."""

    def __init__(self) -> None:
        self.purposes = dict(DECLARED)

    def __call__(self):
        return self.purposes


@pytest.fixture
def declared():
    return Declared()


@pytest.fixture
def service(declared):
    return NoticeService(MemoryTransactor(memory_session), purposes=declared)


def request(**changes) -> NoticeRequest:
    fields = {"id": "n", "version": "3", "language": "de", "purposes": ("offers",), "text": "Dürfen wir?"} | changes
    return NoticeRequest(**fields)


def test_a_notice_keeps_what_is_declared_of_its_purposes(service):
    kept = service.add(request(purposes=("badges", "offers")), now=instant(12))
    assert msgspec.to_builtins(kept.purposes) == (
        {"id": "badges", "title": "Badges", "benefit": None, "shared_with": (), "language": "en"},
        {
            "id": "offers",
            "title": "Offers",
            "benefit": "lower prices",
            "shared_with": ({"whom": "Acme", "what": "id"},),
            "data": ("what you book",),
            "language": "en",
        },
    )
    assert (kept.text, kept.recorded_at) == ("Dürfen wir?", instant(12))


@pytest.mark.parametrize("language", ["de", "de-AT"])
def test_a_notice_says_it_in_its_own_language_where_the_policies_do(service, declared, language):
    german = Translation(title="Abzeichen")
    declared.purposes["badges"] = Purpose(id="badges", title="Badges", translations={"de": german})
    (shown,) = service.add(request(purposes=("badges",), language=language), now=instant(12)).purposes
    assert (shown.title, shown.language) == ("Abzeichen", None)


def test_anybody_can_compute_the_hash_again(service):
    kept = service.add(request(text='„Ja“\n\t"no" \\ 🙂'), now=instant(12))
    said = msgspec.to_builtins(kept)
    content = {name: said[name] for name in ("id", "version", "language", "purposes", "text")}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert kept.hash == f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def test_the_same_notice_again_is_the_first(service):
    first = service.add(request(), now=instant(12))
    assert service.add(request(), now=instant(13)) == first
    assert service.versions("n") == (first,)


@pytest.mark.parametrize("changes", [{"text": "Dürfen wir doch?"}, {"purposes": ("badges",)}])
def test_another_content_under_the_same_name_is_a_conflict(service, changes):
    first = service.add(request(), now=instant(12))
    with pytest.raises(ConflictError, match="another version") as caught:
        service.add(request(**changes), now=instant(13))
    assert [pointer for pointer, _ in caught.value.problems] == ["/version"]
    assert service.versions("n") == (first,)


def test_the_same_text_is_a_conflict_once_something_else_is_promised(service, declared):
    service.add(request(), now=instant(12))
    declared.purposes["offers"] = msgspec.structs.replace(DECLARED["offers"], benefit="nothing")
    with pytest.raises(ConflictError):
        service.add(request(), now=instant(13))
    assert service.add(request(version="4"), now=instant(13)).purposes[0].benefit == "nothing"


def test_versions_and_languages_stand_side_by_side(service):
    kept = [
        service.add(request(), now=instant(12)),
        service.add(request(language="en"), now=instant(13)),
        service.add(request(version="10"), now=instant(14)),
    ]
    assert service.versions("n") == tuple(kept)
    assert service.every() == tuple(kept)
    assert service.by_hash(kept[1].hash) == kept[1]
    assert service.by_hash("sha256:00") is None


@pytest.mark.parametrize(
    ("purposes", "problems"),
    [
        (
            ("offers", "ofers"),
            [("/purposes/1", "`ofers` is not declared by the active policies; did you mean `offers`?")],
        ),
        (("offers", "offers", "x"), [
            ("/purposes/1", "`offers` is named twice"),
            ("/purposes/2", "`x` is not declared by the active policies"),
        ]),
    ],
)  # fmt: skip
def test_purposes_are_those_that_the_policies_declare_each_once(service, purposes, problems):
    with pytest.raises(CandidateError) as caught:
        service.add(request(purposes=purposes), now=instant(12))
    assert list(caught.value.problems) == problems


def test_where_no_purpose_is_declared_there_is_nothing_to_tell_of(service, declared):
    declared.purposes = {}
    with pytest.raises(CandidateError, match="the active policies declare no purposes"):
        service.add(request(), now=instant(12))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"version": "x" * 101},
        {"language": "d"},
        {"language": "de_DE"},
        {"language": "German"},
        {"language": "de\n"},
        {"purposes": []},
        {"text": ""},
        {"text": "a\0b"},
        {"text": "x" * 50_001},
        {"hash": "sha256:00"},
    ],
)
def test_requests_are_bounded(changes):
    fields = {"id": "n", "version": "3", "language": "de", "purposes": ["offers"], "text": "Ja?"} | changes
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, NoticeRequest)


def taken(notice, **changes):
    return msgspec.convert(msgspec.to_builtins(notice) | changes, NoticeRow)


def test_a_notice_is_taken_over_as_it_was_kept_elsewhere_whatever_is_declared_here(service, declared):
    kept = service.add(request(), now=instant(12))
    elsewhere = NoticeService(MemoryTransactor(memory_session), purposes=dict)
    first = elsewhere.take_over(taken(kept), now=instant(13))
    assert (first.content, first.hash, first.recorded_at) == (kept.content, kept.hash, instant(13))
    assert elsewhere.take_over(taken(kept), now=instant(14)) == first


def test_a_notice_is_not_taken_over_where_the_hash_is_of_something_else_or_another_is_kept(service):
    kept = service.add(request(), now=instant(12))
    with pytest.raises(CandidateError, match="`/hash`: is not of what the notice says: that is `sha256:"):
        service.take_over(taken(kept, text="Nein?"), now=instant(13))
    other = Notice.of(msgspec.structs.replace(kept.content, text="Nein?"), recorded_at=instant(13))
    with pytest.raises(ConflictError, match="another version"):
        service.take_over(taken(other), now=instant(13))
    assert service.every() == (kept,)


def test_a_notice_is_about_the_purposes_that_it_names(service):
    kept = service.add(request(), now=instant(12))
    assert isinstance(kept, Notice)
    assert [kept.is_about(purpose) for purpose in ("offers", "badges")] == [True, False]

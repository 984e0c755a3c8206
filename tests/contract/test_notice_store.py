from __future__ import annotations

from guardrails.consent import Notice
from guardrails.consent.notices import NoticeContent, NoticeKey, NoticePurpose
from guardrails.core.purposes import Sharing
from stores import instant

SHOWN = NoticePurpose(
    id="partner_offers", title='Angebote "von" Bären', benefit=None, shared_with=(Sharing(whom="a", what="b"),)
)


def notice(version="1", language="de", **changes) -> Notice:
    content = {"id": "offers", "purposes": (SHOWN,), "text": "Ja?\n\t„Nein“ 🙂"} | changes
    recorded_at = content.pop("recorded_at", instant(9))
    return Notice.of(NoticeContent(version=version, language=language, **content), recorded_at=recorded_at)


def append(do, *notices):
    do(lambda session: session.notices.append(notices))


def test_a_notice_comes_back_as_it_was_kept(do):
    append(do, notice(recorded_at=instant(9, 0, 0, 1)))
    assert do(lambda session: session.notices.versions("offers")) == (notice(recorded_at=instant(9, 0, 0, 1)),)


def test_a_key_names_a_version_in_its_language_or_in_all(do):
    append(do, notice(), notice(language="en"), notice("2"), notice(id="other"))
    keys = [
        NoticeKey("offers", "1", "de"),
        NoticeKey("offers", "1", None),
        NoticeKey("offers", "2", None),
        NoticeKey("offers", "2", "en"),
        NoticeKey("offers", "3", None),
        NoticeKey("nothing", "1", "de"),
    ]
    found = do(lambda session: session.notices.read(keys))
    assert [found[key] for key in keys] == [(notice(),), (notice(), notice(language="en")), (notice("2"),), (), (), ()]


def test_a_notice_is_found_by_its_hash(do):
    append(do, notice(), notice("2"))
    assert dict(do(lambda session: session.notices.by_hash([notice("2").hash, "sha256:00"]))) == {
        notice("2").hash: notice("2")
    }


def test_versions_are_listed_oldest_first_and_notices_by_id(do):
    late, early = notice("1", recorded_at=instant(10)), notice("2", recorded_at=instant(8))
    german, english = notice("3", recorded_at=instant(9)), notice("3", "en", recorded_at=instant(9))
    other = notice(id="a", recorded_at=instant(11))
    append(do, late, english, other, german, early)
    assert do(lambda session: session.notices.versions("offers")) == (early, german, english, late)
    assert do(lambda session: session.notices.every()) == (other, early, german, english, late)
    assert do(lambda session: session.notices.versions("nothing")) == ()

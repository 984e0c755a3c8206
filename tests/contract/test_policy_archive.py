from __future__ import annotations

import pytest

from stores import instant

FILES = {"policies/a.yaml": "policies: []\n", "policies/ü.yaml": 'quoted: "\\n"\n'}


def test_files_come_back_by_revision(do):
    do(lambda session: session.policies.keep("sha256:1", FILES, instant(10)))
    assert do(lambda session: session.policies.read("sha256:1")) == FILES
    assert do(lambda session: session.policies.read("sha256:2")) is None


def test_a_revision_is_kept_once(do):
    do(lambda session: session.policies.keep("sha256:1", FILES, instant(10)))
    do(lambda session: session.policies.keep("sha256:1", {}, instant(11)))
    assert do(lambda session: session.policies.read("sha256:1")) == FILES


def test_what_the_caller_changes_later_is_not_kept(do):
    files = dict(FILES)
    do(lambda session: session.policies.keep("sha256:1", files, instant(10)))
    files.clear()
    assert do(lambda session: session.policies.read("sha256:1")) == FILES


def test_a_revision_that_a_failed_unit_kept_is_kept_by_the_next(do):
    def fail(session):
        session.policies.keep("sha256:1", FILES, instant(10))
        session.policies.keep("sha256:1", FILES, instant(10))
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            do(fail)
    do(lambda session: session.policies.keep("sha256:1", FILES, instant(10)))
    assert do(lambda session: session.policies.read("sha256:1")) == FILES


def test_a_revision_is_kept_once_however_often_a_unit_and_its_followers_say_it(do):
    for _ in range(3):
        do(lambda session: [session.policies.keep("sha256:1", FILES, instant(10)) for _ in range(2)])
    assert do(lambda session: session.policies.read("sha256:1")) == FILES

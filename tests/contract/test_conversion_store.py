from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.offers.conversions import KeptConversion, StepDone
from stores import instant

MINUTE = timedelta(minutes=1)


def kept(id_="k-1", decision_id="d-1", **changes) -> KeptConversion:
    fields = {
        "id": id_,
        "decision_id": decision_id,
        "offer": "upgrade",
        "recipient": 'r-"ä"-🙂',
        "body_hash": b"\x00\xff",
        "declared": ("view", 'so"ä', "pay"),
        "opened_at": instant(10, 0, 0, 1),
        "ends_at": instant(10, 5, 0, 1),
    }
    return KeptConversion(**(fields | changes))


CONVERTED = kept(
    "k-2",
    done=(StepDone("view", instant(10, 0, 1)), StepDone('so"ä', instant(10, 0, 2, 3))),
    opened_at=instant(10, 6),
    converted_at=instant(10, 7, 0, 9),
)


def insert(do, *new):
    do(lambda session: session.conversions.insert(new))


def by_id(do, *ids):
    return do(lambda session: dict(session.conversions.by_id(ids)))


def of_decisions(do, *ids):
    return do(lambda session: dict(session.conversions.of_decisions(ids)))


def test_sessions_come_back_as_they_were_kept(do):
    insert(do, kept(), CONVERTED)
    assert by_id(do, "k-1", "k-2", "k-3", "k-1") == {"k-1": kept(), "k-2": CONVERTED}
    assert by_id(do) == {}


def test_the_sessions_of_a_decision_come_oldest_first(do):
    late, early = kept("k-a", opened_at=instant(12)), kept("k-z", opened_at=instant(11))
    insert(do, late, kept("k-other", "d-2"))
    insert(do, early, kept("k-y", opened_at=instant(11)))
    assert of_decisions(do, "d-1", "d-2", "d-3", "d-1") == {
        "d-1": (kept("k-y", opened_at=instant(11)), early, late),
        "d-2": (kept("k-other", "d-2"),),
    }


def test_what_is_done_is_recorded_and_nothing_else_changes(do):
    insert(do, kept(), CONVERTED)
    changed = msgspec.structs.replace(
        kept(), done=CONVERTED.done, ends_at=instant(10, 4), converted_at=instant(10, 3, 0, 1)
    )
    do(lambda session: session.conversions.update([changed]))
    assert by_id(do, "k-1", "k-2") == {"k-1": changed, "k-2": CONVERTED}
    assert of_decisions(do, "d-1") == {"d-1": (changed, CONVERTED)}


def test_sessions_are_forgotten_a_few_at_a_time_the_oldest_end_first(do):
    insert(do, *(kept(f"k-{number}", ends_at=instant(11) + number * MINUTE) for number in (3, 1, 2, 4)))

    def forget(before, most):
        return do(lambda session: session.conversions.forget(before, most))

    assert forget(instant(11, 1), 10) == 0
    assert forget(instant(11, 4), 2) == 2
    assert set(by_id(do, "k-1", "k-2", "k-3", "k-4")) == {"k-3", "k-4"}
    assert forget(instant(11, 4), 2) == 1
    assert [each.id for each in of_decisions(do, "d-1")["d-1"]] == ["k-4"]
    assert forget(instant(12), 2) == 1
    assert of_decisions(do, "d-1") == {}


def test_nothing_is_kept_of_a_unit_that_fails(do):
    insert(do, kept())

    def fail(session):
        session.conversions.insert([CONVERTED])
        session.conversions.update([msgspec.structs.replace(kept(), converted_at=instant(11))])
        session.conversions.forget(instant(23), 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do(fail)
    assert of_decisions(do, "d-1") == {"d-1": (kept(),)}


def test_the_sessions_of_a_recipient_are_told_oldest_first(do):
    later, first, same = kept("k-3", opened_at=instant(11)), kept("k-2"), kept("k-1", "d-2")
    insert(do, later, kept("k-4", recipient="r-2"), first, same)
    assert do(lambda session: session.conversions.of_recipient('r-"ä"-🙂')) == [same, first, later]
    assert do(lambda session: session.conversions.of_recipient("nobody")) == []

from __future__ import annotations

from guardrails.storage.memory import Journal


def test_changes_are_taken_back_in_reverse():
    journal = Journal()
    mapping, values = {"a": 1, "b": 2}, [1]
    journal.put(mapping, "a", 10)
    journal.put(mapping, "a", 11)
    journal.put(mapping, "c", 3)
    journal.drop(mapping, "b")
    journal.put(mapping, "b", 20)
    journal.extend(values, [2, 3])
    journal.extend(values, [4])
    assert (mapping, values) == ({"a": 11, "b": 20, "c": 3}, [1, 2, 3, 4])
    journal.take_back()
    assert (mapping, values) == ({"a": 1, "b": 2}, [1])


def test_a_none_that_was_there_is_there_again():
    journal = Journal()
    mapping = {"a": None}
    journal.put(mapping, "a", 1)
    journal.take_back()
    assert mapping == {"a": None}


def test_what_is_kept_is_not_taken_back():
    journal = Journal()
    mapping = {}
    journal.put(mapping, "a", 1)
    journal.keep()
    journal.put(mapping, "a", 2)
    journal.take_back()
    assert mapping == {"a": 1}

"""Questions about one key are asked once, and answered as if each had been asked by itself."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from guardrails.caps.asking import asked_once
from guardrails.core.needs import Usage, UsageQuery
from stores import instant

MINUTES = st.integers(0, 12).map(lambda minutes: instant(10, minutes))
QUERIES = st.builds(
    lambda key, since, newest, owner, split: UsageQuery("cap", key, since, newest, owner=owner, split=split),
    st.sampled_from(["k-1", "k-2"]),
    MINUTES,
    st.integers(0, 3),
    st.sampled_from([None, "r-1"]),
    st.one_of(st.none(), st.none(), MINUTES),
)


class Store:
    """Answers from a list of sends, whatever the key, and remembers what it was asked."""

    def __init__(self, sends) -> None:
        self.sends = sorted(sends)
        self.asked: list[list[UsageQuery]] = []

    def __call__(self, queries):
        self.asked.append(list(queries))
        return {query: self.answer(query) for query in queries}

    def answer(self, query: UsageQuery) -> Usage:
        counted = [at for at in self.sends if at >= query.since]
        if query.split is not None:
            before = [at for at in counted if at < query.split]
            return Usage(len(before), later=len(counted) - len(before), split=query.split)
        older = max(0, len(counted) - query.newest)
        return Usage(older, tuple(counted[older:]))


@given(sends=st.lists(MINUTES), queries=st.lists(QUERIES))
def test_each_question_is_answered_as_by_itself(sends, queries):
    store = Store(sends)
    assert asked_once(queries, store) == {query: store.answer(query) for query in queries}
    assert len(store.asked) <= 2


def test_a_key_is_asked_about_once_however_many_ask():
    store = Store([instant(10, minute) for minute in range(5)])
    queries = [UsageQuery("cap", "k", instant(9) + timedelta(minutes=minute), 10) for minute in range(100)]
    asked_once(queries[50:] + queries[:50], store)
    assert store.asked == [[queries[0]]]


def test_only_those_are_asked_again_who_may_mean_sends_that_are_not_listed():
    store = Store([instant(10, minute) for minute in range(5)])
    queries = [UsageQuery("cap", "k", instant(10, minute), 3) for minute in range(5)]
    asked_once(queries, store)
    assert store.asked == [[queries[0]], [queries[1], queries[2]]]

from guardrails.bootstrap import new_id


def test_ids_that_are_drawn_one_after_the_other_stand_together_and_are_never_the_same():
    ids = [new_id() for _ in range(1000)]
    times = [each[:12] for each in ids]
    assert len(set(ids)) == 1000
    assert times == sorted(times)
    assert {32} == set(map(len, ids))

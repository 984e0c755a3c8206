from __future__ import annotations

import msgspec

from guardrails.errors import ConflictError
from guardrails.web.problems import problem_for


def test_a_refusal_is_told_with_the_code_it_has():
    error = ConflictError("it is taken", code="redemption.held")
    assert msgspec.to_builtins(problem_for(error)) == {
        "type": "/docs#problem-conflict",
        "title": "It contradicts what is recorded",
        "status": 409,
        "detail": "it is taken",
        "code": "redemption.held",
    }


def test_a_refusal_without_a_code_says_none():
    assert "code" not in msgspec.to_builtins(problem_for(ConflictError("it is taken")))

"""What can be met is documented: every reason code, kind, field, command and HTTP route, and nothing that is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from guardrails.bootstrap import in_memory_application
from guardrails.cli import COMMANDS
from guardrails.core.facts import VOCABULARY
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.loader import load_policies
from guardrails.settings import Settings
from guardrails.web import create_app
from guardrails.web.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CODE = re.compile(r"[a-z]+\.[a-z_]+")
DECIDE = sorted((ROOT / "src" / "guardrails" / "decide").glob("*.py"))


def first_column(page):
    """The codes in the first column of the page's tables, without their backticks."""
    rows = re.findall(r"^\| (`[^|]*) \|", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def constants_of(path):
    """The module's named texts: what is assigned to a name in capitals."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield node.value.value


def route_codes():
    """The reason codes that the route gives by itself; they all are constants of its modules."""
    named = [value for path in DECIDE for value in constants_of(path)]
    return {value for value in named if isinstance(value, str) and CODE.fullmatch(value)}


def served_routes(tmp_path):
    """Method and path of everything that the service answers."""
    application = in_memory_application(load_policies(ROOT / "policies"))
    settings = Settings(database_url="memory:", state_directory=tmp_path)
    app = create_app(application, settings, Metrics())
    rules = list(app.url_map.iter_rules())
    application.close()
    served = {(method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)) for rule in rules for method in rule.methods}
    return {f"{method} {path}" for method, path in served if method not in UNWRITTEN}


UNWRITTEN = {"HEAD", "OPTIONS"}
"""Methods that Flask answers by itself."""


def test_every_reason_code_that_a_kind_or_the_route_can_give_is_documented_and_no_other():
    given = {code for kind in all_kinds().values() for code in kind.reason_codes}
    assert route_codes() >= {"facts.missing", "facts.unavailable", "policy.none_applies"}
    assert set(first_column("reference/reason-codes.md")) == given | route_codes()


@pytest.mark.parametrize("path", DECIDE, ids=lambda path: path.name)
def test_a_reason_code_of_the_route_is_a_constant_and_stands_nowhere_else(path):
    texts = [node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if is_text(node)]
    codes = [text for text in texts if CODE.fullmatch(text)]
    assert sorted(codes) == sorted(set(codes) & set(constants_of(path)))


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_field_is_documented_and_no_other():
    assert first_column("reference/fields.md") == [*VOCABULARY, "attributes.*"]


def test_every_kind_is_documented_and_no_other():
    page = (DOCS / "reference" / "kinds.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == list(all_kinds())


def test_every_command_is_documented_and_no_other():
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == sorted(COMMANDS)


def test_every_http_route_is_documented_and_no_other(tmp_path):
    listed = first_column("http-api.md")
    documented = {name for name in listed if re.match(r"(GET|POST|PUT|PATCH|DELETE) /", name)}
    assert documented == served_routes(tmp_path)

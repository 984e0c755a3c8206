"""The pytest plugin: collects the cases of `*_test.yaml`. A thin adapter over `policytest`, by public hooks only.

    [tool.pytest]
    guardrails_policies = "policies"    # for files that don't name their own

A file is taken where it says `apiVersion: guardrails/...`; other tools name their tests like this too.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from guardrails.errors import PolicyError

if TYPE_CHECKING:  # the engines are imported only where there is a policy test to run
    from guardrails.policytest.cases import PolicyTestCase, PolicyTestFile
    from guardrails.policytest.runner import Failure, Runner

__all__: list[str] = []

SAYS_SO = re.compile(rb"""apiVersion["']?\s*:\s*["']?guardrails/""")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of the one option."""
    parser.addini(
        "guardrails_policies",
        "the policies under test, from the root directory, where a test file does not name its own",
        default="policies",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the file where it is one of policy tests."""
    if not file_path.name.endswith("_test.yaml") or not SAYS_SO.search(file_path.read_bytes()):
        return None
    collector: PolicyTestModule = PolicyTestModule.from_parent(parent, path=file_path)
    return collector


def _from_here(path: Path, config: pytest.Config) -> str:
    """The path as people see it: from the directory that pytest was started in."""
    return os.path.relpath(path, config.invocation_params.dir)


_RUNNER = pytest.StashKey["Runner"]()


def _runner(config: pytest.Config) -> Runner:
    """The runner of this pytest run, which compiles each policy set once."""
    from guardrails.policytest.runner import Runner  # noqa: PLC0415 - pytest starts as quickly where it is not needed

    if _RUNNER not in config.stash:
        config.stash[_RUNNER] = Runner(default=config.rootpath / config.getini("guardrails_policies"))
    return config.stash[_RUNNER]


class PolicyTestModule(pytest.File):
    """One file of policy tests."""

    def collect(self) -> Iterator[PolicyTestItem]:
        """The file's cases."""
        from guardrails.policyfile.problems import PolicyProblems  # noqa: PLC0415 - as above
        from guardrails.policytest.reader import load_test_file  # noqa: PLC0415 - as above

        try:
            file = load_test_file(self.path)
        except PolicyProblems as error:
            shown = _from_here(self.path, self.config)
            problems = (msgspec.structs.replace(problem, file=shown) for problem in error.problems)
            raise self.CollectError("\n".join(map(str, problems))) from None
        for case in file.cases:
            yield PolicyTestItem.from_parent(self, name=case.name, file=file, case=case)


class PolicyTestItem(pytest.Item):
    """One case."""

    def __init__(self, *, name: str, parent: pytest.Collector, file: PolicyTestFile, case: PolicyTestCase) -> None:
        super().__init__(name, parent)
        self._file = file
        self._case = case

    def runtest(self) -> None:
        """Run the case. Raises PolicyTestFailed where it does not hold."""
        result = _runner(self.config).run(self._file, self._case)
        if result.failure is not None:
            raise PolicyTestFailed(result.failure)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:  # noqa: ANN401 - pytest's own types for it are private
        """Wanted against got, and the trace; no stack of ours, unless it is a fault of ours."""
        from guardrails.policytest.report import failure_lines  # noqa: PLC0415 - as above
        from guardrails.policytest.trace_view import plain  # noqa: PLC0415 - as above

        if isinstance(excinfo.value, PolicyError):
            return str(excinfo.value)
        if not isinstance(excinfo.value, PolicyTestFailed):
            return super().repr_failure(excinfo)
        path = Path(_from_here(self.path, self.config))
        return "\n".join(map(plain, failure_lines(msgspec.structs.replace(excinfo.value.failure, path=path))))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case stands; pytest counts lines from 0."""
        return self.path, self._case.line - 1, self.name


class PolicyTestFailed(Exception):  # noqa: N818 - a case that does not hold is no error
    """A case does not hold; carries why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure

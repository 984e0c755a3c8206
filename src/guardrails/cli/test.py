"""`guardrails test`: run policy tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from guardrails.cli import exit_codes
from guardrails.cli.case_view import FileResult, show_coverage, show_file, show_totals, summary
from guardrails.cli.documented import Documented
from guardrails.cli.options import engine_option, json_option
from guardrails.cli.terminal import output_console, print_json
from guardrails.policyfile.problems import PolicyProblems
from guardrails.policytest.coverage import PolicyCoverage
from guardrails.policytest.reader import FILE_PATTERN, find_test_files, load_test_file
from guardrails.policytest.runner import Runner
from guardrails.settings import EngineName

__all__ = ["test"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails test",
        'guardrails test policy_tests/quiet_test.yaml --filter "daylight saving"',
        "guardrails test --policies staging/policies --require-coverage",
    ),
    exits={0: "all cases hold", 1: "one does not (or coverage is missing)", 2: "could not run"},
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--policies", type=click.Path(path_type=Path), help="Test these policies, whatever the files name themselves."
)
@click.option("--filter", "wanted", metavar="TEXT", default="", help="Only cases whose file or name contains TEXT.")
@click.option("--coverage", "shows_coverage", is_flag=True, help="Show which verdicts of each policy were seen.")
@click.option("--require-coverage", is_flag=True, help="Fail where a side of a policy is untested. Implies --coverage.")
@engine_option
@json_option
def test(
    *,
    paths: tuple[Path, ...],
    policies: Path | None,
    wanted: str,
    shows_coverage: bool,
    require_coverage: bool,
    engine: EngineName,
    as_json: bool,
) -> int:
    """Run the policy tests at PATHS: files, or directories with every *_test.yaml below them.

    PATHS is `policy_tests` if it is not given. A file may name the policies that it tests; else they are those of
    --policies, or in `policies`.
    """
    files = [file for path in paths or (Path("policy_tests"),) for file in find_test_files(path)]
    if not files:
        raise click.UsageError(f"there is no `{FILE_PATTERN}` at {', '.join(map(str, paths)) or 'policy_tests'}")
    runner = Runner(default=Path("policies"), override=policies, engine=engine)
    results = []
    console = output_console()
    for file in files:
        result = _run_file(runner, file, wanted.lower())
        if result.cases or result.problems:
            results.append(result)
            if not as_json:
                show_file(result, console)
    if not results:
        raise click.UsageError(f"no case matches `{wanted}`")
    gaps = runner.coverage() if shows_coverage or require_coverage else {}
    if as_json:
        print_json(summary(results, gaps))
    else:
        show_coverage(gaps, console)
        show_totals(results, console)
    return _exit_code(results, gaps if require_coverage else {})


def _run_file(runner: Runner, path: Path, wanted: str) -> FileResult:
    try:
        file = load_test_file(path)
    except PolicyProblems as error:
        return FileResult(path, problems=error.problems)
    cases = [case for case in file.cases if wanted in f"{path}::{case.name}".lower()]
    return FileResult(path, tuple(runner.run(file, case) for case in cases))


def _exit_code(results: Iterable[FileResult], required: Mapping[Path, tuple[PolicyCoverage, ...]]) -> int:
    if any(result.problems for result in results):
        return exit_codes.COULD_NOT_RUN
    untested = any(each.untested for policies in required.values() for each in policies)
    failed = any(result.failures() for result in results)
    return exit_codes.FINDINGS if failed or untested else exit_codes.FINE

from __future__ import annotations

import click
import pytest

from guardrails.cli import COMMANDS, exit_codes, main
from guardrails.cli.documented import Documented


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_found_by_its_name_and_documented(name):
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, Documented)
    assert command.name == name
    assert all(f"guardrails {name}" in example for example in command.examples)
    assert exit_codes.FINE in command.exits
    assert exit_codes.COULD_NOT_RUN in command.exits


def test_commands_are_listed_in_the_order_in_which_people_meet_them():
    assert main.list_commands(click.Context(main)) == list(COMMANDS)


def test_what_is_no_command_is_not_found():
    assert main.get_command(click.Context(main), "nonsense") is None

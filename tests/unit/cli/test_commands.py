from __future__ import annotations

import click
import pytest

from commands import EVERY_COMMAND
from guardrails.cli import COMMANDS, exit_codes, main
from guardrails.cli.documented import Documented


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_each_command_is_found_by_its_name_and_documented(name):
    command = EVERY_COMMAND[name]
    assert isinstance(command, Documented)
    assert command.name == name.split()[-1]
    assert all(f"guardrails {name}" in example for example in command.examples)
    assert exit_codes.FINE in command.exits
    assert exit_codes.COULD_NOT_RUN in command.exits


def test_commands_are_listed_in_the_order_in_which_people_meet_them():
    assert main.list_commands(click.Context(main)) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_there_is_without_importing_any(name):
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name


def test_what_is_no_command_is_not_found():
    assert main.get_command(click.Context(main), "nonsense") is None


def test_a_group_lists_its_own_commands_and_finds_no_others():
    group = main.get_command(click.Context(main), "consent")
    assert isinstance(group, click.Group)
    assert "history" in group.list_commands(click.Context(group))
    assert group.get_command(click.Context(group), "nonsense") is None

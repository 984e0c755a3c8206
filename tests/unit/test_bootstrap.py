from __future__ import annotations

import dataclasses
import subprocess
import sys

from guardrails.bootstrap import in_memory_application, new_id
from guardrails.policyfile.loader import load_policies
from service import POLICIES

WITHOUT_CLIENT = """
import sys
sys.modules["redis"] = None  # as where it is not installed
from pathlib import Path
from guardrails.bootstrap import open_application
from guardrails.errors import SettingsError
from guardrails.settings import Settings
policies, directory = map(Path, sys.argv[1:])
url = f"sqlite:///{directory / 'guardrails.db'}"
open_application(Settings(policies=policies, database_url=url, state_directory=directory, engine="native")).close()
try:
    open_application(Settings(policies=policies, database_url=url, caps_url="redis://localhost", engine="native"))
except SettingsError as error:
    print(error)
"""


def test_ids_that_are_drawn_one_after_the_other_stand_together_and_are_never_the_same():
    ids = [new_id() for _ in range(1000)]
    times = [each[:12] for each in ids]
    assert len(set(ids)) == 1000
    assert times == sorted(times)
    assert {32} == set(map(len, ids))


def test_a_client_of_redis_that_is_not_installed_is_said_where_it_is_needed(tmp_path):
    command = [sys.executable, "-c", WITHOUT_CLIENT, POLICIES, tmp_path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("caps in Redis need its client: install `notification-guardrails[redis]`")


class EndlessFill:
    """A fill of the caps that always has more to do; it counts its steps."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> bool:
        self.steps += 1
        return True

    def pop_filled(self) -> None:
        """Nothing was filled yet."""


def test_filling_the_caps_is_given_up_in_time_and_left_to_upkeep():
    fill = EndlessFill()
    application = dataclasses.replace(in_memory_application(load_policies(POLICIES)), caps_rebuild=fill)
    assert application.fill_caps(timeout_seconds=0) is None
    assert fill.steps == 1

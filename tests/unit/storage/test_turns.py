from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import make_url

from guardrails.storage import turns as turns_module
from guardrails.storage.sqlite import SqliteFile
from guardrails.storage.turns import Turns

LONG = 1000.0

HOLDER = """
import sys
from pathlib import Path
from guardrails.storage.turns import Turns
with Turns(Path(sys.argv[1])).turn(lambda: False):
    sys.stdout.write("held\\n"); sys.stdout.flush(); sys.stdin.readline()
sys.stdout.write("let go\\n"); sys.stdout.flush(); sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "turns"


@pytest.fixture
def holder(path):
    """Another process, whose turn it is."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


class Patience:
    """Gives up when asked for the last time; does something when asked for the first."""

    def __init__(self, times: int, at_first=lambda: None) -> None:
        self.times = times
        self.asked = 0
        self.at_first = at_first

    def __call__(self) -> bool:
        self.asked += 1
        if self.asked == 1:
            self.at_first()
        return self.asked >= self.times


def test_nobody_waits_where_nobody_is(path):
    turns = Turns(path, limit_seconds=LONG)
    patience = Patience(1)
    with turns.turn(patience):
        pass
    with turns.turn(patience):
        pass
    turns.close()
    assert patience.asked == 0


def test_one_waits_until_it_is_their_turn_or_they_give_up(path, holder):
    turns = Turns(path, limit_seconds=LONG)
    patience = Patience(5)
    with turns.turn(patience):
        pass
    assert patience.asked == 5
    turns.close()


def test_the_turn_comes_when_the_other_lets_go(path, holder):
    turns = Turns(path, limit_seconds=LONG)

    def let_go() -> None:
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "let go\n"

    patience = Patience(1_000_000, at_first=let_go)
    with turns.turn(patience):
        assert patience.asked == 1
    turns.close()


def test_the_turn_comes_when_the_other_is_killed(path, holder):
    turns = Turns(path, limit_seconds=LONG)

    def kill() -> None:
        holder.kill()
        holder.wait()

    patience = Patience(1_000_000, at_first=kill)
    with turns.turn(patience):
        assert patience.asked == 1
    turns.close()


def test_whoever_has_just_had_a_turn_comes_after_the_one_who_waits(path, tmp_path):
    order = tmp_path / "order"
    order.touch()
    with subprocess.Popen(
        [sys.executable, "-c", GREEDY, str(path), str(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as greedy:
        assert greedy.stdout.readline() == "held\n"
        turns = Turns(path, limit_seconds=LONG)

        def let_go_and_ask_again() -> None:
            greedy.stdin.write("\n")
            greedy.stdin.flush()
            for _ in range(100):  # far longer than it would need to be first
                if order.read_text():
                    break
                time.sleep(0.001)

        with turns.turn(Patience(1_000_000, at_first=let_go_and_ask_again)), order.open("a") as file:
            file.write("waited ")
        greedy.wait()
    turns.close()
    assert order.read_text().split() == ["waited", "greedy"]


GREEDY = """
import sys
from pathlib import Path
from guardrails.storage.turns import Turns
turns = Turns(Path(sys.argv[1]), limit_seconds=1000)
with turns.turn(lambda: False):
    sys.stdout.write("held\\n"); sys.stdout.flush(); sys.stdin.readline()
with turns.turn(lambda: False), open(sys.argv[2], "a") as order:
    order.write("greedy ")
"""


def test_a_turn_is_let_go_of_whatever_the_block_raises(path):
    turns = Turns(path, limit_seconds=LONG)
    with pytest.raises(ZeroDivisionError), turns.turn(lambda: True):
        raise ZeroDivisionError
    assert is_free(path)
    turns.close()


def test_whoever_gave_up_lets_the_next_one_wait(path, holder):
    turns = Turns(path, limit_seconds=LONG)
    with turns.turn(Patience(1)):
        pass
    patience = Patience(1_000_000, at_first=holder.kill)
    subprocess.run([sys.executable, "-c", GIVES_UP, str(path)], check=True)
    with turns.turn(patience):
        pass
    turns.close()


GIVES_UP = """
import sys
from pathlib import Path
from guardrails.storage.turns import Turns
with Turns(Path(sys.argv[1])).turn(lambda: True):
    pass
"""


@pytest.mark.parametrize("byte", [0, 1])
def test_a_process_that_is_frozen_in_line_or_in_its_turn_stops_nobody_for_long(path, frozen):
    turns = Turns(path)
    with turns.turn(lambda: False):  # the limit is the only way out
        turns.found_free()
    turns.close()


@pytest.mark.parametrize("byte", [0, 1])
def test_a_line_that_stands_still_is_not_stood_in_again_for_a_while(path, frozen):
    turns = Turns(path, limit_seconds=0, respite_seconds=1000)
    with turns.turn(lambda: False):
        turns.found_free()
    turns._limit_seconds = LONG
    patience = Patience(1)
    with turns.turn(patience):
        turns.found_free()  # says nothing new: the line was not stood in
    assert patience.asked == 0
    turns.close()


@pytest.mark.parametrize("byte", [0, 1])
def test_after_the_while_the_line_is_stood_in_again(path, frozen):
    turns = Turns(path, limit_seconds=LONG, respite_seconds=0)
    for _ in range(2):
        patience = Patience(3)
        with turns.turn(patience):
            turns.found_free()
        assert patience.asked == 3
    turns.close()


def test_a_line_in_which_others_write_is_stood_in_again(path, holder):
    turns = Turns(path, limit_seconds=LONG, respite_seconds=1000)
    for _ in range(2):
        patience = Patience(3)
        with turns.turn(patience):
            pass  # and nobody says that it was free
        assert patience.asked == 3
    turns.close()


def test_where_it_is_their_turn_a_free_file_says_nothing_of_the_line(path):
    turns = Turns(path, limit_seconds=LONG, respite_seconds=1000)
    for _ in range(2):
        with turns.turn(lambda: True):
            turns.found_free()
            assert not is_free(path)
    turns.close()


@pytest.mark.parametrize("byte", [0, 1])
def test_units_go_on_while_another_process_is_frozen(path, tmp_path, frozen):
    path.rename(tmp_path / "g.db-turns")
    database = SqliteFile(make_url(f"sqlite:///{tmp_path / 'g.db'}"), busy_seconds=1000)
    for _ in range(2):
        with database.turn(threading.Event()), database.engine.begin() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    assert database._turns._waits_from > 0
    database.engine.dispose()
    database.close()


@pytest.fixture
def frozen(path, byte):
    """Another process, which holds the byte and never goes on."""
    with subprocess.Popen([sys.executable, "-c", FROZEN, str(path), str(byte)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield
        process.kill()


FROZEN = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2]))
print("held", flush=True)
time.sleep(1000)
"""


def test_whoever_meets_an_error_in_line_leaves_it(path, monkeypatch):
    turns = Turns(path)
    lock = turns_module._lock

    def fail_at_now(file, byte):
        if byte == turns_module._NOW:
            raise OSError(errno.ENOLCK, "no locks available")
        return lock(file, byte)

    monkeypatch.setattr(turns_module, "_lock", fail_at_now)
    with turns.turn(lambda: False):
        assert is_free(path)
    turns.close()


def test_where_no_file_can_be_had_nobody_waits(tmp_path):
    turns = Turns(tmp_path / "missing" / "turns")
    entered = False
    with turns.turn(lambda: False):
        entered = True
    assert entered
    turns.close()


def is_free(path) -> bool:
    """Whether another process finds it free."""
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0

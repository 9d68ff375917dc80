"""How Salt says what its states do, and ends, in a build's container."""

import os
import subprocess
import sys

import pytest
import watched

from tests.unit.inside.conftest import INSIDE
from tests.unit.returns import FAILED


def ran(body, *arguments):
    """Run a function in the place of salt-call."""
    script = (
        "import subprocess, sys, threading, time\n"
        "import watched\n"
        f"def salt_call():\n    {body}\n"
        "watched.run(salt_call)"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": INSIDE},
    )


@pytest.mark.parametrize(
    ("body", "status", "stderr"),
    [
        ("return", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('no')", 1, "no\n"),
    ],
)
def test_it_ends_as_salt_does(body, status, stderr):
    done = ran(body)
    assert (done.returncode, done.stderr) == (status, stderr)


def test_an_error_is_printed():
    done = ran("raise ValueError('odd')")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: odd\n")


def test_it_waits_for_no_thread_and_loses_nothing_that_was_printed():
    done = ran("threading.Thread(target=time.sleep, args=[20]).start(); print('x' * 99_999)")
    assert (done.returncode, len(done.stdout)) == (0, 100_000)


def test_of_states_that_did_not_fail_only_that_is_told():
    ret = {**FAILED, "result": True, "changes": {"diff": "hunter2"}, "duration": 3}
    told = watched.summary(ret)
    assert (told["comment"], told["changes"], told["result"]) == ("", True, True)


def test_no_state_takes_the_name_server_from_those_after_it(tmp_path):
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver of the engine")
    content = watched.read(str(resolver))
    resolver.write_text("nameserver of a state")
    watched.restore(str(resolver), content)
    assert resolver.read_text() == "nameserver of the engine"
    watched.restore(str(tmp_path / "none"), watched.read(str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()

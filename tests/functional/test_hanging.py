"""Builds whose Salt goes on, or is ended, while its states don't."""

from __future__ import annotations

import time

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import BASE, IMAGES

FAILS = "fails:\n  test.fail_without_changes: []\n"


def failure_of(host, **arguments):
    """The message of a build that fails, and the seconds that it took."""
    started = time.monotonic()
    with pytest.raises(CommandExecutionError) as caught:
        host.call("ubiq_docker.build_service", f"{IMAGES}one", base=BASE, mods="one", **arguments)
    return str(caught.value), time.monotonic() - started


@pytest.mark.parametrize("runtime", [True, False], ids=["runtime", "plain"])
def test_salt_ends_with_its_states_whatever_they_leave_running(host, runtime):
    """Children of a command that timed out, and a daemon that has Salt's own output open."""
    host.catalogue(runtime=runtime)
    host.file(
        "one.sls",
        """
        daemon:
          cmd.run:
            - name: while true; do echo something; sleep 0.2; done
            - bg: true
        children:
          cmd.run:
            - name: sleep 3600 & sleep 3600
            - timeout: 1
        """,
    )
    message, seconds = failure_of(host, timeout=300)
    assert "1 of 2 states failed:\n  one: children (cmd.run): " in message
    assert "Timed out after 1 seconds" in message
    assert seconds < 100


@pytest.mark.parametrize("runtime", [True, False], ids=["runtime", "plain"])
def test_of_salt_that_is_killed_one_is_told_where_and_what_was_known(host, runtime):
    host.catalogue(runtime=runtime)
    host.file(
        "one.sls",
        f"""{FAILS}
sleep 2; kill -9 $PPID:
  cmd.run: []
after:
  test.nop: []
""",
    )
    message, _ = failure_of(host)
    assert message.startswith(
        f"{IMAGES}one: Salt ended with exit status 137: "
        "state 2 of 3: one: cmd.run sleep 2; kill -9 $PPID, had run for 2"
    )
    assert (
        "\n1 of 3 states failed:\n  one: fails (test.fail_without_changes): Failure!\n" in message
    )


def test_of_a_build_that_takes_too_long_one_is_told_where_and_what_was_known(host):
    host.catalogue(
        **{
            "test-slow": {
                "repository": f"{IMAGES}slow",
                "base": "test-base",
                "mods": ["one"],
                "timeout": 8,
            }
        }
    )
    host.file("one.sls", f"{FAILS}sleep 3600:\n  cmd.run: []\n")
    result = host.call("ubiq_docker.build_all", "test-slow")["test-slow"]
    head, *more = result["error"].splitlines()
    assert head.startswith(
        "test-slow: not done after 8 s: state 2 of 2: one: cmd.run sleep 3600, had run for "
    )
    assert more[0] == "1 of 2 states failed:"
    assert [state["id"] for state in result["states"]["failed"]] == ["fails"]

"""What is shown of builds where there is no terminal."""

import logging
import sys

import pytest

from salt_ubiq.errors import BuildError
from salt_ubiq.results import Result
from salt_ubiq.runs.progress import Progress, told
from salt_ubiq.runs.run import one_by_one

BUILT = Result(name="web", image="web:latest", action="built", duration=72.0)

log = logging.getLogger("salt_ubiq.builds.builder")


@pytest.fixture
def printed(monkeypatch, capsys):
    """``printed()``: what ``salt-call`` has printed on standard error, which is no terminal."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/salt-call"])
    return lambda: capsys.readouterr().err.splitlines()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_line_tells_of_the_start_of_an_image_each_step_and_the_end(printed):
    with told(), Progress(1) as progress:
        progress.observe("started", "web", None)
        log.info("web: applying nginx to debian:12")
        progress.observe("built", "web", BUILT)
    assert printed() == [
        "[0/1] web started",
        "web: applying nginx to debian:12",
        "[1/1] web built in 1 min 12 s",
    ]


def test_what_takes_long_is_told_of_once_a_minute_with_its_step(printed):
    clock = Clock()
    with told(), Progress(2, clock=clock) as progress:
        progress.observe("started", "web", None)
        progress.observe("started", "database", None)
        log.info("web: applying nginx to debian:12")
        for clock.now in range(0, 130, 10):
            progress.refresh()
            if clock.now == 50:
                progress.observe("built", "database", BUILT)
    reminders = [line for line in printed() if " now: " in line]
    assert reminders == [
        "web, for 1 min now: applying nginx to debian:12",
        "web, for 2 min now: applying nginx to debian:12",
    ]


def test_what_the_log_shows_anyway_is_not_shown_twice(printed, monkeypatch):
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.INFO)
    monkeypatch.setattr(logging.root, "handlers", [console])
    with told():
        log.info("web: applying nginx to debian:12")
    assert printed() == ["web: applying nginx to debian:12"]


def test_steps_are_told_while_builds_go_on_only(printed):
    with told():
        pass
    log.info("web: applying nginx to debian:12")
    assert printed() == []
    assert logging.getLogger("salt_ubiq").level == logging.NOTSET


@pytest.mark.parametrize("program", ["salt-minion", "salt-master", "salt-api"])
def test_a_daemon_tells_nothing(printed, monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{program}"])
    with told(), Progress(1) as progress:
        progress.observe("started", "web", None)
    assert printed() == []


def test_images_built_in_turn_are_told_of_and_the_last_is_returned(printed):
    parent = Result(name="debian", image="debian:12", action="built", duration=3.0)
    with told():
        assert one_by_one({"debian": lambda: parent, "web": lambda: BUILT}) is BUILT
    assert printed() == [
        "[0/2] debian started",
        "[1/2] debian built in 3 s",
        "[1/2] web started",
        "[2/2] web built in 1 min 12 s",
    ]


def test_the_failure_of_one_ends_the_turn(printed):
    def fail():
        raise BuildError("debian: no")

    with told(), pytest.raises(BuildError, match="debian: no"):
        one_by_one({"debian": fail, "web": lambda: BUILT})
    assert printed() == ["[0/2] debian started", "[1/2] debian failed"]

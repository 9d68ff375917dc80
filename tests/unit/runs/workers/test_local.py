"""Builds in processes of this machine: what is done beside them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from salt_ubiq.errors import BuildError
from salt_ubiq.results import Result
from salt_ubiq.runs.workers.local import LocalExecutor

_LONG = 30  # seconds, for what takes none


@pytest.fixture
def executor():
    made = LocalExecutor(1, lambda name: Result(name, "", "built"))
    yield made
    made.close()


def appears(path: Path) -> bool:
    deadline = time.monotonic() + _LONG
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.exists()


def test_what_is_done_aside_is_no_build(executor, tmp_path):
    done = tmp_path / "done"
    executor.aside(done.touch)
    assert appears(done)
    executor.start("web", 1, {})
    results: list[Result] = []
    while not results:
        results = executor.wait(_LONG)
    assert [result.name for result in results] == ["web"]
    assert executor.wait(0) == []


def test_a_failure_aside_is_left_to_the_builds(executor, capfd):
    def fail() -> None:
        raise BuildError("no mmdebstrap")

    executor.aside(fail)
    assert executor.wait(1) == []
    executor.close()
    assert capfd.readouterr().err == ""


def test_what_is_done_aside_cleans_up_when_all_ends(executor, tmp_path):
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"

    def work() -> None:
        try:
            begun.touch()
            time.sleep(_LONG)
        finally:
            cleaned.touch()

    executor.aside(work)
    assert appears(begun)
    executor.close()
    assert cleaned.exists()


def test_a_build_that_is_cancelled_twice_cleans_up_once_and_to_the_end(tmp_path):
    begun, cleaning, cleaned = (tmp_path / name for name in ("begun", "cleaning", "cleaned"))

    def build(_: str) -> Result:
        try:
            begun.touch()
            time.sleep(_LONG)
        finally:
            cleaning.touch()
            time.sleep(0.3)
            cleaned.touch()
        raise AssertionError  # it was cancelled

    executor = LocalExecutor(1, build)
    executor.start("web", 1, {})
    assert appears(begun)
    executor.cancel(["web"])
    assert appears(cleaning)
    executor.cancel(["web"])
    (result,) = executor.wait(_LONG)
    executor.close()
    assert (result.action, cleaned.exists()) == ("failed", True)
